/**
 * Sizes for the free dimensions of a model that nobody has given any: guesses by the dimensions' names and
 * places, in the order in which they are worth trying. A view of a model needs some; a compilation does not guess.
 */

import type { PortSpec } from "../artifact/manifest.ts";
import { evaluateDim } from "../onnx/dim-expression.ts";

type Sizes = Readonly<Record<string, number>>;

/** Where a dimension stands. */
interface Carrier {
  readonly rank: number;
  readonly axis: number;
}

/** Sequence lengths, and with each the sides of images. */
const TRIALS: readonly (readonly [number, number])[] = [
  [16, 224],
  [8, 32],
  [64, 64],
  [4, 384],
  [77, 256],
  [1, 16],
];

const BATCH = /batch|^(b|n)$/i;
const PAST = /past|cache|prefix/i;
const TOTAL = /total|all|\+/i;
const SIDE = /height|width|^(h|w)$|image_size/i;
const CHANNELS = /channel/i;
const COUNT = /^num_/i;

const isLeading = (carriers: readonly Carrier[]): boolean => carriers.every((c) => c.axis === 0);
const isPixel = (carriers: readonly Carrier[]): boolean =>
  carriers.every((c) => c.rank === 4 && c.axis >= 2);

function carriersOf(inputs: readonly PortSpec[]): ReadonlyMap<string, readonly Carrier[]> {
  const found = new Map<string, Carrier[]>();
  for (const { dims } of inputs) {
    for (const [axis, name] of dims.entries()) {
      if (name === null) continue;
      found.set(name, [...(found.get(name) ?? []), { rank: dims.length, axis }]);
    }
  }
  return found;
}

/** What a dimension is likely to count, the surest signs first. */
function sizeOf(
  name: string,
  carriers: readonly Carrier[],
  [tokens, side]: readonly [number, number],
  names: readonly string[],
): number {
  const hasPast = names.some((n) => PAST.test(n) && !TOTAL.test(n));
  const signs: readonly (readonly [boolean, number])[] = [
    [TOTAL.test(name) && hasPast, 2 * tokens],
    [PAST.test(name), tokens],
    [BATCH.test(name), 1],
    [SIDE.test(name) || isPixel(carriers), side],
    [CHANNELS.test(name), 3],
    [COUNT.test(name), 1],
    [isLeading(carriers) && names.length > 1, 1],
  ];
  return signs.find(([holds]) => holds)?.[1] ?? tokens;
}

/** Every guess completes the given sizes; the first is the likeliest. What is given whole is not guessed. */
export function guessedSizes(inputs: readonly PortSpec[], given: Sizes): readonly Sizes[] {
  const all = carriersOf(inputs);
  const open = [...all].filter(([name]) => !Object.hasOwn(given, name));
  if (open.length === 0) return [given];
  const names = [...all.keys()];
  return TRIALS.map((trial) => {
    const sizes = Object.fromEntries(open.map(([n, c]) => [n, sizeOf(n, c, trial, names)]));
    const known: Sizes = { ...sizes, ...given };
    // `past + 1` is no guess of its own.
    const derived = open.flatMap(([name]) => {
      const size = evaluateDim(name, (n) => (n === name ? undefined : known[n]));
      return size === undefined ? [] : [[name, size] as const];
    });
    return { ...known, ...Object.fromEntries(derived) };
  });
}
