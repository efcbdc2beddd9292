// Four ways to write down a position, and what a step to the next one changes.
(function () {
  "use strict";

  const FIRST = { scheme: "integer", m: 5, length: 16 };
  const DIGITS = 10; // of a binary number
  const DIM = 16; // of the sinusoids
  const LENGTHS = [16, 64, 256, 1024];
  const [WIDTH, HEIGHT] = [420, 210];

  const distance = (a, b) => Math.hypot(...a.map((value, i) => value - b[i]));

  function mount(stage, encodings) {
    const schemes = {
      integer: ["the number itself", (m) => [m]],
      fraction: ["number / length of the text", (m, length) => [m / length]],
      binary: [`${DIGITS} binary digits`, (m) => d3.range(DIGITS).map((i) => (m >> i) & 1)],
      waves: [`${DIM} sines and cosines`, (m) => encodings.sinusoidal(m, DIM)],
    };
    const vector = ({ scheme, m, length }, step = 0) => schemes[scheme][1](m + step, length);
    const largest = (s) => Math.max(...vector(s).map(Math.abs));
    const step = (s) => distance(vector(s), vector(s, 1));
    const changed = (s) => vector(s, 1).filter((value, i) => Math.abs(value - vector(s)[i]) > 1e-12).length;
    const longer = (s) => distance(vector(s), vector({ ...s, length: 2 * s.length }));
    const limit = ({ scheme, length }) => (scheme === "integer" ? length : 1);

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
    stage.main.append("p").attr("class", "figure-key").text("Filled: the vector of position m. Outlined: that of m + 1.");

    stage.choice({ key: "scheme", label: "position as", options: Object.entries(schemes).map(([name, [label]]) => [name, label]) });
    stage.stops({ key: "m", label: "position <i>m</i>", values: ({ length }) => d3.range(length - 1) });
    stage.choice({
      key: "length", label: "length of the text", options: LENGTHS.map((length) => [length, String(length)]),
      set: (length) => ({ length, m: Math.min(stage.state.m, length - 2) }),
    });
    stage.reset();
    stage.readout({ name: "largest", label: "largest number:", value: largest });
    stage.readout({ name: "step", label: "step to <i>m</i> + 1:", value: step });
    stage.readout({ name: "changed", label: "numbers that change:", value: changed, format: String });
    stage.readout({ name: "longer", label: "changes in a text twice as long by:", value: longer });
    stage.say((s) => `Position ${s.m} of ${s.length}, ${schemes[s.scheme][0]}: the step to the next is ${step(s).toFixed(3)}, `
      + `${changed(s)} numbers change; in a text twice as long the vector changes by ${longer(s).toFixed(3)}.`);
  }

  Figures.define("counting", { label: "Four ways to write down a position", needs: ["encodings"], mount });
})();
