/*!
D3 7.9.0, what the live figures use of it. Copyright 2010-2023 Mike Bostock. ISC licence, ease BSD 3-clause: LICENSE.
Modules: array, axis, drag, ease, format, scale, selection, shape, timer. The command that makes this file: README.md.
*/
export {
  ascending, bisect, bisectCenter, bisectLeft, bisectRight, bisector, cross, cumsum, descending, extent, least,
  leastIndex, max, maxIndex, mean, median, min, minIndex, pairs, quantile, range, sum, ticks, transpose, zip,
} from "d3-array";
export { axisBottom, axisLeft, axisRight, axisTop } from "d3-axis";
export { drag, dragDisable, dragEnable } from "d3-drag";
export { easeCubic, easeCubicIn, easeCubicInOut, easeCubicOut, easeLinear, easeQuadInOut, easeSinInOut } from "d3-ease";
export { format, formatPrefix, formatSpecifier } from "d3-format";
export { scaleBand, scaleLinear, scaleLog, scaleOrdinal, scalePoint, scalePow, scaleSqrt, scaleSymlog } from "d3-scale";
export { create, local, pointer, pointers, select, selectAll, selection } from "d3-selection";
export {
  arc, area, curveBasis, curveLinear, curveLinearClosed, curveMonotoneX, curveNatural, curveStep, curveStepAfter,
  curveStepBefore, line, symbol, symbolCircle, symbolCross, symbolDiamond, symbolSquare, symbolTriangle,
} from "d3-shape";
export { interval, now, timeout, timer } from "d3-timer";
