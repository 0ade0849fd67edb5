/** Scores of predictions against labels, as plain sums over plain numbers. */

/** Mean -ln softmax(logits)[target]; logits row-major [targets.length, width]. */
export function crossEntropy(logits: Float32Array, width: number, rows: readonly Row[]): number {
  let nats = 0;
  for (const { at, label } of rows) {
    nats += surprise(logits.subarray(at * width, (at + 1) * width), label);
  }
  return nats / rows.length;
}

/** A prediction that counts: its number, and what would be right. */
export interface Row {
  readonly at: number;
  readonly label: number;
}

/** -ln softmax(logits)[target], shifted by the largest logit so that no exponential overflows. */
function surprise(logits: Float32Array, target: number): number {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (const v of logits) sum += Math.exp(v - top);
  return Math.log(sum) + top - (logits[target] as number);
}

/** Share of predictions that are right. */
export const accuracy = (predicted: ArrayLike<number>, rows: readonly Row[]): number =>
  rows.filter(({ at, label }) => predicted[at] === label).length / rows.length;

/** 2 TP / (2 TP + FP + FN) of one class; 0 when the class neither occurs nor is predicted. */
export function f1Of(predicted: ArrayLike<number>, rows: readonly Row[], positive: number): number {
  let hits = 0;
  let wrong = 0;
  for (const { at, label } of rows) {
    const said = predicted[at] === positive;
    const is = label === positive;
    if (said && is) hits += 1;
    else if (said || is) wrong += 1;
  }
  return hits === 0 ? 0 : (2 * hits) / (2 * hits + wrong);
}

/** Mean F1 of the classes that occur or are predicted. */
export function macroF1(predicted: ArrayLike<number>, rows: readonly Row[]): number {
  const classes = new Set(rows.flatMap(({ at, label }) => [label, predicted[at] as number]));
  const each = [...classes].map((c) => f1Of(predicted, rows, c));
  return each.reduce((sum, v) => sum + v, 0) / each.length;
}

/** Share of groups of `length` predictions of which all that count are right; groups without any do not count. */
export function wholeMatches(
  predicted: ArrayLike<number>,
  rows: readonly Row[],
  length: number,
): number {
  const right = new Map<number, boolean>();
  for (const { at, label } of rows) {
    const group = Math.floor(at / length);
    right.set(group, (right.get(group) ?? true) && predicted[at] === label);
  }
  return [...right.values()].filter(Boolean).length / right.size;
}

export function meanSquaredError(values: ArrayLike<number>, rows: readonly Row[]): number {
  const sum = rows.reduce((s, { at, label }) => s + ((values[at] as number) - label) ** 2, 0);
  return sum / rows.length;
}

/** First and last token, both included. */
export type Span = readonly [first: number, last: number];

/** The span of at most `longest` tokens with the largest sum of scores; the first of equal ones. */
export function bestSpan(start: Float32Array, end: Float32Array, longest: number): Span {
  let best: Span = [0, 0];
  let most = -Infinity;
  for (let first = 0; first < start.length; first++) {
    for (let last = first; last < Math.min(end.length, first + longest); last++) {
      const score = (start[first] as number) + (end[last] as number);
      if (score > most) {
        most = score;
        best = [first, last];
      }
    }
  }
  return best;
}

/** F1 of the tokens of two spans of the same text, by their places. */
export function spanF1([a, b]: Span, [c, d]: Span): number {
  const shared = Math.min(b, d) - Math.max(a, c) + 1;
  return shared <= 0 ? 0 : (2 * shared) / (b - a + 1 + (d - c + 1));
}
