// The decay explorer: the score over distance, the bound of RoFormer's eqs. 35–37, and the trivial bound.
(function () {
  "use strict";

  const FAR = 10000; // the largest distance
  const HEIGHT = 450;
  const FIRST = { kind: "ones", seed: 1, r0: 200, base: 10000, d: 128, view: "log", r: 100 };
  const KINDS = [
    ["ones", "both all ones"], ["ramp", "products that fall evenly"], ["random", "both random"], ["made", "a key made for r₀"],
  ];
  const VIEWS = [["log", "0 to 10,000 (log)"], ["100", "0 to 100"], ["1000", "0 to 1,000"], ["10000", "0 to 10,000"]];
  const DIMS = [8, 32, 64, 128];
  const LINES = [["score", "score", "symbolCircle"], ["abel", "Abel bound", "symbolSquare"], ["trivial", "trivial bound", "symbolDiamond"]];

  const long = (value) => d3.format(",")(value);
  const reach = (view) => (view === "log" ? FAR : Number(view));

  /** Up to the trivial bound as it is, beyond it by powers of ten: a factor of ten is three quarters of a unit. */
  const height = (value) => (value <= 1 ? value : 1 + 0.75 * Math.log10(value));
  const [LOWEST, HIGHEST] = [-1.2, height(400)];

  /** The lowest and the highest point of each column, in the order in which they come: looks like all of them. */
  function thin(values, columns) {
    const kept = [];
    for (let start = 0, end = 0; start < values.length; start = end) {
      let [low, high] = [start, start];
      for (end = start; columns[end] === columns[start]; end++) {
        if (values[end] < values[low]) low = end;
        if (values[end] > values[high]) high = end;
      }
      kept.push(...new Set([Math.min(low, high), Math.max(low, high)]));
    }
    return kept;
  }

  /** Remember the last result: a change of r leaves the curves as they are. */
  function remember(compute, ...keys) {
    let [known, result] = [];
    return (state) => {
      const now = JSON.stringify(keys.map((key) => state[key]));
      if (now !== known) [known, result] = [now, compute(state)];
      return result;
    };
  }

  function chart(stage, waves, at) {
    const canvas = stage.canvas({
      label: "Score and bounds over the distance", width: 420, height: HEIGHT, margin: [24, 20, 40, 34],
      x: [0, 1], y: [LOWEST, HIGHEST],
    });
    const { svg, marks, x, y } = canvas;
    const [left, right] = x.range();
    const across = ({ view }) => (view === "log" ? d3.scaleSymlog : d3.scaleLinear)([0, reach(view)], [left, right]);
    const up = (value) => y(height(value));

    marks.append("rect").attr("class", "beyond").attr("x", left).attr("width", right - left)
      .attr("y", y(HIGHEST)).attr("height", y(1) - y(HIGHEST));
    const level = marks.append("g").attr("class", "ticks").selectAll("g").data([-1, 0, 1, 10, 100]).join("g")
      .attr("transform", (value) => `translate(${left},${up(value)})`);
    level.append("line").attr("x2", -4);
    level.append("text").attr("x", -7).attr("dy", "0.35em").attr("text-anchor", "end").text((value) => long(value));
    marks.append("line").attr("class", "axis").attr("x1", left).attr("x2", right).attr("y1", up(0)).attr("y2", up(0));
    marks.append("text").attr("class", "title").attr("x", left).attr("y", 14).text("in units of the trivial bound");
    marks.append("text").attr("class", "hint").attr("x", right - 4).attr("y", y(HIGHEST) + 15).attr("text-anchor", "end")
      .text("logarithmic above 1");
    marks.append("text").attr("class", "title").attr("x", right).attr("y", HEIGHT - 6).attr("text-anchor", "end")
      .html("distance <tspan class='symbol'>r</tspan>");
    const ticks = marks.append("g").attr("class", "ticks").attr("transform", `translate(0,${y(LOWEST)})`);
    const stem = marks.append("line").attr("class", "stem").attr("y1", y(LOWEST)).attr("y2", y(HIGHEST));
    const path = {};
    for (const [name] of LINES) path[name] = marks.append("path").attr("class", `line ${name}`);
    const dots = marks.append("g").selectAll("path").data(LINES).join("path").attr("class", ([name]) => `dot ${name}`)
      .attr("d", ([, , shape]) => d3.symbol(d3[shape], 70)());
    const names = marks.append("g").selectAll("text").data(LINES).join("text").attr("class", ([name]) => `name ${name}`)
      .text(([, name]) => name);

    /** A name stands where its line leaves room: beyond the highest or lowest point of the stretch that it covers. */
    function putNames(scale, { score, abel, trivial }) {
      const stretch = (values, from, to) => values.slice(Math.floor(scale.invert(from)), Math.ceil(scale.invert(to)) + 1);
      const place = {
        score: [right - 4, up(d3.min(stretch(score, right - 50, right)) / trivial) + 16, "end"],
        abel: [left + 205, up(d3.max(stretch(abel, left + 160, left + 250)) / trivial) - 8, "middle"],
        trivial: [right - 4, up(1) + (d3.min(stretch(abel, right - 85, right)) > 1.8 * trivial ? -6 : 16), "end"],
      };
      names.attr("x", ([name]) => place[name][0]).attr("y", ([name]) => place[name][1])
        .attr("text-anchor", ([name]) => place[name][2]);
    }

    const curves = remember((state) => {
      const scale = across(state);
      const values = waves(state);
      const columns = Int32Array.from(values.score, (_, r) => 2 * scale(r)); // half a pixel wide
      for (const name of ["score", "abel"]) {
        const line = d3.line((r) => scale(r), (r) => up(values[name][r] / values.trivial));
        path[name].attr("d", line(thin(values[name], columns)));
      }
      path.trivial.attr("d", `M${left},${up(1)}H${right}`);
      putNames(scale, values);
      const shown = state.view === "log" ? [0, 1, 10, 100, 1000, 10000] : scale.ticks(5);
      const tick = ticks.selectAll("g").data(shown).join((enter) => {
        const group = enter.append("g").attr("class", "tick");
        group.append("line").attr("y2", 4);
        group.append("text").attr("y", 17).attr("text-anchor", "middle");
        return group;
      });
      tick.attr("transform", (r) => `translate(${scale(r)},0)`).select("text").text((r) => long(r));
      return scale;
    }, "kind", "seed", "r0", "base", "d", "view");

    stage.draw((_, state) => {
      const scale = curves(state);
      const { score, abel, trivial } = at(state);
      const value = { score: score / trivial, abel: abel / trivial, trivial: 1 };
      stem.attr("x1", scale(state.r)).attr("x2", scale(state.r));
      dots.attr("transform", ([name]) => `translate(${scale(state.r)},${up(value[name])})`);
    });

    // Point at a distance. A finger that moves up or down scrolls the page.
    const surface = svg.append("rect").attr("class", "surface").attr("x", left).attr("width", right - left)
      .attr("y", y(HIGHEST)).attr("height", y(LOWEST) - y(HIGHEST));
    surface.on("pointerdown pointermove", (event) => {
      if (event.type === "pointerdown") surface.node().setPointerCapture(event.pointerId);
      else if (!surface.node().hasPointerCapture(event.pointerId)) return;
      const r = Math.round(curves(stage.state).invert(d3.pointer(event, svg.node())[0]));
      stage.set({ r: Math.min(reach(stage.state.view), Math.max(0, r)) });
    });
  }

  function mount(stage, rope) {
    stage.start(FIRST);

    /** Query, key, and what the bounds need of them. */
    const head = ({ kind, seed, r0, base, d }) => {
      const thetas = rope.frequencies(d, base);
      const drawn = rope.gaussian(seed, 2 * d);
      const fall = thetas.flatMap((_, i) => [Math.sqrt(d / 2 - i), 0]); // with itself h_i = d/2 − i
      const q = { ones: Array(d).fill(1), ramp: fall }[kind] ?? drawn.slice(0, d);
      const k = { random: drawn.slice(d), made: rope.rotate(q, r0, thetas) }[kind] ?? q;
      return { thetas, h: rope.products(q, k) };
    };
    const at = remember((state) => {
      const { h, thetas } = head(state);
      return { score: rope.wave(h, state.r, thetas), abel: rope.abelBound(h, state.r, thetas), trivial: rope.trivialBound(h) };
    }, "kind", "seed", "r0", "base", "d", "r");
    const waves = (state) => {
      const { h, thetas } = head(state);
      return { ...rope.curves(h, reach(state.view), thetas), trivial: rope.trivialBound(h) };
    };

    chart(stage, waves, at);
    const number = d3.format(",.2f");
    stage.readout({ name: "score", label: "score <i>s</i>(<i>r</i>) =", value: (s) => at(s).score, format: number });
    stage.readout({ name: "abel", label: "Abel bound =", value: (s) => at(s).abel, format: number });
    stage.readout({ name: "trivial", label: "trivial bound Σ|<i>h<sub>i</sub></i>| =", value: (s) => at(s).trivial, format: number });
    stage.readout({ name: "ratio", label: "Abel ÷ trivial =", value: (s) => at(s).abel / at(s).trivial, format: number });

    const counts = stage.counts(FAR);
    const within = Object.fromEntries(VIEWS.map(([view]) => [view, counts.filter((r) => r <= reach(view))]));
    stage.stops({ key: "r", label: "distance <i>r</i>", values: ({ view }) => within[view] });
    stage.choice({
      key: "view", label: "distances", options: VIEWS, set: (view, { r }) => ({ view, r: Math.min(r, reach(view)) }),
    });
    stage.choice({ key: "kind", label: "<i>q</i> and <i>k</i>", options: KINDS });
    stage.stops({ key: "r0", label: "made for <i>r</i>₀", values: () => counts, set: (r0) => ({ r0, kind: "made" }) });
    stage.slider({
      key: "seed", label: "random draw", min: 1, max: 20, step: 1,
      set: (seed, { kind }) => ({ seed, kind: kind === "made" ? kind : "random" }),
    });
    const bases = stage.decades(1e2, 1e6);
    stage.stops({ key: "base", label: "base", values: () => bases });
    stage.choice({ key: "d", label: "dimensions <i>d</i>", options: DIMS.map((d) => [d, String(d)]) });
    stage.reset();
    stage.say((s) => {
      const { score, abel, trivial } = at(s);
      return `Distance ${long(s.r)}: score ${score.toFixed(2)}, Abel bound ${abel.toFixed(2)}, `
        + `trivial bound ${trivial.toFixed(2)}, ratio ${(abel / trivial).toFixed(2)}.`;
    });
  }

  Figures.define("decay", { label: "Score and bounds over the distance", needs: ["rope"], mount });
})();
