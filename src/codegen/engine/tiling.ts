/** How a product is cut for a matrix engine that reads and writes only the TCDM. */

/** Rows, summed axis and columns of a product. */
export interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** Of the TCDM, for two tiles of each operand and of the result. */
const MOST_BYTES = 56 * 1024;
const HALF = 2;
const BUFFERS = 2;
/** What the engine computes side by side; only its time depends on them. */
const ROWS = 8;
const COLUMNS = 16;
/** Beyond these, tiles win little by being larger. */
const MOST = { m: 4 * ROWS, k: 8 * COLUMNS };

const upTo = (n: number, grain: number): number => Math.max(1, Math.ceil(n / grain)) * grain;

/** The tile of a product: as much of the summed axis as there is room for beside its rows and columns. */
export function tileOf({ m, n, k }: Sizes): Sizes {
  const rows = Math.min(upTo(m, ROWS), MOST.m);
  const columns = Math.min(upTo(k, COLUMNS), MOST.k);
  const room = MOST_BYTES / (HALF * BUFFERS) - rows * columns;
  const inner = Math.floor(room / (rows + columns) / COLUMNS) * COLUMNS;
  return { m: rows, n: Math.min(upTo(n, COLUMNS), inner), k: columns };
}

/** Bytes of two tiles of an operand or the result. */
export const pairBytes = (rows: number, columns: number): number => rows * columns * HALF * BUFFERS;
