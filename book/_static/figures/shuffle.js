// A sentence of the reader's own, whose words change places: what attention makes of it with and without positions.
// Nothing here was trained: the vector of a word comes from its letters by one formula, and so do the matrices. What a
// reader types is set as text, and never read as anything else.
(function () {
  "use strict";

  const DIM = 8;
  const MOST = 8; // words that are looked at
  const LETTERS = 11; // of a word that are shown
  const FIRST = { sentence: "dog bites man", order: [0, 1, 2], word: 0, positions: "none" };
  const SENTENCES = [FIRST.sentence, "the dog bites the man", "no no yes", "to be or not to be"];
  const POSITIONS = [["none", "none"], ["sinusoidal", "added at the input"]];
  const LIMIT = 3; // no number of an output is larger, and the colours end there
  const ROW = 30; // how high a row is, and where its parts begin
  const [TOP, LEFT, LOOKS, GETS, MOVED, WIDTH] = [46, 24, 122, 256, 376, 420];

  const fixed = (value) => value.toFixed(3);
  const cut = (word) => ([...word].length > LETTERS ? `${[...word].slice(0, LETTERS - 1).join("")}…` : word);

  /** The words of a sentence. */
  const split = (sentence) => sentence.split(/\s+/).filter(Boolean).slice(0, MOST);

  /** A whole number for a word, from its letters and their order. */
  const code = (word) => new TextEncoder().encode(word).reduce((sum, byte) => (sum * 31 + byte) % 65521, 0);

  Figures.provide("shuffle", Figures.library("encodings").then(({ noise, sinusoidal }) => {
    const row = (i, seed, size = 1) => Array.from({ length: DIM }, (_, j) => size * noise(i, j, seed));
    const matrix = (seed) => Array.from({ length: DIM }, (_, i) => row(i, seed, 1 / Math.sqrt(DIM)));
    const [wQuery, wKey, wValue] = [39, 60, 81].map(matrix);
    const dot = (a, b) => a.reduce((sum, value, j) => sum + value * b[j], 0);
    const times = (w, x) => w.map((each) => dot(each, x));
    const vector = (word) => row(code(word), 19);

    /** Weights and outputs of attention, a row for each of the words as they stand. */
    function attend(words, positions) {
      const x = words.map((word, m) => {
        const p = sinusoidal(m, DIM);
        return vector(word).map((value, j) => (positions === "none" ? value : value + p[j]));
      });
      const [queries, keys, values] = [wQuery, wKey, wValue].map((w) => x.map((each) => times(w, each)));
      const weights = queries.map((query) => {
        const scores = keys.map((key) => dot(query, key) / Math.sqrt(DIM));
        const most = Math.max(...scores);
        const positive = scores.map((score) => Math.exp(score - most));
        const sum = positive.reduce((a, b) => a + b, 0);
        return positive.map((each) => each / sum);
      });
      const outputs = weights.map((each) => wValue.map((_, i) => dot(each, values.map((value) => value[i]))));
      return { weights, outputs };
    }

    return { split, code, vector, attend };
  }));

  /** What there is to know of a state: the words as typed, and as they stand, with weights, outputs and how far each moved. */
  function look({ split, attend }, { sentence, order, positions }) {
    const typed = split(sentence);
    const before = attend(typed, positions).outputs;
    const { weights, outputs } = attend(order.map((word) => typed[word]), positions);
    const rows = order.map((word, place) => ({
      word, place, name: typed[word], weights: weights[place], output: outputs[place],
      moved: Math.hypot(...outputs[place].map((value, j) => value - before[word][j])),
    }));
    return { rows, most: d3.max(rows, ({ moved }) => moved) ?? 0 };
  }

  /** The order after the word at one place has gone to another. */
  function carried(order, from, to) {
    const next = order.filter((_, place) => place !== from);
    next.splice(to, 0, order[from]);
    return next;
  }

  /** Another order than this, by chance, wherever there is one. */
  function shuffled(order) {
    if (order.length < 2) return order;
    const keys = order.map(() => Math.random());
    const next = d3.range(order.length).sort((a, b) => keys[a] - keys[b]).map((place) => order[place]);
    return String(next) === String(order) ? carried(order, 0, order.length - 1) : next;
  }

  /** The field to type in. The arrow keys up and down bring ready-made sentences. */
  function field(stage, split) {
    const id = `${stage.id}-sentence`;
    const box = stage.main.append("div").attr("class", "sentence");
    box.append("label").attr("for", id).text(`Your sentence, up to ${MOST} words (↑ ↓ for others)`);
    const input = box.append("input").attr("type", "text").attr("id", id).attr("name", "sentence").attr("maxlength", 90)
      .attr("autocomplete", "off").attr("autocapitalize", "off").attr("spellcheck", "false");
    const say = (sentence) => stage.set({ sentence, order: d3.range(split(sentence).length), word: 0 });
    input.on("input", () => say(input.property("value")));
    input.on("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const here = Math.max(0, SENTENCES.indexOf(stage.state.sentence));
      say(SENTENCES[(here + step + SENTENCES.length) % SENTENCES.length]);
    });
    stage.draw((_, { sentence }) => {
      if (input.property("value") !== sentence) input.property("value", sentence);
    });
  }

  /** One row for each word: where it stands, where it looks, what it receives, how far that has moved. */
  function list(stage, look) {
    const { svg, marks, handles } = stage.canvas({
      label: "The words in their order, with their weights and outputs",
      width: WIDTH, height: TOP, x: [0, 1], y: [0, 1],
    });
    const title = (x, text) => marks.append("text").attr("class", "hint").attr("x", x).attr("y", 14).text(text);
    title(LEFT - 20, "position, word");
    title(LOOKS, "looks at position");
    title(GETS, "receives");
    title(WIDTH - 4, "moved by").attr("text-anchor", "end");
    const numbers = marks.append("g").attr("class", "ticks");
    const box = handles.append("g").attr("class", "words").attr("tabindex", 0).attr("role", "listbox").attr("aria-label", "words");
    const ring = box.append("rect").attr("class", "ring").attr("y", TOP - 3).attr("width", WIDTH);
    const option = ({ word }) => `${stage.id}-word-${word}`;
    const middle = (place) => TOP + (place + 0.5) * ROW;
    const go = (to) => {
      const { order, word } = stage.state;
      const from = order.indexOf(word);
      if (to >= 0 && to < order.length && to !== from) stage.set({ order: carried(order, from, to) });
    };

    box.on("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      const { order, word } = stage.state;
      if (!step || !order.length) return;
      event.preventDefault();
      const place = order.indexOf(word) + step;
      if (event.altKey || event.ctrlKey) go(place);
      else if (place >= 0 && place < order.length) stage.set({ word: order[place] });
    });
    const drag = d3.drag().container(svg.node()).subject((_, { word }) => ({ x: 0, y: middle(stage.state.order.indexOf(word)) }))
      .on("start", (_, { word }) => stage.set({ word }))
      .on("drag", ({ y }) => go(Math.min(stage.state.order.length - 1, Math.max(0, Math.floor((y - TOP) / ROW)))));

    stage.draw((_, state) => {
      const { rows } = look(state);
      const steady = d3.range(rows.length).map((word) => rows.find((row) => row.word === word)); // nothing in the page is reordered
      const wide = (GETS - LOOKS - 14) / Math.max(rows.length, 3);
      const height = Math.max(2, rows.length) * ROW + 6;
      svg.attr("viewBox", `0 0 ${WIDTH} ${TOP + height}`);
      ring.attr("height", height);
      numbers.selectAll("text").data(rows).join("text").attr("text-anchor", "middle")
        .attr("x", (_, n) => LOOKS + (n + 0.5) * wide).attr("y", TOP - 12).text((_, n) => n);

      const row = box.selectAll("g.word").data(steady).join((enter) => {
        const group = enter.append("g").attr("class", "word").attr("role", "option").attr("id", option);
        group.append("rect").attr("class", "strip").attr("y", 1).attr("width", WIDTH).attr("height", ROW - 2);
        group.append("text").attr("class", "place").attr("x", LEFT - 8).attr("text-anchor", "end");
        group.append("text").attr("class", "name").attr("x", LEFT);
        for (const part of ["looks", "gets"]) group.append("g").attr("class", part);
        group.append("path").attr("class", "minus");
        group.append("text").attr("class", "moved").attr("x", WIDTH - 6).attr("text-anchor", "end");
        group.append("rect").attr("class", "grip").attr("width", LOOKS - 4).call(drag);
        group.selectAll("text").attr("y", ROW / 2).attr("dy", "0.35em");
        return group.on("click", (_, { word }) => stage.set({ word }));
      });
      row.select(".grip").attr("height", ROW);
      row.style("transform", ({ place }) => `translate(0px,${TOP + place * ROW}px)`)
        .classed("chosen", ({ word }) => word === state.word)
        .attr("aria-selected", ({ word }) => word === state.word)
        .attr("aria-posinset", ({ place }) => place + 1).attr("aria-setsize", rows.length)
        .attr("aria-label", ({ name, place, weights, moved }) =>
          `position ${place}: ${name}, weights ${weights.map((weight) => weight.toFixed(2)).join(" ")}, output moved by ${fixed(moved)}`);
      row.select(".place").text(({ place }) => place);
      row.select(".name").text(({ name }) => cut(name));
      row.select(".moved").text(({ moved }) => moved.toFixed(2)).classed("still", ({ moved }) => moved < 0.005);
      row.select(".looks").selectAll("rect").data(({ weights }) => weights).join("rect").attr("class", "weight")
        .attr("x", (_, n) => LOOKS + n * wide).attr("y", 3).attr("width", wide - 1).attr("height", ROW - 6)
        .attr("fill-opacity", (weight) => 0.75 * weight);
      row.select(".looks").selectAll("text").data(({ weights }) => (rows.length > 5 ? [] : weights)).join("text")
        .attr("x", (_, n) => LOOKS + (n + 0.5) * wide).attr("y", ROW / 2).attr("dy", "0.35em").attr("text-anchor", "middle")
        .text((weight) => weight.toFixed(2).replace("0.", "."));
      const side = (MOVED - GETS - 8) / DIM;
      row.select(".gets").selectAll("rect").data(({ output }) => output).join("rect")
        .attr("class", (value) => (value < 0 ? "number below" : "number"))
        .attr("x", (_, i) => GETS + i * side).attr("y", 3).attr("width", side - 1).attr("height", ROW - 6)
        .attr("fill-opacity", (value) => Math.min(1, Math.abs(value) / LIMIT) ** 0.6);
      row.select(".minus").attr("d", ({ output }) =>
        output.map((value, i) => (value < 0 ? `M${GETS + (i + 0.5) * side - 3.5},${ROW / 2}h6` : "")).join(""));
      box.attr("aria-activedescendant", rows.length ? option({ word: state.word }) : null);
    });
    return go;
  }

  function mount(stage, words) {
    const known = new Map();
    /** What a state shows; each is computed once. */
    function seen(state) {
      const key = JSON.stringify([state.sentence, state.order, state.positions]);
      if (!known.has(key)) known.set(key, look(words, state));
      return known.get(key);
    }
    const ordered = (state) => seen(state).rows.map(({ name }) => name).join(" ");

    stage.start(FIRST);
    field(stage, words.split);
    list(stage, seen);
    stage.choice({ key: "positions", label: "positions", options: POSITIONS });
    const place = ({ order, word }) => order.indexOf(word);
    const move = (label, step) => stage.button({
      label: () => label,
      set: (state) => {
        const to = place(state) + step;
        return to < 0 || to >= state.order.length ? {} : { order: carried(state.order, place(state), to) };
      },
    });
    move("Move up", -1);
    move("Move down", 1);
    stage.button({ label: () => "Shuffle", set: ({ order }) => ({ order: shuffled(order) }) });
    stage.reset();
    stage.readout({ name: "most", label: "largest move of an output:", value: (state) => seen(state).most, format: fixed });
    const note = stage.side.append("p").attr("class", "figure-key");
    note.text("Choose a word, and drag it by its name or move it with the buttons (with the keyboard: Alt and an arrow). "
      + "The last column says how far its output is from what it was in the order in which you typed.");
    stage.say((state) => `The order is ${ordered(state) || "empty"}. Positions: `
      + `${state.positions === "none" ? "none" : "added at the input"}. The largest move of an output is ${fixed(seen(state).most)}.`);
  }

  Figures.define("shuffle", { label: "Attention and the order of words", needs: ["shuffle"], mount });
})();
