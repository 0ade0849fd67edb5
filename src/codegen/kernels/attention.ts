/**
 * Attention: softmax(scale · q kᵀ + mask) v. Each core takes blocks of the query rows that share a head of keys; their
 * scores lie in its part of the scratch memory between the two products. Sums are fused and in single precision, and
 * the exponential is within 1 ulp.
 */

import { sizeOf } from "../../tensor/tensor.ts";
import { tangent } from "../functions/hyperbolic.ts";
import { inSingle } from "../in-single.ts";
import type { Block, Generate, GeneratorTable, KernelRequest, PhaseAssembler } from "../kernel.ts";
import type { Places, Product } from "../product/product.ts";
import { multiply, type Stack, stackOf } from "../product/tiles.ts";
import { countOf } from "../product/tiling.ts";
import { broadcastTo, type View, viewOf } from "../product/view.ts";
import { type X, ZERO } from "../register.ts";
import { single } from "../request.ts";
import { fillZero, type SoftmaxRow, softmaxRow } from "../softmax-row.ts";
import { type Compute, strips } from "../strip.ts";

const WORD = 4;
/** Rows of queries that a core takes at once: as many as a tile of the first product has. */
const SCALAR_ROWS = 5;
const VECTOR_ROWS = 6;
/** Scores of all cores should stay below so many bytes where rows can be fewer. */
const MOST_SCRATCH = 1 << 16;

interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
  readonly width: number;
}

interface Plan extends Sizes {
  readonly request: KernelRequest;
  /** Query rows of one head of keys: those of all heads that share it. */
  readonly shared: number;
  /** Rows of a block, and blocks. The last block begins earlier rather than be shorter. */
  readonly rows: number;
  readonly blocks: number;
  /** Keys that query i sees: up to i + reach; of those the last `window`. Null: all. */
  readonly reach: number | null;
  readonly window: number;
  readonly scores: Stack;
  readonly mix: Stack;
  /** Scores s become c tanh(s / c); 0 is none. */
  readonly softcap: number;
  readonly mask: View | null;
  readonly sink: View | null;
}

const attention: Generate = (request) => {
  const plan = planOf(request);
  const { cores } = request;
  if (sizeOf(request.results[0]?.shape ?? [0]) === 0) return { phases: [] };
  return {
    phases: [(k) => attend(k, plan)],
    scratchBytes: cores * plan.rows * plan.keys * WORD,
  };
};

function sizesOf({ operands }: KernelRequest): Sizes {
  const [q, k, v] = [0, 1, 2].map((i) => single(operands[i])) as [Block, Block, Block];
  const [batch = 1, heads = 1, queries = 1, depth = 1] = q.shape;
  const [, keyHeads = 1, keys = 1] = k.shape;
  return { batch, heads, keyHeads, queries, keys, depth, width: v.shape[3] ?? 1 };
}

function planOf(request: KernelRequest): Plan {
  const sizes = sizesOf(request);
  const { attrs, isa, cores, operands } = request;
  const { batch, heads, keyHeads, queries, keys, width } = sizes;
  const shared = (heads / keyHeads) * queries;
  const window = Number(attrs["window"] ?? 0);
  const most = isa.vector ? VECTOR_ROWS : SCALAR_ROWS;
  const fair = Math.ceil((batch * heads * queries) / cores);
  const fits = Math.floor(MOST_SCRATCH / (cores * Math.max(1, keys) * WORD));
  const few = Math.max(1, Math.min(most, fair, fits, shared));
  const blocks = Math.ceil(shared / few);
  const rows = Math.max(1, Math.ceil(shared / Math.max(1, blocks)));
  const all = [batch, heads, queries, keys];
  const [mask, sink] = [operands[3], operands[4]];
  return {
    ...sizes,
    request,
    shared,
    rows,
    blocks,
    reach: attrs["causal"] || window > 0 ? keys - queries : null,
    window,
    softcap: Number(attrs["softcap"] ?? 0),
    scores: stackOf(scoreProduct(sizes, rows, Number(attrs["scale"])), isa, 1, 1),
    mix: stackOf(mixProduct({ keys, width }, rows), isa, 1, 1),
    mask: mask ? broadcastTo(viewOf(single(mask).shape), all) : null,
    sink: sink ? broadcastTo(viewOf(single(sink).shape), all.with(3, 1)) : null,
  };
}

function scoreProduct({ keys, depth }: Sizes, rows: number, scale: number): Product {
  const row = depth * WORD;
  return {
    rows: { size: rows, step: row, out: keys * WORD, addend: 0, along: WORD },
    columns: { size: Math.max(1, keys), step: row, out: WORD, addend: 0, along: WORD },
    depth,
    alpha: scale,
    beta: null,
  };
}

function mixProduct({ keys, width }: Pick<Sizes, "keys" | "width">, rows: number): Product {
  return {
    rows: { size: rows, step: keys * WORD, out: width * WORD, addend: 0, along: WORD },
    columns: { size: Math.max(1, width), step: WORD, out: WORD, addend: 0, along: width * WORD },
    depth: keys,
    alpha: 1,
    beta: null,
  };
}

