// The staircase of T5's buckets: which distances share a number.
(function () {
  "use strict";

  const FIRST = { r: 40, buckets: 32, farthest: 128, direction: "decoder" };
  const END = 160; // the largest distance that is shown
  const TICKS = [-160, -80, 0, 80, 160];

  function mount(stage, { bucket }) {
    const row = (s, r) => bucket(r, s.buckets, s.farthest, s.direction === "decoder");
    const distances = d3.range(-END, END + 1);
    /** The distances, of those shown, that share a bucket with r. */
    const shared = (s) => distances.filter((r) => row(s, r) === row(s, s.r));
    const ends = (s) => [shared(s)[0], shared(s).at(-1)];
    const used = (s) => new Set(distances.map((r) => row(s, r))).size;

    stage.start(FIRST);
    const [low, high] = [-END, END];
    const { marks, x, y } = stage.plot({
      label: "The bucket of each distance", width: 420, height: 260, x: [low, high], y: [0, 64],
      xTicks: TICKS, yTicks: [0, 16, 32, 48, 64], title: "bucket", end: "r",
    });
    const band = marks.append("rect").attr("class", "band").attr("y", y(64)).attr("height", y(0) - y(64));
    const steps = marks.append("path").attr("class", "curve");
    const here = marks.append("circle").attr("class", "here").attr("r", 5);
    stage.draw((s) => {
      const [first, last] = ends(s);
      band.attr("x", x(first - 0.5)).attr("width", x(last + 0.5) - x(first - 0.5));
      steps.attr("d", `M${distances.map((r) => `${x(r - 0.5)},${y(row(s, r))}H${x(r + 0.5)}`).join("L")}`);
      here.attr("cx", x(s.r)).attr("cy", y(row(s, s.r)));
    });
    stage.main.append("p").attr("class", "figure-key").text("Shaded: the distances that share the bucket of r. Past on the right, future on the left.");

    stage.slider({ key: "r", label: "distance <i>r</i>", min: -END, max: END, step: 1, format: (r) => String(r).replace("-", "−"), text: String });
    stage.choice({ key: "direction", label: "for", options: [["decoder", "a decoder (past only)"], ["encoder", "an encoder (both ways)"]] });
    stage.choice({ key: "buckets", label: "buckets", options: [16, 32, 64].map((count) => [count, String(count)]) });
    stage.choice({ key: "farthest", label: "maximum", options: [64, 128, 256].map((count) => [count, String(count)]) });
    stage.reset();
    stage.readout({ name: "bucket", label: "bucket of <i>r</i>:", value: (s) => row(s, s.r), format: String });
    stage.readout({ name: "first", label: "shared from", value: (s) => ends(s)[0], format: (r) => String(r).replace("-", "−") });
    stage.readout({ name: "last", label: "to", value: (s) => ends(s)[1], format: (r) => (r === END ? "… and on" : String(r).replace("-", "−")) });
    stage.readout({ name: "used", label: "buckets in use here:", value: used, format: String });
    stage.say((s) => `Distance ${s.r}: bucket ${row(s, s.r)}, shared by the distances from ${ends(s)[0]} to ${ends(s)[1]}`
      + `${ends(s)[1] === END ? " and beyond" : ""}; ${used(s)} of ${s.buckets} buckets are in use.`);
  }

  Figures.define("buckets", { label: "Which distances share a bucket", needs: ["encodings"], mount });
})();
