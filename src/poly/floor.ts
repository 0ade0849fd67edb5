/**
 * Quasi-affine expressions of one variable, floor((mul * t + add) / div): all the arithmetic that
 * dependences between token blocks need, and small enough to stay exact.
 */

/** floor((mul * t + add) / div), with div >= 1. */
export interface Floor {
  readonly mul: number;
  readonly add: number;
  readonly div: number;
}

export const affine = (mul: number, add: number): Floor => ({ mul, add, div: 1 });

export const evaluate = (f: Floor, t: number): number => Math.floor((f.mul * t + f.add) / f.div);

/** floor(f / by). Exact, because nested floors with positive integer divisors merge. */
export const floorDiv = (f: Floor, by: number): Floor =>
  simplify({ mul: f.mul, add: f.add, div: f.div * by });

/** f + c. */
export const plus = (f: Floor, c: number): Floor => ({ ...f, add: f.add + c * f.div });

/**
 * The same function with the smallest numbers: a divisor g of mul and div can be divided out of
 * both, since floor((g m t + a) / (g d)) = floor((m t + floor(a / g)) / d).
 */
function simplify({ mul, add, div }: Floor): Floor {
  const g = gcd(Math.abs(mul), div);
  return { mul: mul / g, add: Math.floor(add / g), div: div / g };
}

export function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** In isl's notation: `3t + 2`, `floor((2t + 1)/4)`. */
export function showFloor({ mul, add, div }: Floor, variable = "t"): string {
  const sum = showSum(mul, add, variable);
  return div === 1 ? sum : `floor((${sum})/${div})`;
}

function showSum(mul: number, add: number, variable: string): string {
  if (mul === 0) return String(add);
  const term = mul === 1 ? variable : `${mul}${variable}`;
  if (add === 0) return term;
  return `${term} ${add < 0 ? "-" : "+"} ${Math.abs(add)}`;
}