function attend(k: PhaseAssembler, plan: Plan): void {
  const { batch, keyHeads, keys, width, rows, blocks, shared } = plan;
  const [q, keyRows, values, out] = [k.operand(0), k.operand(1), k.operand(2), k.result(0)];
  const scores = k.add(k.scratch(), k.mul(k.core, rows * keys * WORD));
  const { from, end } = k.share(batch * keyHeads * blocks);
  k.range(from, end, 1, (item) => {
    const head = k.div(item, blocks);
    const first = k.min(k.mul(k.rem(item, blocks), rows), k.li(shared - rows));
    const row = k.add(k.mul(head, shared), first);
    const place = (base: X, n: X, bytes: number): X => k.add(base, k.mul(n, bytes));
    // What the last query of the block sees.
    const depth = plan.reach === null ? undefined : lastKey(k, plan, first, plan.reach);
    if (keys > 0) {
      const tiles = depth && someTiles(k, plan.scores, depth);
      all(
        k,
        plan.scores,
        {
          rows: place(q, row, plan.depth * WORD),
          columns: place(keyRows, head, keys * plan.depth * WORD),
          out: scores,
          addend: scores,
        },
        tiles,
      );
      weigh(k, plan, scores, head, first);
    }
    const mixed = place(out, row, width * WORD);
    all(k, plan.mix, {
      rows: scores,
      columns: place(values, head, keys * width * WORD),
      out: mixed,
      addend: mixed,
      depth,
    });
  });
}

/** How many keys the queries of a block see at most: those of its last one, or of the last of a head. */
function lastKey(k: PhaseAssembler, plan: Plan, first: X, reach: number): X {
  const { queries, rows, keys } = plan;
  const last = k.min(k.add(k.rem(first, queries), rows - 1), k.li(queries - 1));
  const end = k.add(last, reach + 1);
  k.when("lt", end, ZERO, () => k.move(end, ZERO));
  return k.min(end, k.li(keys));
}

/** How many tiles have the scores of the first `end` keys, where tiles follow one another along the keys. */
function someTiles(k: PhaseAssembler, stack: Stack, end: X): X | undefined {
  const blocks = stack.tiling.swapped ? stack.rows : stack.columns;
  const count = countOf(blocks);
  if (stack.tiles !== count || stack.tiles === 1) return undefined;
  const width = blocks.width - Math.sign(blocks.small);
  return k.min(k.div(k.add(end, width - 1), width), k.li(count));
}

/** All tiles of one product, or the first ones. */
function all(k: PhaseAssembler, stack: Stack, at: Places, tiles: X = k.li(stack.tiles)): void {
  multiply(k, stack, () => at, { from: k.li(0), end: tiles });
}

/** From scores to weights, row by row; keys that a query does not see get none. */
function weigh(k: PhaseAssembler, plan: Plan, scores: X, head: X, first: X): void {
  const { keys, keyHeads, queries, heads, rows, reach, window, softcap, mask, sink } = plan;
  if (softcap > 0) cap(k, softcap, scores, rows * keys);
  const { isa } = k.request;
  const address = k.copy(scores);
  const total = k.li(keys);
  k.range(0, rows, 1, (r) => {
    const at = k.add(first, r);
    const query = k.rem(at, queries);
    // b and h of [B, H, Sq, Sk].
    const b = k.div(head, keyHeads);
    const h = k.add(k.mul(k.rem(head, keyHeads), heads / keyHeads), k.div(at, queries));
    const view = (v: View, base: X): X => located(k, v, base, [b, h, query]);
    const [begin, end] = reach === null ? [null, total] : seen(k, query, reach, window, total);
    const [start, count] = begin
      ? [k.add(address, k.mul(begin, WORD)), k.sub(end, begin)]
      : [address, end];
    const row: SoftmaxRow = {
      address: start,
      count,
      mask: mask && maskAt(k, mask, view(mask, k.operand(3)), begin),
      sink: sink && k.f("flw", 0, view(sink, k.operand(4))),
    };
    softmaxRow(k, isa, row);
    if (begin) fillZero(k, isa, address, begin);
    if (reach !== null) {
      fillZero(k, isa, k.add(address, k.mul(end, WORD)), k.sub(total, end));
    }
    k.addTo(address, address, keys * WORD);
  });
}

/** Scores s become c tanh(s / c). */
function cap(k: PhaseAssembler, most: number, scores: X, count: number): void {
  const bend: Compute = (l) => {
    const [c, part] = [l.k.constant(most), l.k.constant(1 / most)];
    const f = tangent(l);
    return (score) => l.mul(f(l.mul(score, part)), c);
  };
  const at = (): { address: X; step: number } => ({ address: k.copy(scores), step: WORD });
  strips(k, k.request.isa, bend, 1)([at()], at(), count);
}

function maskAt(k: PhaseAssembler, mask: View, row: X, begin: X | null): SoftmaxRow["mask"] {
  if (mask.strides[3] === 0) return { address: row, step: 0 };
  return { address: begin ? k.add(row, k.mul(begin, WORD)) : row, step: 1 };
}

/** The address of an element of a value with some first axes. */
function located(k: PhaseAssembler, { strides }: View, base: X, at: readonly X[]): X {
  const place = k.copy(base);
  for (const [i, n] of at.entries()) {
    const stride = strides[i] ?? 0;
    if (stride !== 0) k.to(place, "add", place, k.mul(n, stride));
  }
  return place;
}

/** The keys that a query sees: from the first (null: 0) to the end. */
function seen(
  k: PhaseAssembler,
  query: X,
  reach: number,
  window: number,
  keys: X,
): readonly [begin: X | null, end: X] {
  const bounded = (n: X): X => {
    k.when("lt", n, ZERO, () => k.move(n, ZERO));
    return k.min(n, keys);
  };
  const end = k.add(query, reach + 1);
  const begin = window > 0 ? bounded(k.add(end, -window)) : null;
  return [begin, bounded(end)];
}

export const ATTENTION: GeneratorTable = { "nn.attention": inSingle(attention) };
