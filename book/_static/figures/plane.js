// RoPE in the plane: query and key turn with their positions, and the score depends on m − n alone.
(function () {
  "use strict";

  const LAST = 16; // positions run from 0 to LAST
  const REACH = [0.3, 2]; // shortest and longest vector
  const FIRST = { q: [1.4, 1], k: [1.3, -0.5], m: 7, n: 2, theta: 0.25 };

  const angle = ([x, y]) => Math.atan2(y, x);
  const wrap = (turn) => turn - 2 * Math.PI * Math.round(turn / (2 * Math.PI));
  const polar = (radius, turn) => [radius * Math.cos(turn), radius * Math.sin(turn)];
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const limit = (point) => polar(clamp(Math.hypot(...point), ...REACH), angle(point));

  /** m and n with the same difference, the smaller one at `first`. */
  function together(first, { m, n }) {
    const shift = Math.min(first, LAST - Math.abs(m - n)) - Math.min(m, n);
    return { m: m + shift, n: n + shift };
  }

  /** Axes, circles and what lies under the arrows. */
  function ground({ marks, x, y }) {
    for (const radius of [1, 2]) {
      marks.append("circle").attr("class", "grid").attr("cx", x(0)).attr("cy", y(0)).attr("r", x(radius) - x(0));
    }
    const [low, high] = x.domain();
    marks.append("line").attr("class", "axis").attr("x1", x(low)).attr("x2", x(high)).attr("y1", y(0)).attr("y2", y(0));
    marks.append("line").attr("class", "axis").attr("x1", x(0)).attr("x2", x(0)).attr("y1", y(low)).attr("y2", y(high));
    marks.append("text").attr("class", "hint").attr("x", x(low) + 2).attr("y", y(low) - 6).text("drag q ○ and k □");
  }

  /** One vector: dashed where it is, solid where its position turns it, and a dot for every step between. */
  function vector(stage, plane, rope, { key, position, formula }) {
    const { marks, x, y } = plane;
    const group = marks.append("g").attr("class", `vector-${key}`);
    const layer = { ...plane, marks: group };
    const trail = group.append("path").attr("class", "trail");
    const steps = group.append("g").attr("class", "steps");
    const before = stage.arrow(layer, "before");
    const after = stage.arrow(layer, "after");
    const labels = marks.append("g").attr("class", `labels vector-${key}`);
    const plain = stage.math(labels.append("text"), key);
    const turned = stage.math(labels.append("text"), formula);
    const put = (text, [a, b], gap) => {
      const length = Math.hypot(a, b);
      text.attr("x", x(a) + (gap * a) / length).attr("y", y(b) - (gap * b) / length);
    };
    stage.draw((shown) => {
      const raw = shown[key];
      const turn = shown[position] * shown.theta;
      const tip = rope.rotate2(raw, turn);
      const spots = d3.range(0, shown[position] + 1e-9).map((step) => rope.rotate2(raw, step * shown.theta));
      const arc = d3.range(0, 97).map((i) => rope.rotate2(raw, (turn * i) / 96));
      trail.attr("d", d3.line((p) => x(p[0]), (p) => y(p[1]))(arc));
      steps.selectAll("circle").data(spots).join("circle").attr("r", 2.5).attr("cx", (p) => x(p[0])).attr("cy", (p) => y(p[1]));
      before(raw);
      after(tip);
      put(plain, raw, 24);
      put(turned, tip, 22);
      plain.attr("display", Math.abs(wrap(turn)) < 0.3 ? "none" : null);
    });
  }

  /** The angle from R_n k to R_m q, the only thing that the score sees of the positions. */
  function between(stage, { marks, x, y }) {
    const group = marks.append("g").attr("class", "between").attr("transform", `translate(${x(0)},${y(0)})`);
    const wedge = group.append("path");
    const text = marks.append("text").attr("class", "labels angle-label");
    const radius = 46;
    stage.draw(({ q, k, m, n, theta }) => {
      const from = angle(k) + n * theta;
      const span = wrap(angle(q) + m * theta - from);
      const shape = { startAngle: Math.PI / 2 - from, endAngle: Math.PI / 2 - from - span };
      wedge.attr("d", d3.arc()({ innerRadius: 0, outerRadius: radius, ...shape }));
      const [a, b] = polar(radius + 20, from + span / 2);
      text.attr("x", x(0) + a).attr("y", y(0) - b).text(`${Math.round(Math.abs(span) * 180 / Math.PI)}°`);
    });
  }

  /** The score as a function of m − n: a cosine, and the point where we are. */
  function strip(stage, rope) {
    const most = REACH[1] ** 2;
    const { marks, x, y } = stage.plot({
      label: "The score against m − n", place: stage.side, width: 330, height: 170, title: "score", end: "m − n",
      x: [-LAST, LAST], y: [-most, most], xTicks: [-16, -8, 0, 8, 16], yTicks: [-4, 0, 4],
    });
    const curve = marks.append("path").attr("class", "curve");
    const beads = marks.append("g").attr("class", "beads");
    const stem = marks.append("line").attr("class", "stem").attr("y1", y(0));
    const dot = marks.append("circle").attr("class", "here").attr("r", 6.5);
    stage.draw(({ q, k, m, n, theta }) => {
      const at = (r) => rope.score(q, k, r, 0, [theta]);
      const place = d3.line((r) => x(r), (r) => y(at(r)));
      curve.attr("d", place(d3.range(-LAST, LAST + 0.1, 0.1)));
      beads.selectAll("circle").data(d3.range(-LAST, LAST + 1)).join("circle").attr("r", 1.8)
        .attr("cx", (r) => x(r)).attr("cy", (r) => y(at(r)));
      stem.attr("x1", x(m - n)).attr("x2", x(m - n)).attr("y2", y(at(m - n)));
      dot.attr("cx", x(m - n)).attr("cy", y(at(m - n)));
    });
  }

  function mount(stage, rope) {
    stage.start(FIRST, { glide: ["m", "n"] });
    const plane = stage.canvas({
      label: "The plane: query and key as arrows", width: 420, height: 420, margin: 4, x: [-2.35, 2.35], y: [-2.35, 2.35],
    });
    ground(plane);
    between(stage, plane);
    vector(stage, plane, rope, { key: "k", position: "n", formula: "R_n k" });
    vector(stage, plane, rope, { key: "q", position: "m", formula: "R_m q" });
    stage.handle(plane, { key: "q", label: "query q", limit });
    stage.handle(plane, { key: "k", label: "key k", limit, shape: d3.symbolSquare });
    plane.marks.selectAll(".labels").raise();
    strip(stage, rope);

    const score = ({ q, k, m, n, theta }) => rope.score(q, k, m, n, [theta]);
    stage.readout({ name: "distance", label: "<i>m</i> − <i>n</i> =", value: ({ m, n }) => m - n, format: d3.format("d") });
    stage.readout({ name: "plain", label: "<i>q</i>·<i>k</i> =", value: ({ q, k }) => rope.dot(q, k) });
    stage.readout({ name: "score", label: "(<i>R<sub>m</sub>q</i>)·(<i>R<sub>n</sub>k</i>) =", value: score });

    const position = { min: 0, max: LAST, step: 1 };
    stage.slider({ key: "m", label: "query position <i>m</i>", ...position });
    stage.slider({ key: "n", label: "key position <i>n</i>", ...position });
    stage.slider({
      key: "both", label: "move both", ...position, get: ({ m, n }) => Math.min(m, n), set: together,
      format: (_, { m, n }) => `${m}, ${n}`, text: (_, { m, n }) => `m ${m}, n ${n}`,
    });
    stage.slider({ key: "theta", label: "angle per step <i>θ</i>", min: 0, max: 1, step: 0.01, format: d3.format(".2f") });
    stage.reset();
    stage.say((s) => `m ${s.m}, n ${s.n}, m minus n ${s.m - s.n}, score ${score(s).toFixed(2)}.`);
  }

  Figures.define("plane", { label: "RoPE in the plane", needs: ["rope"], mount });
})();
