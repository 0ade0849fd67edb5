/** IEEE 754 arithmetic on halves (binary16), by whole numbers of any size: slow, and easy to believe. */

export const NAN = 0x7e00;
const INFINITE = 0x7c00;

export const isNan = (h: number): boolean => (h & 0x7fff) > INFINITE;
const isInfinite = (h: number): boolean => (h & 0x7fff) === INFINITE;
const isZero = (h: number): boolean => (h & 0x7fff) === 0;
const signOf = (h: number): number => h & 0x8000;

/** A finite half in units of 2^-24. */
function unitsOf(h: number): bigint {
  const exponent = (h >> 10) & 31;
  const fraction = BigInt(h & 0x3ff);
  const size = exponent === 0 ? fraction : (fraction + 1024n) << BigInt(exponent - 1);
  return signOf(h) ? -size : size;
}

/** The half nearest to a number of units of 2^-48, ties to even; not 0. */
function nearest(units: bigint): number {
  const sign = units < 0n ? 0x8000 : 0;
  const size = units < 0n ? -units : units;
  // The last bit of the result is worth 2^shift units; that of a subnormal one is worth 2^-24.
  const shift = BigInt(Math.max(size.toString(2).length - 11, 24));
  const floor = size >> shift;
  const [rest, middle] = [size - (floor << shift), 1n << (shift - 1n)];
  const isUp = rest > middle || (rest === middle && floor % 2n === 1n);
  const value = (isUp ? floor + 1n : floor) << (shift - 24n);
  if (value >= 65536n << 24n) return sign | INFINITE;
  for (let exponent = 30; exponent >= 1; exponent--) {
    const unit = BigInt(exponent - 1);
    if (value >= 1024n << unit) return sign | (exponent << 10) | Number((value >> unit) - 1024n);
  }
  return sign | Number(value);
}

/** a b + c, rounded once. */
export function fusedHalf(a: number, b: number, c: number): number {
  if ([a, b, c].some(isNan)) return NAN;
  const sign = signOf(a) ^ signOf(b);
  if (isInfinite(a) || isInfinite(b)) {
    const isVoid = isZero(a) || isZero(b) || (isInfinite(c) && signOf(c) !== sign);
    return isVoid ? NAN : sign | INFINITE;
  }
  if (isInfinite(c)) return c;
  const sum = unitsOf(a) * unitsOf(b) + (unitsOf(c) << 24n);
  if (sum !== 0n) return nearest(sum);
  const isNegative = (isZero(a) || isZero(b)) && isZero(c) && sign !== 0 && signOf(c) !== 0;
  return isNegative ? 0x8000 : 0;
}
