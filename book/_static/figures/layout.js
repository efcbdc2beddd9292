// The layout permuter: which cells turn together, and what becomes of a score when the order of the rows does not fit.
// The weights were trained in the interleaved layout; conversion lists the first members of all pairs, then the second.
(function () {
  "use strict";

  const FIRST = { m: 6, d: 8, layout: "interleaved", converted: 0 };
  const BASE = 100; // small, so that the slowest pair turns as well
  const VECTORS = {
    q: [1.2, -0.7, 0.9, 1.1, -1.3, 0.5, 0.8, -1.0, 0.6, 1.2, -0.9, 0.7, 1.0, -0.5, -1.1, 0.8],
    k: [0.8, 1.0, -1.2, 0.6, 0.9, -0.8, 1.1, 0.7, -0.6, 0.9, 1.2, -0.7, 0.5, 1.0, -0.9, 1.1],
  };
  const LETTERS = "abcdefgh";
  const WIDTH = 420;
  const EDGE = 6; // left and right of the cells
  const [TOP, TALL] = [88, 40]; // the cells
  const STRIPS = { q: 224, k: 344 }; // the zero lines of the bars
  const UNIT = 24; // how high a bar of 1 is

  const letter = (cell) => LETTERS[Math.floor(cell / 2)];
  const name = (cell) => letter(cell) + (cell % 2 ? "′" : "");
  const between = (a, b, t) => a + (b - a) * t;

  /** Eight hatches, one for each letter: lines at an angle, dots, or a grid. */
  function hatches(svg, id) {
    const drawing = ["M0,8L8,0", "M0,0L8,8", "M4,0V8", "M0,4H8", "M4,0V8M0,4H8", "M0,8L8,0M0,0L8,8", "M4,3.2V4.8M0,0V1M8,7V8", "M0,2H8M0,5H8"];
    svg.append("defs").selectAll("pattern").data(drawing).join("pattern").attr("id", (_, i) => `${id}-${LETTERS[i]}`)
      .attr("width", 8).attr("height", 8).attr("patternUnits", "userSpaceOnUse")
      .append("path").attr("class", "hatch").attr("d", String);
  }

  function mount(stage, rope) {
    /** The vectors as the weights give them, and their turn as the program makes it. */
    const arranged = (key, { d, converted }) => {
      const x = VECTORS[key].slice(0, d);
      return converted ? rope.toHalf(x) : x;
    };
    const turned = (x, { d, layout, m }) => (layout === "half" ? rope.rotateHalf : rope.rotate)(x, m, rope.frequencies(d, BASE));
    const place = (cell, { d, converted }) => (converted ? Math.floor(cell / 2) + (cell % 2) * (d / 2) : cell);
    const trained = ({ d, m }) => rope.score(VECTORS.q.slice(0, d), VECTORS.k.slice(0, d), m, 0, rope.frequencies(d, BASE));
    const here = (s) => rope.dot(turned(arranged("q", s), s), arranged("k", s));
    const gap = (s) => Math.abs(here(s) - trained(s));
    const agree = (s) => gap(s) < 1e-9;

    /** The two columns of each pair that the program turns. */
    const pairs = ({ d, layout }) => d3.range(d / 2).map((i) => (layout === "half" ? [i, i + d / 2] : [2 * i, 2 * i + 1]));

    function picture() {
      const { svg, marks } = stage.canvas({ label: "The cells, and what turns together", width: WIDTH, height: 392, x: [0, 1], y: [0, 1] });
      hatches(svg, stage.id);
      const arcs = marks.append("g").attr("class", "arcs");
      const strips = {};
      const symbol = (letter) => `<tspan class="symbol">${letter}</tspan>`;
      const titles = { q: `${symbol("q")} turned to position ${symbol("m")} (outline: before)`, k: `${symbol("k")} at position 0` };
      for (const key of ["q", "k"]) {
        const zero = STRIPS[key];
        marks.append("line").attr("class", "axis").attr("x1", EDGE).attr("x2", WIDTH - EDGE).attr("y1", zero).attr("y2", zero);
        marks.append("text").attr("class", "hint").attr("x", EDGE).attr("y", zero - 52).html(titles[key]);
        strips[key] = marks.append("g").attr("class", `vector-${key}`);
      }
      const cells = marks.append("g").attr("class", "cells");

      stage.draw((shown, state) => {
        const { d } = state;
        const column = (WIDTH - 2 * EDGE) / d;
        const middle = (at) => EDGE + column * (at + 0.5);
        const wide = Math.min(column - 4, TALL);
        const t = shown.converted;
        const [plain, moved] = [0, 1].map((converted) => ({ ...state, m: shown.m, converted }));
        const at = (cell) => middle(between(place(cell, plain), place(cell, moved), t));
        const value = (key, cell, turn) => {
          const [a, b] = [plain, moved].map((s) => {
            const x = arranged(key, s);
            return (turn ? turned(x, s) : x)[place(cell, s)];
          });
          return between(a, b, t);
        };
        // While they change places, cells on their way to the right pass above those on their way to the left.
        const hop = (cell) => -0.55 * TALL * Math.sin(Math.PI * t) * Math.sign(place(cell, moved) - place(cell, plain));

        const all = d3.range(d);
        const cell = cells.selectAll("g").data(all).join((enter) => {
          const group = enter.append("g").attr("class", "cell");
          for (const part of ["ground", "texture", "frame"]) group.append("rect").attr("class", part);
          group.append("text").attr("class", "letter");
          group.append("text").attr("class", "origin");
          return group;
        });
        cell.attr("transform", (j) => `translate(${at(j)},${TOP + TALL / 2 + hop(j)})`);
        cell.selectAll("rect").attr("x", -wide / 2).attr("y", -TALL / 2).attr("width", wide).attr("height", TALL).attr("rx", 3);
        cell.select(".texture").attr("fill", (j) => `url(#${stage.id}-${letter(j)})`);
        cell.select(".letter").text(name);
        cell.select(".origin").attr("y", TALL / 2 + 14).text(String);

        const owner = all.map((_, spot) => all.find((j) => place(j, state) === spot));
        const arc = arcs.selectAll("g").data(pairs(state)).join((enter) => {
          const group = enter.append("g");
          group.append("path");
          stage.math(group.append("text"), "θ_0");
          return group;
        });
        arc.attr("class", ([a, b]) => (letter(owner[a]) === letter(owner[b]) ? "arc" : "arc wrong"));
        const rise = (state.layout === "half" ? 78 : 42);
        arc.select("path").attr("d", ([a, b]) => {
          const [x, y, to] = [middle(a), TOP - 3, middle(b)];
          return `M${x},${y}C${x},${y - rise} ${to},${y - rise} ${to},${y}`;
        });
        arc.select("text").attr("x", ([a, b]) => (middle(a) + middle(b)) / 2).attr("y", TOP - 3 - 0.75 * rise - 12);
        arc.select(".sub").text((_, i) => i);

        for (const key of ["q", "k"]) {
          const bar = strips[key].selectAll("g").data(all).join((enter) => {
            const group = enter.append("g").attr("class", "bar");
            group.append("rect").attr("class", "now");
            if (key === "q") group.append("rect").attr("class", "before");
            return group;
          });
          bar.attr("transform", (j) => `translate(${at(j)},${STRIPS[key]})`);
          const draw = (rect, width, turn) => rect.attr("x", -width / 2).attr("width", width)
            .attr("y", (j) => Math.min(0, -UNIT * value(key, j, turn))).attr("height", (j) => Math.abs(UNIT * value(key, j, turn)));
          draw(bar.select(".now"), 0.42 * column, key === "q");
          draw(bar.select(".before"), 0.66 * column, false);
        }
      });
    }

    stage.start(FIRST, { glide: ["m", "converted"] });
    picture();
    stage.readout({ name: "trained", label: "score as trained =", value: trained });
    stage.readout({ name: "here", label: "score here =", value: here });
    stage.readout({
      name: "gap", label: "the scores", value: gap, format: (difference, s) => (agree(s) ? "agree" : `differ by ${difference.toFixed(3)}`),
    });
    stage.choice({ key: "layout", label: "layout", options: [["interleaved", "interleaved"], ["half", "half"]] });
    stage.slider({ key: "m", label: "position <i>m</i>", min: 0, max: 32, step: 1 });
    stage.choice({ key: "d", label: "dimensions <i>d</i>", options: [[8, "8"], [16, "16"]] });
    stage.button({
      label: ({ converted }) => (converted ? "Convert the weights back" : "Convert the weights"),
      set: ({ converted }) => ({ converted: 1 - converted }),
    });
    stage.reset();
    stage.say((s) => `${s.layout === "half" ? "Half" : "Interleaved"} layout, weights ${s.converted ? "converted" : "as trained"}, `
      + `position ${s.m}: the scores ${agree(s) ? "agree" : `differ by ${gap(s).toFixed(2)}`}.`);
  }

  Figures.define("layout", { label: "Two layouts of a head", needs: ["rope"], mount });
})();
