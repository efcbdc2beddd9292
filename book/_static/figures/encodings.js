// The score of one query and one key under eight encodings, as in posemb_ref; tests compare the two.
// Nothing here was trained and nothing is left to chance: every parameter comes from one formula.
(function () {
  "use strict";

  const DIM = 16; // of queries and keys
  const TOKENS = 16; // in the window that is shown
  const ROWS = 64; // of the learned table: positions 0 … 63
  const REACH = 4; // Shaw's clipping distance, and the span of DeBERTa
  const BUCKETS = 32; // of T5
  const SCALE = 1 / Math.sqrt(DIM);

  /** A number of variance 1 or so that looks random, from two whole numbers and the name of a table. */
  function noise(i, j, seed) {
    const mixed = Math.sin(12.9898 * i + 78.233 * j + 37.719 * seed) * 43758.5453;
    return Math.sqrt(12) * (mixed - Math.floor(mixed) - 0.5);
  }
  const vector = (seed, row = 0, size = 1) => Array.from({ length: DIM }, (_, j) => size * noise(row, j, seed));
  const table = (seed, rows, size = 1) => Array.from({ length: rows }, (_, row) => vector(seed, row, size));

  const dot = (a, b) => a.reduce((sum, value, j) => sum + value * b[j], 0);
  const add = (a, b) => a.map((value, j) => value + b[j]);
  const times = (matrix, x) => matrix.map((row) => dot(row, x));
  const clip = (r, low, high) => Math.min(high, Math.max(low, r));

  /** Sines and cosines in turn, as in posemb_ref.absolute.sinusoidal. */
  const sinusoidal = (position, dim = DIM, base = 10000) => Array.from({ length: dim }, (_, j) => {
    const angle = position * base ** (-2 * Math.floor(j / 2) / dim);
    return j % 2 ? Math.cos(angle) : Math.sin(angle);
  });

  /** T5's bucket of r = m − n, in the float32 steps of the released code. */
  function bucket(r, buckets = BUCKETS, farthest = 128, causal = false) {
    const oneWay = causal ? buckets : buckets / 2;
    const exact = Math.floor(oneWay / 2);
    const size = causal ? Math.max(0, r) : Math.abs(r);
    const { fround, log } = Math;
    const steps = fround(fround(fround(log(fround(size / exact))) / fround(log(farthest / exact))) * (oneWay - exact));
    return (r < 0 && !causal ? oneWay : 0) + (size < exact ? size : Math.min(oneWay - 1, exact + Math.floor(steps)));
  }

  /** DeBERTa's δ(m, n), from 0 to 2·span − 1. */
  const delta = (m, n, span = REACH) => clip(m - n + span, 0, 2 * span - 1);

  const contents = {
    same: Array(TOKENS).fill(vector(303)),
    different: table(303, TOKENS),
  };
  const projection = (seed) => table(seed, DIM, SCALE);
  const [wQuery, wKey, wDistance, wPositionQuery, wPositionKey] = [2, 3, 4, 5, 6].map(projection);
  const learned = table(7, ROWS, 0.45);
  const shaw = table(8, 2 * REACH + 1, 0.8);
  const [contentBias, positionBias] = [9, 10].map((seed) => vector(seed, 0, 0.6));
  const biases = Array.from({ length: BUCKETS }, (_, row) => noise(row, 0, 11));
  const relative = table(12, 2 * REACH);

  const query = (x) => times(wQuery, x);
  const key = (x) => times(wKey, x);

  Figures.provide("encodings", Figures.library("rope").then((rope) => {
    const thetas = rope.frequencies(DIM);

    /** The score of the token x at position m asking and the token y at position n answering. */
    const scores = {
      none: (x, y) => SCALE * dot(query(x), key(y)),
      learned: (x, y, m, n) => SCALE * dot(query(add(x, learned[m])), key(add(y, learned[n]))),
      sinusoidal: (x, y, m, n) => SCALE * dot(query(add(x, sinusoidal(m))), key(add(y, sinusoidal(n)))),
      shaw: (x, y, m, n) => SCALE * dot(query(x), add(key(y), shaw[clip(m - n, -REACH, REACH) + REACH])),
      "transformer-xl": (x, y, m, n) => {
        const q = query(x);
        const distanceKey = times(wDistance, sinusoidal(m - n));
        return SCALE * (dot(add(q, contentBias), key(y)) + dot(add(q, positionBias), distanceKey));
      },
      // T5 has no factor of its own: here, as there, its query weights are smaller by it.
      t5: (x, y, m, n) => SCALE * dot(query(x), key(y)) + biases[bucket(m - n)],
      deberta: (x, y, m, n) => {
        const [q, k] = [query(x), key(y)];
        const contentToPosition = dot(q, times(wPositionKey, relative[delta(m, n)]));
        const positionToContent = dot(k, times(wPositionQuery, relative[delta(n, m)]));
        return (dot(q, k) + contentToPosition + positionToContent) / Math.sqrt(3 * DIM);
      },
      rope: (x, y, m, n) => SCALE * rope.score(query(x), key(y), m, n, thetas),
    };

    /** The score of cell [row, column] of the window when its first token stands at `offset`. */
    function score(encoding, content, offset, [row, column]) {
      const tokens = contents[content];
      return scores[encoding](tokens[row], tokens[column], row + offset, column + offset);
    }

    /** All scores of the window, a row for each query. */
    function matrix(encoding, content, offset) {
      const window = Array.from({ length: TOKENS }, (_, i) => i);
      return window.map((row) => window.map((column) => score(encoding, content, offset, [row, column])));
    }

    return { tokens: TOKENS, farthest: ROWS - TOKENS, names: Object.keys(scores), noise, sinusoidal, bucket, delta, score, matrix };
  }));
})();
