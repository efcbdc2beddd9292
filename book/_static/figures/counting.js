// Four ways to write down a position, and which laws of a good one each of them keeps.
(function () {
  "use strict";

  const FIRST = { scheme: "integer", m: 5, length: 16 };
  const DIGITS = 10; // of a binary number
  const DIM = 16; // of the sinusoids
  const LENGTHS = [16, 64, 256, 1024];
  const [WIDTH, HEIGHT] = [420, 210];
  const DUST = 1e-9; // below this two lengths are the same

  const fixed = (value) => d3.format(".3~f")(value);
  const distance = (a, b) => {
    let sum = 0; // a plain loop, since a text of 1024 tokens has half a million pairs
    for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
    return Math.sqrt(sum);
  };

  function mount(stage, encodings) {
    const schemes = {
      integer: ["the number itself", (m) => [m]],
      fraction: ["number / length of the text", (m, length) => [m / length]],
      binary: [`${DIGITS} binary digits`, (m) => d3.range(DIGITS).map((i) => (m >> (DIGITS - 1 - i)) & 1)],
      waves: [`${DIM} sines and cosines`, (m) => encodings.sinusoidal(m, DIM)],
    };
    const vector = ({ scheme, m, length }, step = 0) => schemes[scheme][1](m + step, length);
    const changed = (s) => vector(s, 1).filter((value, i) => Math.abs(value - vector(s)[i]) > DUST).length;
    const limit = ({ scheme, length }) => (scheme === "integer" ? length : 1);

    /** Turn every pair of the sinusoids on by one position. */
    const oneOn = (p) => p.map((value, j) => {
      const theta = 10000 ** (-2 * Math.floor(j / 2) / DIM);
      return value * Math.cos(theta) + (j % 2 ? -1 : 1) * p[j ^ 1] * Math.sin(theta);
    });

    /** What a search through all positions of a text finds; made once for each scheme and length. */
    const surveys = new Map();
    const survey = (s) => {
      const name = `${s.scheme} ${s.length}`;
      if (surveys.has(name)) return surveys.get(name);
      const inText = (length) => d3.range(length).map((m) => vector({ ...s, m, length }));
      const [all, twice] = [inText(s.length), inText(2 * s.length)];
      const apart = all.map(() => new Float64Array(s.length).fill(Infinity));
      for (let m = 0; m < s.length; m++) for (let n = 0; n < m; n++) apart[m][n] = apart[n][m] = distance(all[m], all[n]);
      const steps = d3.range(s.length - 1).map((m) => apart[m][m + 1]);
      const nearest = apart.map((row, m) => d3.minIndex(row, (far, n) => (n === m - 1 ? Infinity : far)));
      const found = {
        largest: [all, twice].map((text) => d3.max(text.flat(), Math.abs)),
        moved: all.map((p, m) => distance(p, twice[m])),
        steps,
        nearest,
        nearby: (m) => apart[m][nearest[m]],
        misplaced: steps.map((step, m) => apart[m][nearest[m]] < step - DUST),
        closest: d3.min(apart, (row) => d3.min(row)),
      };
      surveys.set(name, found);
      return found;
    };
    /** The position itself if it is an example, and otherwise the first that is. */
    const example = (is, m) => (is[m] ? m : is.indexOf(true));

    // Each law gives a number, whether the law holds, and words that show it with numbers.
    const laws = {
      bounded: ["bounded", (s) => {
        const [here, twice] = survey(s).largest;
        return [twice, twice <= 1.1 * here, `up to ${fixed(here)} in this text, ${fixed(twice)} in one twice as long`];
      }],
      same: ["the same in any text", (s) => {
        const { moved } = survey(s);
        const m = example(moved.map((by) => by > DUST), s.m);
        if (m < 0) return [0, true, `position ${s.m} is the same in a text twice as long`];
        const [here, there] = [s.length, 2 * s.length].map((length) => fixed(vector({ ...s, m, length })[0]));
        return [moved[m], false, `position ${m} is ${here} here, ${there} in a text twice as long`];
      }],
      even: ["even steps", (s) => {
        const { steps } = survey(s);
        const [low, high] = [d3.minIndex(steps), d3.maxIndex(steps)];
        const holds = steps[high] - steps[low] < DUST;
        const other = steps[high] - steps[s.m] < DUST ? low : high;
        const named = (m) => `${m} to ${m + 1} is ${fixed(steps[m])} long`;
        return [steps[s.m], holds, holds ? `each is ${fixed(steps[s.m])} long` : `${named(s.m)}, ${named(other)}`];
      }],
      distinct: ["distinct", (s) => {
        const { closest } = survey(s);
        return [closest, closest > DUST, `the closest two are ${fixed(closest)} apart`];
      }],
      near: ["neighbours nearest", (s) => {
        const { steps, nearest, nearby, misplaced } = survey(s);
        const m = example(misplaced, s.m);
        if (m < 0) return [steps[s.m], true, `none is nearer to ${s.m} than ${s.m + 1}, at ${fixed(steps[s.m])}`];
        return [nearby(m), false, `${nearest[m]} is nearer to ${m} (${fixed(nearby(m))}) than ${m + 1} is (${fixed(steps[m])})`];
      }],
      matrix: ["moving on is one matrix", (s) => {
        const [zero, one] = [0, 1].map((m) => vector({ ...s, m }));
        const nothing = zero.map(() => 0);
        if (distance(zero, nothing) > 0) {
          const miss = distance(oneOn(vector(s)), vector(s, 1));
          return [miss, miss < DUST, `it takes ${s.m} to ${s.m + 1}, and misses by ${fixed(miss)}`];
        }
        const length = distance(one, nothing);
        return [length, false, `position 0 is zero, which no matrix moves; position 1 is ${fixed(length)} long`];
      }],
    };

    stage.start(FIRST);
    const { marks, x, y } = stage.canvas({
      label: "The numbers of two neighbouring positions", width: WIDTH, height: HEIGHT, x: [0, 1], y: [-1, 1], margin: [8, 8, 8, 44],
    });
    for (const level of [-1, 0, 1]) {
      marks.append("line").attr("class", level ? "grid" : "axis").attr("x1", x(0)).attr("x2", x(1)).attr("y1", y(level)).attr("y2", y(level));
      const label = marks.append("text").attr("class", "hint").attr("x", x(0) - 6).attr("y", y(level)).attr("dy", "0.35em").attr("text-anchor", "end");
      stage.draw((shown) => label.text(String(level * limit(shown)).replace("-", "−")));
    }
    stage.draw((shown) => {
      const width = (x(1) - x(0)) / vector(shown).length;
      for (const [name, values] of [["here", vector(shown)], ["next", vector(shown, 1)]]) {
        const shift = name === "here" ? 0.12 : 0.52;
        const up = values.map((value) => y(value / limit(shown)));
        marks.selectAll(`rect.${name}`).data(up).join("rect").attr("class", `bar ${name}`)
          .attr("x", (_, i) => x(0) + (i + shift) * width).attr("width", Math.min(60, 0.36 * width))
          .attr("y", (at) => Math.min(at, y(0))).attr("height", (at) => Math.abs(at - y(0)));
      }
    });
    /** A vector in writing; of a long one the beginning. */
    const written = (s, step) => {
      const values = vector(s, step);
      if (s.scheme === "binary") return values.join(" ");
      return values.slice(0, 4).map(s.scheme === "integer" ? String : d3.format(".2f")).join(", ") + (values.length > 4 ? ", …" : "");
    };
    for (const [step, how] of [[0, "Filled"], [1, "Outlined"]]) {
      const key = stage.main.append("p").attr("class", "figure-key");
      stage.draw((_, s) => key.text(`${how}, position ${s.m + step}: ${written(s, step)}`));
    }

    stage.choice({ key: "scheme", label: "position as", options: Object.entries(schemes).map(([name, [label]]) => [name, label]) });
    stage.stops({ key: "m", label: "position <i>m</i>", values: ({ length }) => d3.range(length - 1) });
    stage.choice({
      key: "length", label: "length of the text", options: LENGTHS.map((length) => [length, String(length)]),
      set: (length) => ({ length, m: Math.min(stage.state.m, length - 2) }),
    });
    stage.reset();
    stage.readout({ name: "changed", label: "numbers that change from <i>m</i> to <i>m</i> + 1:", value: changed, format: String });

    // The laws have the whole width, below the drawing and its controls.
    stage.numbers = d3.select(stage.root).append("div").attr("class", "figure-numbers laws");
    for (const [name, [label, judge]] of Object.entries(laws)) {
      stage.readout({
        name, label, value: (s) => judge(s)[0],
        format: (_, s) => `${judge(s)[1] ? "✓ holds" : "✗ fails"}: ${judge(s)[2]}`,
      });
      stage.draw((_, s) => stage.numbers.select(`.number-${name}`).classed("fails", !judge(s)[1]));
    }
    stage.say((s) => {
      const broken = Object.values(laws).filter(([, judge]) => !judge(s)[1]).map(([label, judge]) => `${label}: ${judge(s)[2]}`);
      return `Position ${s.m} of ${s.length}, ${schemes[s.scheme][0]}: ${changed(s)} numbers change from ${s.m} to ${s.m + 1}. `
        + (broken.length ? `Laws that fail: ${broken.join("; ")}.` : "All six laws hold.");
    });
  }

  Figures.define("counting", { label: "Four ways to write down a position", needs: ["encodings"], mount });
})();
