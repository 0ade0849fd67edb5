/**
 * Attention: softmax(scale · q kᵀ + mask) v, for blocks of query rows over blocks of keys (attention-plan.ts): what the
 * softmax of a row has come to is kept, and what older weights gave is brought to it (softmax-row.ts). Sums are fused and in
 * single precision, and the exponential is within 1 ulp.
 */

import { sizeOf } from "../../tensor/tensor.ts";
import { tangent } from "../functions/hyperbolic.ts";
import { inSingle } from "../in-single.ts";
import type { Generate, GeneratorTable, Growing, PhaseAssembler } from "../kernel.ts";
import type { Places } from "../product/product.ts";
import { multiplySome } from "../product/some-columns.ts";
import { multiply, type Stack } from "../product/tiles.ts";
import type { View } from "../product/view.ts";
import { type X, ZERO } from "../register.ts";
import {
  endRow,
  fillZero,
  type RowPart,
  STATE_BYTES,
  savedState,
  saveState,
  scaleRow,
  sinkState,
  weighPart,
} from "../softmax-row.ts";
import { type Compute, strips } from "../strip.ts";
import { coreBytes, inParts, type Plan, planOf, WORD } from "./attention-plan.ts";

const attention: Generate = (request) => {
  const plan = planOf(request);
  const { cores } = request;
  if (sizeOf(request.results[0]?.shape ?? [0]) === 0) return { phases: [] };
  return { phases: [(k) => attend(k, plan)], scratchBytes: cores * coreBytes(plan) };
};

/** A block of query rows. */
interface Rows {
  /** Numbers of its head of keys and of its first row among those that share it. */
  readonly head: X;
  readonly first: X;
  /** Addresses of its queries and results, and of its head's keys and values. */
  readonly queries: X;
  readonly out: X;
  readonly keys: X;
  readonly values: X;
  /** Addresses of what the core keeps. */
  readonly scores: X;
  readonly states: X;
  /** How many keys there are, and what is added to the number of a query for the last that it sees. */
  readonly total: X;
  readonly reach: X | null;
}

function attend(k: PhaseAssembler, plan: Plan): void {
  const { batch, keyHeads, keys, depth, width, rows, blocks, shared, some } = plan;
  const [q, keyRows, values, out] = [k.operand(0), k.operand(1), k.operand(2), k.result(0)];
  const scores = k.add(k.scratch(), k.mul(k.core, coreBytes(plan)));
  const states = k.add(scores, rows * some * WORD);
  const total = k.request.growing ? k.grown() : k.li(keys);
  const reach = plan.causal ? k.add(total, -plan.queries) : null;
  const { from, end } = k.share(batch * keyHeads * blocks);
  k.range(from, end, 1, (item) => {
    const head = k.div(item, blocks);
    const first = k.min(k.mul(k.rem(item, blocks), rows), k.li(shared - rows));
    const row = k.add(k.mul(head, shared), first);
    const place = (base: X, n: X, count: number): X => k.add(base, k.mul(n, count * WORD));
    attendRows(k, plan, {
      head,
      first,
      queries: place(q, row, depth),
      out: place(out, row, width),
      keys: place(keyRows, head, keys * depth),
      values: place(values, head, keys * width),
      scores,
      states,
      total,
      reach,
    });
  });
}

function attendRows(k: PhaseAssembler, plan: Plan, block: Rows): void {
  const { isa } = k.request;
  const { width, rows, some } = plan;
  const end = block.reach ? lastKey(k, plan, block, block.reach) : block.total;
  if (!inParts(plan)) attendSome(k, plan, block, { start: ZERO, count: end });
  else {
    eachRow(k, plan, block, (row) => saveState(k, row.state, beginning(k, plan, row)));
    fillZero(k, isa, block.out, k.li(rows * width));
    k.range(0, end, some, (start) => {
      const count = k.min(k.sub(end, start), k.li(some));
      attendSome(k, plan, block, { start, count });
    });
  }
  eachRow(k, plan, block, ({ state, out }) => {
    endRow(k, isa, savedState(k, state), { address: out, count: k.li(width) });
  });
}

/** What is known of a row before there are scores. */
const beginning = (k: PhaseAssembler, { sink }: Plan, { at }: Row): RowPart["before"] =>
  sink && sinkState(k, k.f("flw", 0, located(k, sink, k.operand(4), at())));

/** How many keys the queries of a block see at most: those of its last one, or of the last of a head. */
function lastKey(k: PhaseAssembler, plan: Plan, { first, total }: Rows, reach: X): X {
  const { queries, rows } = plan;
  const last = k.min(k.add(k.rem(first, queries), rows - 1), k.li(queries - 1));
  return k.min(atLeast0(k, k.add(k.add(last, reach), 1)), total);
}

function atLeast0(k: PhaseAssembler, n: X): X {
  k.when("lt", n, ZERO, () => k.move(n, ZERO));
  return n;
}

/** Keys, by their place among those of a head. */
interface Some {
  readonly start: X;
  readonly count: X;
}

