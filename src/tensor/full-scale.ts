/**
 * Full scales: up to which magnitude a converter, or the column of a crossbar, resolves values. What lies above is
 * clipped; what lies below is told apart the less finely the larger the full scale is. Formulas: docs/numerics.md,
 * section "Full scales".
 */

/** How a full scale is chosen from the values that were seen. */
export type Choice =
  | { readonly method: "max" }
  /** So many percent of the magnitudes lie at or below it. */
  | { readonly method: "percentile"; readonly percent: number }
  /** So many times the root mean square: standard deviations, where the mean is 0. */
  | { readonly method: "sigma"; readonly count: number }
  /** The least expected squared error. */
  | { readonly method: "mse" };

export const LARGEST: Choice = { method: "max" };

/** `max`, `percentile:99.9`, `sigma:3`, `mse`. */
export function showChoice(choice: Choice): string {
  if (choice.method === "percentile") return `percentile:${choice.percent}`;
  return choice.method === "sigma" ? `sigma:${choice.count}` : choice.method;
}

/** The expected squared error of a value that is the share x of its full scale, in units of the full scale squared. */
export type ErrorOf = (x: number) => number;

/** Rounding to `levels` steps a polarity: what is below half a step is lost, the rest is off by step^2 / 12. */
export const rounding =
  (levels: number): ErrorOf =>
  (x) =>
    2 * levels * x < 1 ? x * x : 1 / (12 * levels * levels);

/** Magnitudes ascending, and how often each was seen. */
export interface Seen {
  readonly magnitudes: Float32Array;
  readonly counts: Uint32Array;
  readonly total: number;
  readonly largest: number;
  readonly rootMeanSquare: number;
}

/** What a full scale costs. Add losses up to have that of several places. */
export interface Loss {
  readonly values: number;
  /** Values above the full scale. */
  readonly clipped: number;
  /** Sums of squares, of the expected errors and of the values. */
  readonly error: number;
  readonly signal: number;
}

export function lossOf(seen: Seen, scale: number, errorAt: ErrorOf): Loss {
  let [clipped, error, signal] = [0, 0, 0];
  for (const [i, size] of seen.magnitudes.entries()) {
    const count = seen.counts[i] as number;
    signal += count * size * size;
    if (size > scale) {
      clipped += count;
      error += count * (size - scale) ** 2;
    } else error += count * scale * scale * errorAt(size / scale);
  }
  return { values: seen.total, clipped, error, signal };
}

/** The largest number of single precision. */
const MOST_FLOAT = (2 - 2 ** -23) * 2 ** 127;

/** Candidates of `mse` are this ratio apart, from the largest magnitude down to a 256th of it. */
const RATIO = 2 ** (-1 / 8);
const CANDIDATES = 65;

/** 0 when all values are 0, or none were seen. */
export function fullScale(choice: Choice, seen: Seen, errorAt: ErrorOf): number {
  const { largest, rootMeanSquare } = seen;
  if (choice.method === "max") return largest;
  if (choice.method === "percentile") return percentile(seen, choice.percent);
  if (choice.method === "sigma") {
    return Math.fround(Math.min(MOST_FLOAT, choice.count * rootMeanSquare));
  }
  let [best, least] = [largest, Infinity];
  for (let k = 0; k < CANDIDATES && largest > 0; k++) {
    const scale = Math.fround(largest * RATIO ** k);
    const { error } = lossOf(seen, scale, errorAt);
    if (error < least) [best, least] = [scale, error];
  }
  return best;
}

function percentile({ magnitudes, counts, total, largest }: Seen, percent: number): number {
  let below = 0;
  for (const [i, size] of magnitudes.entries()) {
    below += counts[i] as number;
    if (below >= (total * percent) / 100) return Math.min(size, largest);
  }
  return largest;
}

/** Few values, each for itself. Infinite values and NaN are left out. */
export function seenOf(values: Float32Array): Seen {
  const finite = values.filter(Number.isFinite);
  const magnitudes = finite.map(Math.abs).sort();
  return {
    magnitudes,
    counts: new Uint32Array(finite.length).fill(1),
    total: finite.length,
    largest: magnitudes.at(-1) ?? 0,
    rootMeanSquare: rootMean(
      finite.length,
      finite.reduce((sum, v) => sum + v * v, 0),
    ),
  };
}

const rootMean = (count: number, squares: number): number =>
  count === 0 ? 0 : Math.sqrt(squares / count);

/**
 * Bins are what the first 7 bits of the mantissa tell apart, 0.8 % wide, from 2^-24 to 2^24. What is larger stands for the
 * largest of all, and so does what is smaller where nothing is in a bin.
 */
const FIRST = (127 - 24) << 7;
const BINS = 48 << 7;

/** Many values in bins, taken a few at a time. */
export class Distribution {
  /** Made when the first values come. */
  private counts: Uint32Array | undefined;
  private total = 0;
  private squares = 0;
  /** Exact, unlike the bins. */
  largest = 0;

  /** Takes the values in [from, to); infinite ones and NaN are left out. */
  add(values: Float32Array, from = 0, to = values.length): void {
    this.counts ??= new Uint32Array(BINS);
    const { counts } = this;
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (let i = from; i < to; i++) {
      const v = values[i] as number;
      const size = Math.abs(v);
      if (!(size < Infinity)) continue;
      if (size > this.largest) this.largest = size;
      const bin = (((bits[i] as number) & 0x7fffffff) >>> 16) - FIRST;
      const held = bin < 0 ? 0 : Math.min(bin, BINS - 1);
      counts[held] = (counts[held] as number) + 1;
      this.total += 1;
      this.squares += v * v;
    }
  }

  seen(): Seen {
    const { total, largest, squares } = this;
    const bins = [...(this.counts ?? []).entries()].filter(([, count]) => count > 0);
    return {
      magnitudes: Float32Array.from(bins, ([bin]) => this.middleOf(bin)),
      counts: Uint32Array.from(bins, ([, count]) => count),
      total,
      largest,
      rootMeanSquare: rootMean(total, squares),
    };
  }

  private middleOf(bin: number): number {
    if (bin === 0) return this.largest < 2 ** -24 ? this.largest : 0;
    if (bin === BINS - 1) return this.largest;
    bitsOf[0] = ((bin + FIRST) << 16) | 0x8000;
    return Math.min(this.largest, floatOf[0] as number);
  }
}

const bitsOf = new Uint32Array(1);
const floatOf = new Float32Array(bitsOf.buffer);
