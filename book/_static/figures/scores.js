// The scores of a window of tokens under eight encodings: which of them move when the whole window moves?
(function () {
  "use strict";

  const FIRST = { encoding: "sinusoidal", content: "same", offset: 0, cell: [11, 5] };
  const ENCODINGS = [
    ["none", "none"], ["learned", "learned"], ["sinusoidal", "sinusoidal"], ["shaw", "Shaw"],
    ["transformer-xl", "Transformer-XL"], ["t5", "T5"], ["deberta", "DeBERTa"], ["rope", "RoPE"],
  ];
  const CONTENTS = [["same", "all the same"], ["different", "all different"]];
  const LIMIT = 6; // no score is larger, and the colours end there
  const TICK = 5; // every fifth position is written out

  const spot = (state) => state.cellUnder ?? state.cell;
  const signed = (value) => d3.format(".3f")(value);
  const tint = (score) => (Math.abs(score) / LIMIT) ** 0.6; // faint scores are told apart better than strong ones

  /** Colour a cell by its score: strength, and one of two colours for the sign. */
  const paint = (cells, score) => cells.classed("below", (d) => score(d) < 0).attr("fill-opacity", (d) => tint(score(d)));

  /** A text that ends in a symbol, in italics. */
  const name = (text, words, symbol) => {
    text.append("tspan").text(`${words} `);
    text.append("tspan").attr("class", "symbol").text(symbol);
    return text;
  };

  /** Positions along one side of the matrix: every fifth, and the one of the chosen cell. */
  function positions(stage, marks, { count, place, of }) {
    const ticks = marks.append("g").attr("class", "ticks").selectAll("text").data(d3.range(0, count, TICK)).join("text")
      .each(function (index) { place(d3.select(this), index); });
    const here = marks.append("text").attr("class", "position");
    stage.draw((_, state) => {
      const chosen = of(spot(state));
      ticks.text((index) => index + state.offset).attr("display", (index) => (Math.abs(index - chosen) < 2 ? "none" : null));
      place(here, chosen).text(chosen + state.offset);
    });
  }

  /** What the colours mean. */
  function legend(marks, left, top) {
    const steps = d3.range(-LIMIT, LIMIT + 1);
    const [width, height] = [15, 13];
    const group = marks.append("g").attr("class", "legend").attr("transform", `translate(${left},${top})`);
    const swatches = group.selectAll("rect").data(steps).join("rect").attr("x", (_, i) => i * width)
      .attr("width", width).attr("height", height);
    paint(swatches.attr("class", "score"), (d) => d);
    group.append("path").attr("class", "minus")
      .attr("d", steps.slice(0, LIMIT).map((_, i) => `M${(i + 0.5) * width - 3},${height / 2}h6`).join(""));
    const label = (x, anchor, text) => group.append("text").attr("x", x).attr("y", height - 2).attr("text-anchor", anchor).text(text);
    label(-6, "end", `score  −${LIMIT}`);
    label(steps.length * width + 6, "start", LIMIT);
  }

  /** The matrix, a row for each query and a column for each key. */
  function matrix(stage, scores, count) {
    const canvas = stage.canvas({
      label: "The scores: a row for each query position m, a column for each key position n",
      width: 420, height: 456, margin: [6, 8, 82, 44], x: [0, count], y: [count, 0],
    });
    const { svg, marks, x, y } = canvas;
    const side = x(1) - x(0);
    const middle = (scale, index) => scale(index + 0.5);
    positions(stage, marks, {
      count, of: ([row]) => row,
      place: (text, row) => text.attr("x", x(0) - 6).attr("y", middle(y, row)).attr("text-anchor", "end").attr("dy", "0.35em"),
    });
    positions(stage, marks, {
      count, of: ([, column]) => column,
      place: (text, column) => text.attr("x", middle(x, column)).attr("y", y(count) + 16).attr("text-anchor", "middle"),
    });
    name(marks.append("text").attr("class", "axis-name").attr("x", middle(x, count / 2 - 0.5)).attr("y", y(count) + 36), "key position", "n");
    name(marks.append("text").attr("class", "axis-name")
      .attr("transform", `translate(12,${middle(y, count / 2 - 0.5)}) rotate(-90)`), "query position", "m");
    legend(marks, x(0) + 95, y(count) + 58);

    const cells = stage.grid(canvas, {
      key: "cell", label: "scores", size: [count, count],
      text: ([row, column], state) =>
        `m ${row + state.offset}, n ${column + state.offset}, score ${scores(state)[row][column].toFixed(2)}`,
    }).attr("class", "score");
    const above = svg.append("g").attr("class", "above").attr("aria-hidden", "true");
    const minus = above.append("path").attr("class", "minus");
    const diagonal = above.append("path").attr("class", "diagonal");
    const halo = above.append("rect").attr("class", "halo").attr("width", side).attr("height", side);
    const here = above.append("rect").attr("class", "chosen").attr("width", side).attr("height", side);
    stage.draw((_, state) => {
      const values = scores(state);
      const [row, column] = spot(state);
      paint(cells, ([i, j]) => values[i][j]);
      const negative = cells.data().filter(([i, j]) => values[i][j] < 0);
      minus.attr("d", negative.map(([i, j]) => `M${middle(x, j) - 3},${middle(y, i)}h6`).join(""));
      const alike = cells.data().filter(([i, j]) => i - j === row - column);
      diagonal.attr("d", alike.map(([i, j]) => `M${x(j)},${y(i)}h${side}v${side}h${-side}z`).join(""));
      for (const frame of [halo, here]) frame.attr("x", x(column)).attr("y", y(row));
    });
  }

  /** The score of the chosen pair at every offset, and the point where we are: level, or not. */
  function strip(stage, encodings) {
    const { marks, x, y } = stage.plot({
      label: "The score of the chosen pair at every offset", place: stage.side, width: 330, height: 170,
      title: "score of this pair against the offset", x: [0, encodings.farthest], y: [-LIMIT, LIMIT],
      xTicks: d3.range(0, encodings.farthest + 1, 16), yTicks: [-LIMIT, 0, LIMIT],
    });
    const curve = marks.append("path").attr("class", "curve");
    const beads = marks.append("g").attr("class", "beads");
    const stem = marks.append("line").attr("class", "stem").attr("y1", y(0));
    const dot = marks.append("circle").attr("class", "here").attr("r", 6.5);
    const offsets = d3.range(0, encodings.farthest + 1);
    stage.draw((_, state) => {
      const at = offsets.map((offset) => y(encodings.score(state.encoding, state.content, offset, spot(state))));
      curve.attr("d", d3.line((offset) => x(offset), (offset) => at[offset])(offsets));
      beads.selectAll("circle").data(offsets).join("circle").attr("r", 1.8).attr("cx", x).attr("cy", (offset) => at[offset]);
      stem.attr("x1", x(state.offset)).attr("x2", x(state.offset)).attr("y2", at[state.offset]);
      dot.attr("cx", x(state.offset)).attr("cy", at[state.offset]);
    });
  }

  function mount(stage, encodings) {
    const known = new Map();
    /** The matrix of a state; each is computed once. */
    function scores({ encoding, content, offset }) {
      const key = [encoding, content, offset].join();
      if (!known.has(key)) known.set(key, encodings.matrix(encoding, content, offset));
      return known.get(key);
    }
    const score = (state) => scores(state)[spot(state)[0]][spot(state)[1]];
    const change = (state) => {
      const before = scores({ ...state, offset: 0 }).flat();
      return d3.max(scores(state).flat(), (value, i) => Math.abs(value - before[i]));
    };

    stage.start(FIRST);
    matrix(stage, scores, encodings.tokens);
    stage.choice({ key: "encoding", label: "encoding", options: ENCODINGS });
    stage.choice({ key: "content", label: "tokens", options: CONTENTS });
    stage.slider({
      key: "offset", label: "offset of <i>m</i> and <i>n</i>", min: 0, max: encodings.farthest, step: 1,
    });
    stage.reset();
    const whole = d3.format("d");
    stage.readout({ name: "query", label: "<i>m</i> =", value: (s) => spot(s)[0] + s.offset, format: whole });
    stage.readout({ name: "key", label: "<i>n</i> =", value: (s) => spot(s)[1] + s.offset, format: whole });
    stage.readout({ name: "distance", label: "<i>r</i> = <i>m</i> − <i>n</i> =", value: (s) => spot(s)[0] - spot(s)[1], format: whole });
    stage.readout({ name: "score", label: "score =", value: score, format: signed });
    stage.readout({ name: "change", label: "largest change since offset 0 =", value: change, format: signed });
    strip(stage, encodings);
    stage.say((s) => {
      const [row, column] = spot(s);
      return `m ${row + s.offset}, n ${column + s.offset}, distance ${row - column}, score ${score(s).toFixed(2)}; `
        + `largest change since offset 0: ${change(s).toFixed(2)}.`;
    });
  }

  Figures.define("scores", { label: "Scores under eight encodings", needs: ["encodings"], mount });
})();
