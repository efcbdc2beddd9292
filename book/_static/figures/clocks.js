// A wall of clocks: one hand for each pair of dimensions, and how far it gets within a context.
(function () {
  "use strict";

  const SIZE = 420; // of the wall
  const LABEL = 17; // what a clock's label takes below it
  const FIRST = { m: 20, base: 10000, d: 32, context: 4096 };
  const DIMS = [8, 16, 32, 64];
  const CONTEXTS = [512, 2048, 4096, 8192, 32768, 131072];

  const short = (value) => d3.format(".3s")(value); // 6.28, 353, 35.3k
  const long = (value) => d3.format(",.0f")(value);

  /** Where n clocks hang: rows of equal length, the fastest first. */
  function places(n) {
    const columns = Math.ceil(Math.sqrt(n));
    const cell = SIZE / columns;
    return d3.range(n).map((i) => ({
      x: cell * ((i % columns) + 0.5),
      y: cell * (Math.floor(i / columns) + 0.5) - LABEL / 2,
      radius: (cell - LABEL) / 2 - 3,
    }));
  }

  /** The clocks. Angles start on the right and grow counter-clockwise. */
  function wall(stage, clocksOf) {
    const { marks } = stage.canvas({ label: "The clocks, the fastest first", width: SIZE, height: SIZE, x: [0, 1], y: [0, 1] });
    const sector = d3.arc().innerRadius(0).outerRadius(({ radius }) => radius)
      .startAngle(Math.PI / 2).endAngle(({ seen }) => Math.PI / 2 - seen);
    stage.draw((shown) => {
      const clocks = clocksOf(shown);
      const spots = places(clocks.length);
      const clock = marks.selectAll("g.clock").data(clocks.map((each, i) => ({ ...each, ...spots[i] }))).join((enter) => {
        const group = enter.append("g");
        for (const name of ["seen", "rim", "zero", "hand", "hub", "wavelength"]) {
          group.append({ seen: "path", rim: "circle", hub: "circle", wavelength: "text" }[name] ?? "line").attr("class", name);
        }
        return group;
      });
      clock.attr("class", ({ slow }) => (slow ? "clock slow" : "clock")).attr("transform", ({ x, y }) => `translate(${x},${y})`);
      clock.select(".seen").attr("d", sector);
      clock.select(".rim").attr("r", ({ radius }) => radius);
      clock.select(".zero").attr("x1", ({ radius }) => radius - 5).attr("x2", ({ radius }) => radius);
      clock.select(".hand").attr("x2", ({ radius, angle }) => 0.9 * radius * Math.cos(angle))
        .attr("y2", ({ radius, angle }) => -0.9 * radius * Math.sin(angle));
      clock.select(".hub").attr("r", 2.5);
      clock.select(".wavelength").attr("y", ({ radius }) => radius + 14).text(({ wavelength }) => short(wavelength));
    });
  }

  function mount(stage, rope) {
    /** What there is to know of each clock. */
    const clocksOf = ({ m, base, d, context }) => {
      const thetas = rope.frequencies(d, base);
      return rope.wavelengths(thetas).map((wavelength, i) => ({
        wavelength,
        angle: m * thetas[i],
        slow: wavelength > context,
        seen: 2 * Math.PI * Math.min(1, context / wavelength),
      }));
    };
    const slow = (state) => clocksOf(state).filter((clock) => clock.slow).length;
    const longest = (state) => clocksOf(state).at(-1).wavelength;

    stage.start(FIRST, { glide: ["m"] });
    wall(stage, clocksOf);
    stage.main.append("p").attr("class", "figure-key")
      .text("Below each clock: the positions it needs for one turn. Shaded: the angles it shows within the context. Dashed rim: not once round.");
    stage.readout({ name: "slow", label: "not once round:", value: slow, format: (count, { d }) => `${count} of ${d / 2}` });
    stage.readout({ name: "longest", label: "longest turn:", value: longest, format: long });
    const positions = stage.counts(100000);
    stage.stops({ key: "m", label: "position <i>m</i>", values: () => positions });
    const bases = stage.decades(1e2, 1e6);
    stage.stops({ key: "base", label: "base", values: () => bases });
    stage.choice({ key: "d", label: "dimensions <i>d</i>", options: DIMS.map((d) => [d, `${d} (${d / 2} clocks)`]) });
    stage.choice({ key: "context", label: "context length", options: CONTEXTS.map((length) => [length, long(length)]) });
    stage.reset();
    stage.say((s) => `Position ${long(s.m)}, base ${long(s.base)}: ${slow(s)} of ${s.d / 2} clocks do not go once round `
      + `within ${long(s.context)} positions; the longest turn takes ${long(longest(s))}.`);
  }

  Figures.define("clocks", { label: "The clocks of a head", needs: ["rope"], mount });
})();
