/** How far apart right answers may be: what a model is computed with is not always single precision. */

/** Ten times the spacing of the numbers that half-precision values are made of. */
const COARSE: Readonly<Record<string, number>> = { f16: 1e-2, bf16: 8e-2 };

/** Of a model with values of these element types, inside or at its ends; 0 when none is coarse. */
export const coarseness = (elems: Iterable<string>): number =>
  [...elems].reduce((most, elem) => Math.max(most, COARSE[elem] ?? 0), 0);

/**
 * Whether a kernel rounds what was computed to integers. An error in the last place turns a number that lies at
 * a tie, by a whole step of the quantiser: answers are defined up to that.
 */
export const isQuantiser = (kernel: string): boolean =>
  /(^|\.)(Dynamic)?QuantizeLinear$/.test(kernel);
