// The stage a figure stands on: one state, and the things bound to it (drawings, sliders, handles, numbers).
//
//   stage.start({ m: 3, q: [1, 0] }, { glide: ["m"] })   the state; numbers named in glide ease to new values
//   stage.canvas({ label, width, height, x, y })         an SVG drawing with scales, above or beside the controls
//   stage.plot({ label, …, title, end })                 a canvas with ticks and a title
//   stage.slider({ key: "m", label, min, max, step })    bound to state.m (or to any pair of functions get, set)
//   stage.stops({ key: "m", label, values })             a slider over a list of numbers, such as stage.counts(last)
//   stage.choice({ key: "base", label, options })        a list to choose state.base from
//   stage.handle(canvas, { key: "q", label, step })      a point of the drawing to drag or move with arrow keys
//   stage.grid(canvas, { key: "cell", label, size })     cells of the drawing to point at or walk through
//   stage.readout({ name, label, value, format })        a number, shown
//   stage.button({ label, set })                         a button; both are functions of the state
//   stage.reset()                                        a button that brings the first state back
//   stage.draw((shown, state) => …)                      called after each change; shown has the eased numbers
//   stage.say((state) => "…")                            one sentence for screen readers once things are still
//
// The root carries the state as JSON in data-state, and each readout in full as data-NAME.
// Labels are HTML in the controls; in drawings stage.math(selection, "R_m q") sets italics and subscripts.
(function () {
  "use strict";

  const GLIDE = 300; // milliseconds
  const QUIET = 800; // a change is spoken when nothing has moved for this long
  const LEAP = 5; // Shift multiplies a keyboard step by this

  const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let count = 0;

  /** Round off the dust that adding steps of 0.1 leaves. */
  const clean = (value) => Number(value.toFixed(9));

  class Stage {
    constructor({ name, label, description }) {
      this.id = `figure-${name}-${++count}`;
      this.root = d3.create("div").attr("class", `live-figure live-${name}`).attr("role", "group")
        .attr("aria-label", label).node();
      this.description = description;
      const body = d3.select(this.root).append("div").attr("class", "figure-body");
      this.main = body.append("div").attr("class", "figure-main");
      this.side = body.append("div").attr("class", "figure-side");
      this.voice = d3.select(this.root).append("p").attr("class", "figure-voice").attr("aria-live", "polite");
      this.listeners = [];
      this.sentence = null;
    }

    // ---- state

    start(state, { glide = [] } = {}) {
      this.first = structuredClone(state);
      this.state = structuredClone(state);
      this.shown = structuredClone(state);
      this.glide = glide;
    }

    /** Show the first state; called once, when everything is in place. */
    open() {
      this.render();
    }

    set(patch) {
      Object.assign(this.state, structuredClone(patch));
      this.speakSoon();
      this.ease();
    }

    /** Let the shown numbers run to the state's, at once where the reader asked for less motion. */
    ease() {
      const target = this.state;
      const from = { ...this.shown };
      const moving = still.matches ? [] : this.glide.filter((key) => from[key] !== target[key]);
      this.timer?.stop();
      const step = (elapsed) => {
        const t = moving.length ? Math.min(1, elapsed / GLIDE) : 1;
        this.shown = { ...target };
        if (t < 1) for (const key of moving) this.shown[key] = from[key] + (target[key] - from[key]) * d3.easeCubicOut(t);
        if (t === 1) this.timer?.stop();
        this.render();
      };
      step(0);
      if (moving.length) this.timer = d3.timer(step);
    }

    draw(listener) {
      this.listeners.push(listener);
    }

    render() {
      this.root.dataset.state = JSON.stringify(this.state);
      for (const listener of this.listeners) listener(this.shown, this.state);
    }

    say(sentence) {
      this.sentence = sentence;
    }

    speakSoon() {
      clearTimeout(this.silence);
      this.silence = setTimeout(() => this.voice.text(this.sentence?.(this.state) ?? ""), QUIET);
    }

    // ---- drawings

    /** An SVG with linear scales x and y (y up); marks is hidden from assistive technology, handles is not. */
    canvas({ label, width, height, x, y, margin = 0, place = this.main }) {
      const svg = place.append("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("class", "figure-canvas")
        .attr("role", "group").attr("aria-label", label);
      if (place === this.main) svg.append("desc").text(this.description);
      const [top, right, bottom, left] = [margin].flat().length === 4 ? margin : Array(4).fill(margin);
      return {
        svg,
        marks: svg.append("g").attr("aria-hidden", "true"),
        handles: svg.append("g"),
        x: d3.scaleLinear(x, [left, width - right]),
        y: d3.scaleLinear(y, [height - bottom, top]),
      };
    }

    /** A canvas with axes: ticks below and on the left, a line at y = 0, a title, and a formula near the end of x. */
    plot({ x, y, xTicks, yTicks, title, end, margin = [26, 14, 24, 30], ...rest }) {
      const plot = this.canvas({ x, y, margin, ...rest });
      const { marks, x: across, y: up } = plot;
      marks.append("g").attr("class", "ticks").attr("transform", `translate(0,${up(y[0])})`)
        .call(d3.axisBottom(across).tickValues(xTicks).tickSize(4).tickPadding(5).offset(0));
      marks.append("g").attr("class", "ticks").attr("transform", `translate(${across(x[0])},0)`)
        .call(d3.axisLeft(up).tickValues(yTicks).tickSize(4).tickPadding(4).offset(0));
      marks.append("line").attr("class", "axis").attr("x1", across(x[0])).attr("x2", across(x[1]))
        .attr("y1", up(0)).attr("y2", up(0));
      marks.append("text").attr("class", "title").attr("x", across(x[0])).attr("y", 14).text(title);
      const middle = (across(xTicks.at(-1)) + across(xTicks.at(-2))) / 2;
      if (end) this.math(marks.append("text").attr("class", "ends").attr("x", middle).attr("y", up(y[0]) + 13), end);
      return plot;
    }

    /** An arrow from the origin; gives a function that points it at [x, y]. */
    arrow({ marks, x, y }, className) {
      const group = marks.append("g").attr("class", `arrow ${className}`);
      const line = group.append("line").attr("x1", x(0)).attr("y1", y(0));
      const head = group.append("path").attr("d", "M0,0L-14,5.5L-11,0L-14,-5.5Z");
      return (tip) => {
        const [px, py] = [x(tip[0]), y(tip[1])];
        const turn = Math.atan2(py - y(0), px - x(0));
        line.attr("x2", px - 10 * Math.cos(turn)).attr("y2", py - 10 * Math.sin(turn));
        head.attr("transform", `translate(${px},${py}) rotate(${(turn * 180) / Math.PI})`);
      };
    }

    /** Write "R_m q" in italics with its subscript. */
    math(text, formula) {
      text.classed("math-label", true);
      let below = false;
      for (const piece of formula.split(/(_\w)/).filter(Boolean)) {
        const sub = piece.startsWith("_");
        text.append("tspan").classed("sub", sub).text(sub ? piece.slice(1) : piece)
          .attr("dy", sub ? "0.35em" : below ? "-0.25em" : null);
        below = sub;
      }
      return text;
    }

    // ---- controls

    slider({ key, label, min, max, step, format = String, text = format, get = (s) => s[key], set = (v) => ({ [key]: v }) }) {
      const id = `${this.id}-${key}`;
      this.controls ??= this.side.append("div").attr("class", "figure-controls");
      const row = this.controls.append("div").attr("class", "figure-slider");
      row.append("label").attr("for", id).html(label);
      const input = row.append("input").attr("type", "range").attr("id", id).attr("name", key)
        .attr("min", min).attr("max", max).attr("step", step);
      const output = row.append("output").attr("for", id).attr("aria-live", "off");
      const change = (next) => this.set(set(next, this.state));
      input.on("input", () => change(input.node().valueAsNumber));
      input.on("keydown", (event) => {
        const turn = ARROWS[event.key];
        if (!turn || !event.shiftKey) return;
        event.preventDefault();
        input.node().valueAsNumber += LEAP * step * (turn[0] + turn[1]);
        change(input.node().valueAsNumber);
      });
      this.draw((_, state) => {
        const now = get(state);
        input.property("value", now).attr("aria-valuetext", text(now, state));
        output.text(format(now, state));
      });
      return input;
    }

    /** A slider over the numbers that values(state) lists in increasing order; the list may change with the state. */
    stops({ key, values, set = (value) => ({ [key]: value }), format = (value) => d3.format(",")(value), ...rest }) {
      this.draw((_, state) => input.attr("max", values(state).length - 1));
      const input = this.slider({
        key, min: 0, max: 0, step: 1, ...rest,
        get: (state) => d3.bisectLeft(values(state), state[key]),
        set: (place, state) => set(values(state)[place], state),
        format: (_, state) => format(state[key], state),
      });
      return input;
    }

    /** 0 to last: every number up to 100, then by tens up to 1000, by hundreds up to 10000, and so on. */
    counts(last) {
      const steps = d3.range(2, Math.max(2, Math.ceil(Math.log10(last)))).map((power) => 10 ** power);
      const all = [...d3.range(100), ...steps.flatMap((step) => d3.range(step, 10 * step, step / 10))];
      return [...all.filter((count) => count < last), last];
    }

    /** Twenty numbers to a factor of ten, of two digits each: 10, 11, 13, 14, 16, … */
    decades(low, high) {
      return d3.range(20 * Math.log10(low), 20 * Math.log10(high) + 0.5).map((i) => Number((10 ** (i / 20)).toPrecision(2)));
    }

    /** A list to choose from; options are [value, label] pairs. */
    choice({ key, label, options, set = (value) => ({ [key]: value }) }) {
      const id = `${this.id}-${key}`;
      this.controls ??= this.side.append("div").attr("class", "figure-controls");
      const row = this.controls.append("div").attr("class", "figure-choice");
      row.append("label").attr("for", id).html(label);
      const select = row.append("select").attr("id", id).attr("name", key);
      select.selectAll("option").data(options).join("option").attr("value", ([value]) => value).text(([, text]) => text);
      select.on("change", () => this.set(set(options[select.property("selectedIndex")][0], this.state)));
      this.draw((_, state) => select.property("value", state[key]));
      return select;
    }

    /** A point to drag (mouse, pen, touch) or to move with arrow keys. `limit` keeps it where it may go. */
    handle({ svg, handles, x, y }, { key, label, step = 0.1, limit = (point) => point, shape = d3.symbolCircle }) {
      const [low, high] = x.domain();
      const group = handles.append("g").attr("class", `handle handle-${key}`).attr("data-key", key)
        .attr("tabindex", 0).attr("role", "slider").attr("aria-label", label).attr("aria-roledescription", "movable point")
        .attr("aria-valuemin", low).attr("aria-valuemax", high);
      group.append("circle").attr("class", "reach").attr("r", 26);
      group.append("circle").attr("class", "ring").attr("r", 15);
      group.append("path").attr("class", "knob").attr("d", d3.symbol(shape, 130));
      const move = (point) => this.set({ [key]: limit(point).map(clean) });
      group.call(d3.drag().container(svg.node())
        .subject(() => ({ x: x(this.state[key][0]), y: y(this.state[key][1]) }))
        .on("start drag end", (event) => {
          group.classed("dragged", event.type !== "end");
          if (event.type === "drag") move([x.invert(event.x), y.invert(event.y)]);
        }));
      group.on("keydown", (event) => {
        const arrow = ARROWS[event.key];
        if (!arrow) return;
        event.preventDefault();
        const size = step * (event.shiftKey ? LEAP : 1);
        move(this.state[key].map((value, axis) => value + size * arrow[axis]));
      });
      this.draw((_, state) => {
        const [a, b] = state[key];
        group.attr("transform", `translate(${x(a)},${y(b)})`).attr("aria-valuenow", a)
          .attr("aria-valuetext", `x ${a.toFixed(2)}, y ${b.toFixed(2)}`);
      });
      return group;
    }

    /**
     * Cells to point at: row i, column j covers x from j to j + 1 and y from i to i + 1. A click, a tap or the arrow
     * keys choose state[key] = [row, column]; a mouse that rests on a cell puts it in state[over], null elsewhere.
     * text([row, column], state) is what a screen reader says of a cell. Gives the cells, for the figure to colour.
     */
    grid({ handles, x, y }, { key, over = `${key}Under`, label, size: [rows, columns], text }) {
      for (const state of [this.first, this.state, this.shown]) state[over] = null;
      const id = (cell) => `${this.id}-${key}-${cell.join("-")}`;
      const grid = handles.append("g").attr("class", `figure-grid grid-${key}`).attr("role", "grid")
        .attr("tabindex", 0).attr("aria-label", label).attr("aria-readonly", true);
      const cells = grid.selectAll("g").data(d3.range(rows)).join("g").attr("role", "row")
        .selectAll("rect").data((row) => d3.range(columns).map((column) => [row, column])).join("rect")
        .attr("role", "gridcell").attr("id", id).attr("x", ([, j]) => x(j)).attr("y", ([i]) => y(i))
        .attr("width", x(1) - x(0)).attr("height", y(1) - y(0));
      grid.append("rect").attr("class", "ring").attr("x", x(0)).attr("y", y(0))
        .attr("width", x(columns) - x(0)).attr("height", y(rows) - y(0));
      cells.on("click", (_, cell) => this.set({ [key]: cell }));
      cells.on("pointerenter", (event, cell) => event.pointerType === "mouse" && this.set({ [over]: cell }));
      grid.on("pointerleave", () => this.state[over] && this.set({ [over]: null }));
      grid.on("keydown", (event) => {
        const arrow = ARROWS[event.key];
        if (!arrow) return;
        event.preventDefault();
        const leap = event.shiftKey ? LEAP : 1;
        const [row, column] = this.state[key];
        const inside = (value, count) => Math.min(count - 1, Math.max(0, value));
        this.set({ [key]: [inside(row - leap * arrow[1], rows), inside(column + leap * arrow[0], columns)], [over]: null });
      });
      this.draw((_, state) => {
        grid.attr("aria-activedescendant", id(state[key]));
        cells.attr("aria-label", (cell) => text(cell, state)).attr("aria-selected", (cell) => String(cell) === String(state[key]));
      });
      return cells;
    }

    readout({ name, label, value, format = (v) => d3.format(".3f")(v) }) {
      this.numbers ??= this.side.append("div").attr("class", "figure-numbers");
      const row = this.numbers.append("p").attr("class", `figure-number number-${name}`);
      row.append("span").html(label);
      const output = row.append("output").attr("aria-live", "off");
      this.draw((_, state) => {
        const now = value(state);
        this.root.dataset[name] = now;
        output.text(format(now, state));
      });
    }

    button({ label, set }) {
      const button = this.controls.append("button").attr("type", "button").attr("class", "figure-button")
        .on("click", () => this.set(set(this.state)));
      this.draw((_, state) => button.text(label(state)));
    }

    reset() {
      this.button({ label: () => "Reset", set: () => this.first });
    }
  }

  Figures.provide("stage", Stage);
})();
