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

  /** How many positions each pair needs for one turn. */
  const wavelengths = (thetas) => thetas.map((theta) => (2 * Math.PI) / theta);

  // The score as a sum of waves (RoFormer, eqs. 35–37): at distance r it is Re Σ h_i e^(i r θ_i).

  /** h_i = q_i · conj(k_i), each pair of dimensions read as a complex number [re, im]. */
  const products = (q, k) => Array.from({ length: q.length / 2 }, (_, i) => {
    const [a, b, c, d] = [q[2 * i], q[2 * i + 1], k[2 * i], k[2 * i + 1]];
    return [a * c + b * d, b * c - a * d];
  });

  /** Re Σ h_i e^(i r θ_i): the score at distance r. */
  const wave = (h, r, thetas) => {
    let sum = 0;
    for (let i = 0; i < h.length; i++) sum += h[i][0] * Math.cos(r * thetas[i]) - h[i][1] * Math.sin(r * thetas[i]);
    return sum;
  };

  /** Σ |h_i|: no score is larger. */
  const trivialBound = (h) => h.reduce((sum, [re, im]) => sum + Math.hypot(re, im), 0);

  /** max |h_(i+1) − h_i|, where zero follows the last. */
  const largestStep = (h) => Math.max(...h.map(([re, im], i) => {
    const [nextRe, nextIm] = h[i + 1] ?? [0, 0];
    return Math.hypot(nextRe - re, nextIm - im);
  }));

  /** Σ_j |S_j|, where S_j is the sum of the first j of the numbers e^(i r θ_i). */
  const partialSums = (r, thetas) => {
    let [re, im, sum] = [0, 0, 0];
    for (const theta of thetas) {
      re += Math.cos(r * theta);
      im += Math.sin(r * theta);
      sum += Math.sqrt(re * re + im * im);
    }
    return sum;
  };

  /** The bound on a score at distance r that summation by parts gives (RoFormer, eq. 37). */
  const abelBound = (h, r, thetas) => largestStep(h) * partialSums(r, thetas);

  /** Score and Abel bound at every distance from 0 to last. Each wave is turned on step by step: ten times as fast. */
  function curves(h, last, thetas) {
    const [score, abel] = [0, 0].map(() => new Float64Array(last + 1));
    const waves = thetas.map((theta, i) => ({ h: h[i], re: 1, im: 0, cos: Math.cos(theta), sin: Math.sin(theta) }));
    const step = largestStep(h);
    for (let r = 0; r <= last; r++) {
      let [re, im, sum] = [0, 0, 0];
      for (const wave of waves) {
        score[r] += wave.h[0] * wave.re - wave.h[1] * wave.im;
        re += wave.re;
        im += wave.im;
        sum += Math.sqrt(re * re + im * im);
        const turned = wave.re * wave.cos - wave.im * wave.sin;
        wave.im = wave.re * wave.sin + wave.im * wave.cos;
        wave.re = turned;
      }
      abel[r] = step * sum;
    }
    return { score, abel };
  }

  // Layouts: pair i is dimensions 2i and 2i + 1 (interleaved), or i and i + dim/2 (half).

  /** From interleaved to half: the first members of all pairs, then the second ones. */
  const toHalf = (x) => [...x.filter((_, i) => i % 2 === 0), ...x.filter((_, i) => i % 2 === 1)];

  /** From half to interleaved: undoes toHalf. */
  const toInterleaved = (x) => x.map((_, i) => x[Math.floor(i / 2) + (i % 2) * (x.length / 2)]);

  /** R_position x in the half layout: turn each pair (x[i], x[i + dim/2]) by position·θ_i. */
  const rotateHalf = (x, position, thetas) => {
    const turned = thetas.map((theta, i) => rotate2([x[i], x[i + thetas.length]], position * theta));
    return [...turned.map(([first]) => first), ...turned.map(([, second]) => second)];
  };

  /** Standard Gaussian numbers, the same for the same seed (mulberry32, then Box and Muller). */
  function gaussian(seed, count) {
    let state = seed;
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let bits = Math.imul(state ^ (state >>> 15), state | 1);
      bits = (bits + Math.imul(bits ^ (bits >>> 7), bits | 61)) ^ bits;
      return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
    };
    return Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
  }

  Figures.provide("rope", {
    frequencies, rotate2, rotate, dot, score, wavelengths,
    products, wave, trivialBound, largestStep, partialSums, abelBound, curves,
    toHalf, toInterleaved, rotateHalf, gaussian,
  });
})();