function attendSome(k: PhaseAssembler, plan: Plan, block: Rows, { start, count }: Some): void {
  const { depth, width, softcap, scores, mix } = plan;
  const place = (base: X, bytes: number): X => k.add(base, k.mul(start, bytes));
  const scored = (): void => {
    const columns = place(block.keys, depth * WORD);
    const at = { rows: block.queries, columns, out: block.scores, addend: block.scores };
    const isWhole = plan.keys === plan.some && !plan.causal && !k.request.growing;
    if (isWhole) all(k, scores, at);
    else multiplySome(k, plan.firstScores, at, count);
    if (softcap > 0) cap(k, plan, block.scores, count);
    eachRow(k, plan, block, (row) => weigh(k, plan, block, { start, count }, row));
    all(k, mix, {
      rows: block.scores,
      columns: place(block.values, width * WORD),
      out: block.out,
      addend: block.out,
      depth: isWhole ? undefined : count,
    });
  };
  const unscored = (): void => {
    eachRow(k, plan, block, ({ state }) => saveState(k, state, null));
  };
  if (plan.keys === 0) unscored();
  else k.when("ne", count, ZERO, scored, inParts(plan) ? undefined : unscored);
}

/** All tiles of a product. */
function all(k: PhaseAssembler, stack: Stack, at: Places): void {
  multiply(k, stack, () => at, { from: k.li(0), end: k.li(stack.tiles) });
}

/** A row of a block: addresses of its scores, state and result; its query, and the first axes of its scores. */
interface Row {
  readonly scores: X;
  readonly state: X;
  readonly out: X;
  readonly query: () => X;
  readonly at: () => readonly [batch: X, head: X, query: X];
}

function eachRow(k: PhaseAssembler, plan: Plan, block: Rows, body: (row: Row) => void): void {
  const { keyHeads, queries, heads, width, rows, some } = plan;
  const [scores, state, out] = [k.copy(block.scores), k.copy(block.states), k.copy(block.out)];
  k.range(0, rows, 1, (r) => {
    const row = k.add(block.first, r);
    const at = (): ReturnType<Row["at"]> => {
      const [head, of] = [
        k.mul(k.rem(block.head, keyHeads), heads / keyHeads),
        k.div(row, queries),
      ];
      return [k.div(block.head, keyHeads), k.add(head, of), k.rem(row, queries)];
    };
    body({ scores, state, out, query: () => k.rem(row, queries), at });
    k.addTo(scores, scores, some * WORD);
    k.addTo(state, state, STATE_BYTES);
    k.addTo(out, out, width * WORD);
  });
}

/** From scores to weights; keys that the query does not see get none. What the row gave so far is brought to them. */
function weigh(k: PhaseAssembler, plan: Plan, block: Rows, some: Some, row: Row): void {
  const { isa } = k.request;
  const { begin, end } = seen(k, plan, block, some, row);
  const skip = (base: X): X => (begin ? k.add(base, k.mul(begin, WORD)) : base);
  const { state, older } = weighPart(k, isa, {
    address: skip(row.scores),
    count: begin ? k.sub(end, begin) : end,
    mask: plan.mask && maskAt(k, plan.mask, row, some, skip),
    before: inParts(plan) ? savedState(k, row.state) : beginning(k, plan, row),
  });
  saveState(k, row.state, state);
  if (begin) fillZero(k, isa, row.scores, begin);
  if (block.reach) {
    fillZero(k, isa, k.add(row.scores, k.mul(end, WORD)), k.sub(some.count, end));
  }
  if (inParts(plan)) {
    scaleRow(k, isa, { address: row.out, count: k.li(plan.width) }, older);
  }
}

function maskAt(
  k: PhaseAssembler,
  mask: View,
  { at }: Row,
  { start }: Some,
  skip: (base: X) => X,
): RowPart["mask"] {
  const address = located(k, mask, k.operand(3), at());
  if (mask.strides[3] === 0) return { address, step: 0 };
  return { address: skip(k.add(address, k.mul(start, WORD))), step: 1 };
}

/** Of some keys those that a query sees: from which (null: the first) to which. */
function seen(
  k: PhaseAssembler,
  { window }: Plan,
  { reach }: Rows,
  { start, count }: Some,
  { query }: Row,
): { readonly begin: X | null; readonly end: X } {
  if (!reach) return { begin: null, end: count };
  const end = k.add(k.sub(k.add(query(), reach), start), 1);
  const begin = window > 0 ? k.min(atLeast0(k, k.add(end, -window)), count) : null;
  return { begin, end: k.min(atLeast0(k, end), count) };
}

/** Scores s become c tanh(s / c). */
function cap(k: PhaseAssembler, { rows, some, softcap }: Plan, scores: X, count: X): void {
  const bend: Compute = (l) => {
    const [c, part] = [l.k.constant(softcap), l.k.constant(1 / softcap)];
    const f = tangent(l);
    return (score) => l.mul(f(l.mul(score, part)), c);
  };
  const row = k.copy(scores);
  k.repeat(rows, () => {
    const at = (): { address: X; step: number } => ({ address: k.copy(row), step: WORD });
    strips(k, k.request.isa, bend, 1)([at()], at(), count);
    k.addTo(row, row, some * WORD);
  });
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

export const ATTENTION: GeneratorTable = { "nn.attention": inSingle(attention) };

/** The axes of keys: those of keys, values and masks, counted from the last. */
export const ATTENTION_GROWS: readonly Growing[] = [
  { operand: 1, axis: -2 },
  { operand: 2, axis: -2 },
  { operand: 3, axis: -1 },
];
