// The mathematics of rotary embeddings, as in posemb_ref.rotary.rope; tests compare the two.
(function () {
  "use strict";

  /** θ_i = base^(−2i/dim) for i = 0 … dim/2 − 1. */
  const frequencies = (dim, base = 10000) => Array.from({ length: dim / 2 }, (_, i) => base ** ((-2 * i) / dim));

  /** Turn [x, y] counter-clockwise by angle, in radians. */
  const rotate2 = ([x, y], angle) => [
    x * Math.cos(angle) - y * Math.sin(angle),
    x * Math.sin(angle) + y * Math.cos(angle),
  ];

  /** R_position x: turn each pair (x[2i], x[2i + 1]) by position·θ_i. */
  const rotate = (x, position, thetas) => thetas.flatMap((theta, i) => rotate2([x[2 * i], x[2 * i + 1]], position * theta));

  /** The dot product. */
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

  /** (R_m q)·(R_n k). */
  const score = (q, k, m, n, thetas) => dot(rotate(q, m, thetas), rotate(k, n, thetas));

  Figures.provide("rope", { frequencies, rotate2, rotate, dot, score });
})();
