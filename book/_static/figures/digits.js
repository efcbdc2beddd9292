// Two hands of one clock: where a pair's hand stands at position m, and where a number type with few digits puts it.
// One part, or everything, is rounded: the position, the frequency, or the angle, which is their product.
(function () {
  "use strict";

  const FIRST = { m: 1001, pair: 2, type: "bfloat16", rounded: "everything" };
  const DIM = 128;
  const LAST = 1e6; // the largest position
  const NEIGHBOURS = 8;
  const HORIZON = 2 ** 31; // no text is longer
  const [WIDTH, HEIGHT, RADIUS] = [420, 380, 150];
  const ROUNDED = [
    ["everything", "everything"], ["position", "only the position"], ["frequency", "only the frequency"], ["angle", "only the angle"],
  ];

  // ---- number types: significant bits, the smallest exponent of a normal number, the largest number

  const TYPES = {
    bfloat16: { bits: 8, lowest: -126, largest: 2 ** 128 - 2 ** 120 },
    float16: { bits: 11, lowest: -14, largest: 65504 },
    float32: { bits: 24 },
    float64: { bits: 53 },
  };
  const view = new DataView(new ArrayBuffer(4));

  /** Round x to a type, to the nearest and to even in the middle. By way of float32, as PyTorch does. */
  function round(x, type) {
    const { lowest, largest, bits } = TYPES[type];
    if (type === "float64") return x;
    const single = Math.fround(x);
    if (type === "float32" || !Number.isFinite(single)) return single;
    view.setFloat32(0, single);
    const exponent = Math.max(((view.getUint32(0) >>> 23) & 255) - 127, lowest);
    const step = 2 ** (exponent - bits + 1);
    const whole = 1.5 * 2 ** 52; // adding it leaves no room for a fraction
    const nearest = (single / step + whole - whole) * step;
    return Math.abs(nearest) > largest ? Math.sign(nearest) * Infinity : nearest;
  }

  /** The angle at position m of the pair with frequency theta. */
  function hand(m, theta, type, rounded) {
    const is = (part) => rounded === part || rounded === "everything";
    const angle = (is("position") ? round(m, type) : m) * (is("frequency") ? round(theta, type) : theta);
    return is("angle") ? round(angle, type) : angle;
  }

  /** The first position that has the hand of the next one; null if there is none below two billion. */
  function firstShared(theta, type, rounded) {
    const { bits } = TYPES[type];
    if (rounded === "frequency") return null; // the products are all different
    if (rounded === "position") return 2 ** bits < HORIZON ? 2 ** bits : null;
    // Two angles can only be rounded to one where the grid is wider than the step from one to the other.
    const step = rounded === "everything" ? round(theta, type) : theta;
    const wide = 2 ** (Math.floor(Math.log2(step) + bits - 1) + 1);
    for (let m = Math.max(0, Math.floor(wide / step) - 2); m < HORIZON; m++) {
      if (hand(m, theta, type, rounded) === hand(m + 1, theta, type, rounded)) return m;
    }
    return null;
  }

  // ---- the exact hand, in whole numbers: x stands for x / 2^200

  const BITS = 200n;
  const ONE = 1n << BITS;
  const TURN = (2n * 31415926535897932384626433832795028841971693993751058209749445923n * ONE) / 10n ** 64n;

  function squareRoot(n) {
    let [root, next] = [n, (n >> 1n) + 1n];
    while (next < root) [root, next] = [next, (next + n / next) >> 1n];
    return root;
  }

  /** θ_i = 10000^(−2i/128) = 10^(−i/16): four square roots of a tenth, to the power i. */
  const exactThetas = (() => {
    let ratio = ONE / 10n;
    for (let i = 0; i < 4; i++) ratio = squareRoot(ratio * ONE);
    const thetas = [ONE];
    while (thetas.length < DIM / 2) thetas.push((thetas.at(-1) * ratio) >> BITS);
    return thetas;
  })();

  /** A finite x ≥ 0 as it is, digit for digit. */
  function exactly(x) {
    let shift = 0n;
    while (!Number.isInteger(x)) [x, shift] = [2 * x, shift + 1n];
    return (BigInt(x) << BITS) >> shift;
  }

  /** What is left of an angle after whole turns, from −π to π. */
  function afterTurns(angle) {
    let rest = angle % TURN;
    if (2n * rest > TURN) rest -= TURN;
    if (2n * rest < -TURN) rest += TURN;
    return Number(rest >> (BITS - 120n)) / 2 ** 120;
  }

  const exactHand = (m, pair) => afterTurns(BigInt(m) * exactThetas[pair]);

  /** By how much an angle misses that of position m, in radians, after whole turns; null where it is infinite. */
  const error = (angle, m, pair) => (Number.isFinite(angle) ? afterTurns(exactly(angle) - BigInt(m) * exactThetas[pair]) : null);

  // ---- the figure

  const long = (value) => d3.format(",")(value);
  const radians = (value) => (value === null ? "no angle" : value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : value.toFixed(3));

  function clock(stage, at) {
    const { marks } = stage.canvas({ label: "The two hands", width: WIDTH, height: HEIGHT, x: [0, 1], y: [0, 1] });
    const face = marks.append("g").attr("transform", `translate(${WIDTH / 2},${HEIGHT / 2})`);
    const gap = face.append("path").attr("class", "gap");
    face.append("circle").attr("class", "rim").attr("r", RADIUS);
    face.append("line").attr("class", "zero").attr("x1", RADIUS - 8).attr("x2", RADIUS + 8);
    const hands = { exact: face.append("line").attr("class", "exact"), given: face.append("line").attr("class", "given") };
    face.append("circle").attr("class", "hub").attr("r", 4);
    const [rings, dots] = ["ring-exact", "dot-given"].map((name) => face.append("g").attr("class", name));
    const sector = d3.arc().innerRadius(0).outerRadius(0.45 * RADIUS);
    const point = (angle, radius) => [radius * Math.cos(angle), -radius * Math.sin(angle)];

    stage.draw((_, state) => {
      const { exact, given, off } = at(state, state.m);
      const put = (line, angle) => {
        const [x, y] = angle === null ? [0, 0] : point(angle, 0.86 * RADIUS);
        line.attr("x2", x).attr("y2", y);
      };
      put(hands.exact, exact);
      put(hands.given, given);
      const start = Math.PI / 2 - exact;
      gap.attr("d", off === null ? null : sector({ startAngle: Math.min(start, start - off), endAngle: Math.max(start, start - off) }));
      const places = d3.range(NEIGHBOURS).map((i) => at(state, state.m + i));
      const circles = (group, angles, radius) => group.selectAll("circle").data(angles).join("circle").attr("r", radius)
        .attr("cx", (angle) => point(angle, RADIUS)[0]).attr("cy", (angle) => point(angle, RADIUS)[1]);
      circles(rings, places.map((place) => place.exact), 9);
      circles(dots, places.map((place) => place.given).filter((angle) => angle !== null), 5);
    });
  }

  function mount(stage, rope) {
    const thetas = rope.frequencies(DIM);
    const angle = ({ pair, type, rounded }, m) => hand(m, thetas[pair], type, rounded);
    /** The exact hand at m, the given one and its error. */
    const at = (state, m) => {
      const exact = exactHand(m, state.pair);
      const off = error(angle(state, m), m, state.pair);
      return { exact, off, given: off === null ? null : exact + off };
    };
    const shared = (state) => firstShared(thetas[state.pair], state.type, state.rounded);
    const different = (state) => {
      const angles = d3.range(NEIGHBOURS).map((i) => angle(state, state.m + i)).filter(Number.isFinite);
      return new Set(angles).size;
    };

    stage.start(FIRST);
    clock(stage, at);
    stage.main.append("p").attr("class", "figure-key")
      .text("Solid hand: exact. Dashed hand: as computed. Rings on the rim: where the positions m to m + 7 belong; dots: where they are put.");
    stage.readout({ name: "error", label: "error in radians:", value: (s) => at(s, s.m).off, format: radians });
    stage.readout({ name: "different", label: "<i>m</i> to <i>m</i> + 7 have", value: different, format: (count) => (count === 1 ? "1 hand" : `${count} hands`) });
    stage.readout({
      name: "shared", label: "first two with one hand:", value: shared,
      format: (m) => (m === null ? "none" : `${long(m)}, ${long(m + 1)}`),
    });
    const positions = [...d3.range(101), ...d3.range(81, 241).map((i) => Math.round(10 ** (i / 40)))];
    stage.stops({ key: "m", label: "position <i>m</i>", values: () => positions });
    stage.slider({ key: "pair", label: "pair <i>i</i>", min: 0, max: DIM / 2 - 1, step: 1 });
    stage.choice({ key: "type", label: "number type", options: Object.keys(TYPES).map((type) => [type, type]) });
    stage.choice({ key: "rounded", label: "rounded", options: ROUNDED });
    stage.button({ label: () => "Next position", set: ({ m }) => ({ m: Math.min(LAST, m + 1) }) });
    stage.reset();
    stage.say((s) => {
      const { off } = at(s, s.m);
      const what = off === null ? "there is no angle" : `the hand is off by ${radians(Math.abs(off))} radians`;
      const collide = shared(s) === null ? "no two neighbours share one" : `positions ${long(shared(s))} and ${long(shared(s) + 1)} are the first to share one`;
      return `Position ${long(s.m)}, pair ${s.pair}, ${s.type}: ${what}; ${collide}.`;
    });
  }

  Figures.provide("digits", { round, hand, firstShared, exactHand, error });
  Figures.define("digits", { label: "Two hands of one clock", needs: ["rope"], mount });
})();
