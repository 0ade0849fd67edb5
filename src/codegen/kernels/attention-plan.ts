/**
 * How attention is shared and blocked: each core takes blocks of the query rows that share a head of keys, and goes over
 * the keys in blocks as well, as many as the scratch memory has room for scores of.
 */

import type { Block, KernelRequest } from "../kernel.ts";
import type { Product } from "../product/product.ts";
import { type SomeColumns, someColumnsOf } from "../product/some-columns.ts";
import { type Stack, stackOf } from "../product/tiles.ts";
import { broadcastTo, type View, viewOf } from "../product/view.ts";
import { single } from "../request.ts";
import { STATE_BYTES } from "../softmax-row.ts";

export const WORD = 4;
/** Rows of queries that a core takes at once: as many as a tile of the first product has. */
const SCALAR_ROWS = 5;
const VECTOR_ROWS = 5;
/** Scores of all cores stay below so many bytes. */
const MOST_SCRATCH = 1 << 15;

interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
  readonly width: number;
}

export interface Plan extends Sizes {
  readonly request: KernelRequest;
  /** Query rows of one head of keys: those of all heads that share it. */
  readonly shared: number;
  /** Rows of a block, and blocks. The last block begins earlier rather than be shorter. */
  readonly rows: number;
  readonly blocks: number;
  /** Keys of a block. */
  readonly some: number;
  /** Query i sees keys up to i + keys - queries; of those the last `window`, where that is not 0. */
  readonly causal: boolean;
  readonly window: number;
  /** Of one block of keys: all of them, or some first ones. */
  readonly scores: Stack;
  readonly firstScores: SomeColumns;
  readonly mix: Stack;
  /** Scores s become c tanh(s / c); 0 is none. */
  readonly softcap: number;
  readonly mask: View | null;
  readonly sink: View | null;
}

/** Whether the keys are taken in several blocks. */
export const inParts = ({ keys, some }: Pick<Plan, "keys" | "some">): boolean => keys > some;

/** What a core keeps: scores, and the states of their rows. */
export const coreBytes = ({ rows, some }: Plan): number => rows * (some * WORD + STATE_BYTES);

function sizesOf({ operands }: KernelRequest): Sizes {
  const [q, k, v] = [0, 1, 2].map((i) => single(operands[i])) as [Block, Block, Block];
  const [batch = 1, heads = 1, queries = 1, depth = 1] = q.shape;
  const [, keyHeads = 1, keys = 1] = k.shape;
  return { batch, heads, keyHeads, queries, keys, depth, width: v.shape[3] ?? 1 };
}

export function planOf(request: KernelRequest): Plan {
  const sizes = sizesOf(request);
  const { attrs, isa, cores, operands } = request;
  const { batch, heads, keyHeads, queries, keys } = sizes;
  const shared = (heads / keyHeads) * queries;
  const window = Number(attrs["window"] ?? 0);
  const most = isa.vector ? VECTOR_ROWS : SCALAR_ROWS;
  const fair = Math.ceil((batch * heads * queries) / cores);
  const few = Math.max(1, Math.min(most, fair, shared));
  const blocks = Math.ceil(shared / few);
  const rows = Math.max(1, Math.ceil(shared / Math.max(1, blocks)));
  const some = Math.max(1, Math.min(keys, Math.floor(MOST_SCRATCH / (cores * rows * WORD))));
  const all = [batch, heads, queries, keys];
  const [mask, sink] = [operands[3], operands[4]];
  const scores = scoreProduct(sizes, rows, some, Number(attrs["scale"]));
  return {
    ...sizes,
    request,
    shared,
    rows,
    blocks,
    some,
    causal: Boolean(attrs["causal"]) || window > 0,
    window,
    softcap: Number(attrs["softcap"] ?? 0),
    scores: stackOf(scores, isa, 1, 1),
    firstScores: someColumnsOf(scores, isa),
    mix: stackOf(mixProduct(sizes, rows, some), isa, 1, 1),
    mask: mask ? broadcastTo(viewOf(single(mask).shape), all) : null,
    sink: sink ? broadcastTo(viewOf(single(sink).shape), all.with(3, 1)) : null,
  };
}

function scoreProduct({ depth }: Sizes, rows: number, some: number, scale: number): Product {
  const row = depth * WORD;
  return {
    rows: { size: rows, step: row, out: some * WORD, addend: 0, along: WORD },
    columns: { size: some, step: row, out: WORD, addend: 0, along: WORD },
    depth,
    alpha: scale,
    beta: null,
  };
}

/** It is added to what other blocks of keys gave, where there are several. */
function mixProduct({ keys, width }: Sizes, rows: number, some: number): Product {
  const [row, word] = [width * WORD, WORD];
  return {
    rows: { size: rows, step: some * WORD, out: row, addend: row, along: WORD },
    columns: { size: Math.max(1, width), step: word, out: word, addend: word, along: row },
    depth: some,
    alpha: 1,
    beta: inParts({ keys, some }) ? 1 : null,
  };
}
