// The stage a figure stands on: one state, and the things bound to it (drawings, sliders, handles, numbers).
//
//   stage.start({ m: 3, q: [1, 0] }, { glide: ["m"] })   the state; numbers named in glide ease to new values
//   stage.canvas({ label, width, height, x, y })         an SVG drawing with scales, above or beside the controls
//   stage.slider({ key: "m", label, min, max, step })    bound to state.m (or to any pair of functions get, set)
//   stage.choice({ key: "base", label, options })        a list to choose state.base from
//   stage.handle(canvas, { key: "q", label, step })      a point of the drawing to drag or move with arrow keys
//   stage.readout({ name, label, value, format })        a number, shown
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

    slider({ key, label, min, max, step, value, format = String, text = format, get = (s) => s[key], set = (v) => ({ [key]: v }) }) {
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

    /** A list to choose from; options are [value, label] pairs. */
    choice({ key, label, options }) {
      const id = `${this.id}-${key}`;
      this.controls ??= this.side.append("div").attr("class", "figure-controls");
      const row = this.controls.append("div").attr("class", "figure-choice");
      row.append("label").attr("for", id).html(label);
      const select = row.append("select").attr("id", id).attr("name", key);
      select.selectAll("option").data(options).join("option").attr("value", ([value]) => value).text(([, text]) => text);
      select.on("change", () => this.set({ [key]: select.property("value") }));
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

    readout({ name, label, value, format = (v) => d3.format(".3f")(v) }) {
      this.numbers ??= this.side.append("div").attr("class", "figure-numbers");
      const row = this.numbers.append("p").attr("class", `figure-number number-${name}`);
      row.append("span").html(label);
      const output = row.append("output").attr("aria-live", "off");
      this.draw((_, state) => {
        const now = value(state);
        this.root.dataset[name] = now;
        output.text(format(now));
      });
    }

    reset() {
      this.controls.append("button").attr("type", "button").attr("class", "figure-reset").text("Reset")
        .on("click", () => this.set(this.first));
    }
  }

  Figures.provide("stage", Stage);
})();
