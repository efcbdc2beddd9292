// The staircase of T5's buckets: which distances share a number, in T5 and in a table that clips.
(function () {
  "use strict";

  const FIRST = { r: 40, buckets: 32, farthest: 128, direction: "decoder" };
  const END = 256; // the largest distance that is shown; from it on nothing changes any more
  const DISTANCES = Array.from({ length: 2 * END + 1 }, (_, i) => i - END);

  const signed = (r) => (Math.abs(r) === Infinity ? (r < 0 ? "−∞" : "∞") : String(r).replace("-", "−"));

  /** The row of a table of the same size, numbered in the same way, in which far distances are clipped. */
  function clipped(r, buckets, causal) {
    const oneWay = causal ? buckets : buckets / 2;
    const size = Math.min(causal ? Math.max(0, r) : Math.abs(r), oneWay - 1);
    return r < 0 && !causal ? oneWay + size : size;
  }

  function mount(stage, { bucket }) {
    const rowOf = {
      t5: ({ buckets, farthest, direction }, r) => bucket(r, buckets, farthest, direction === "decoder"),
      clip: ({ buckets, direction }, r) => clipped(r, buckets, direction === "decoder"),
    };
    /** The first and the last distance that share the row of r; what reaches the end of the figure goes on for ever. */
    function shared(state, rule) {
      const row = rowOf[rule](state, state.r);
      const same = DISTANCES.filter((r) => rowOf[rule](state, r) === row);
      return [same[0] === -END ? -Infinity : same[0], same.at(-1) === END ? Infinity : same.at(-1)];
    }
    const inUse = (state) => new Set(DISTANCES.map((r) => rowOf.t5(state, r))).size;

    function staircase() {
      const { marks, x, y } = stage.plot({
        label: "The bucket of each distance", width: 420, height: 270, x: [-END, END], y: [0, 32],
        xTicks: [-256, -128, 0, 128, 256], yTicks: [0, 8, 16, 24, 32], title: "bucket", end: "r",
      });
      const at = (r) => x(Math.min(END, Math.max(-END, r)));
      const band = marks.append("rect").attr("class", "band").attr("y", y(32)).attr("height", y(0) - y(32));
      const lines = ["clip", "t5"].map((rule) => [rule, marks.append("path").attr("class", `curve ${rule}`)]);
      const here = marks.append("circle").attr("class", "here").attr("r", 5);
      stage.draw((state) => {
        const [first, last] = shared(state, "t5");
        band.attr("x", at(first - 0.5)).attr("width", at(last + 0.5) - at(first - 0.5));
        for (const [rule, line] of lines) {
          line.attr("d", `M${DISTANCES.map((r) => `${at(r - 0.5)},${y(rowOf[rule](state, r))}H${at(r + 0.5)}`).join("L")}`);
        }
        here.attr("cx", x(state.r)).attr("cy", y(rowOf.t5(state, state.r)));
      });
      stage.main.append("p").attr("class", "figure-key")
        .text("Solid: T5. Dashed: clipping, with as many numbers. Shaded: the distances that share the bucket of r. The past is on the right.");
    }

    stage.start(FIRST);
    staircase();
    stage.slider({ key: "r", label: "distance <i>r</i>", min: -END, max: END, step: 1, format: signed, text: String });
    stage.choice({ key: "direction", label: "table of", options: [["decoder", "a decoder (causal)"], ["encoder", "an encoder (bidirectional)"]] });
    stage.choice({ key: "buckets", label: "buckets", options: [8, 16, 32].map((count) => [count, String(count)]) });
    stage.choice({ key: "farthest", label: "maximum", options: [64, 128, 256].map((count) => [count, String(count)]) });
    stage.reset();
    stage.readout({ name: "bucket", label: "bucket of <i>r</i>", value: (s) => rowOf.t5(s, s.r), format: String });
    for (const [name, rule, label] of [["shared", "t5", "shared by the distances"], ["clipped", "clip", "with clipping, by"]]) {
      const text = (ends) => ends.map(signed).join(" to ");
      stage.readout({ name, label, value: (s) => shared(s, rule).join(" to "), format: (_, s) => text(shared(s, rule)) });
    }
    stage.readout({ name: "used", label: "buckets in use", value: inUse, format: (count, s) => `${count} of ${s.buckets}` });
    stage.say((s) => {
      const [first, last] = shared(s, "t5");
      const which = last === Infinity ? `all distances from ${first} on` : first === -Infinity ? `all distances up to ${last}`
        : first === last ? "no other distance" : `the distances from ${first} to ${last}`;
      return `Distance ${s.r}: bucket ${rowOf.t5(s, s.r)}, shared by ${which}; ${inUse(s)} of ${s.buckets} buckets are in use.`;
    });
  }

  Figures.define("buckets", { label: "Which distances share a bucket", needs: ["encodings"], mount });
})();
