/**
 * Mixture of experts: the routing matrix, and the weighted sum over experts; and the trees of partial sums. The tree adds
 * as src/tensor does, to the same bits; weights are within 4 ulp. Experts are ranked by their logits: where scores are
 * equal only because they are rounded, the larger logit wins; of equal logits, the first.
 */

import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { exponential } from "../exponential.ts";
import { inSingle } from "../in-single.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import type { Lanes, Unary } from "../lanes.ts";
import { type F, type X, ZERO } from "../register.ts";
import { given, single } from "../request.ts";
import { alongRow, type Part } from "../row.ts";
import { ScalarLanes } from "../scalar-lanes.ts";
import { fillZero } from "../softmax-row.ts";

const WORD = 4;
/** A vector group of the longest vectors, in words: shares of rows are multiples of it. */
const GRAIN = 16;

/** Neighbours are added in pairs until one is left. */
const sum: Generate = ({ operands, isa }) => {
  const { shape } = single(operands[0]);
  const [count = 0, ...rest] = shape;
  const size = sizeOf(rest);
  return {
    phases: [
      (k) => {
        const { from, end } = k.share(size, GRAIN);
        const start = k.mul(from, WORD);
        const first = k.add(k.operand(0), start);
        const out = k.add(k.result(0), start);
        const length = k.sub(end, from);
        if (count === 0) {
          fillZero(k, isa, out, length);
          return;
        }
        const rows = [first];
        while (rows.length < count) rows.push(k.add(rows.at(-1) ?? first, size * WORD));
        alongRow(k, isa, { count: length, pointers: [...rows, out] }, (l) => (part) => {
          part.store(tree(l, part, rows), out);
        });
      },
    ],
  };
};

/** The sum of rows as a balanced tree whose left side is full. */
function tree<T, I>(l: Lanes<T, I>, part: Part<T>, rows: readonly X[]): T {
  const [only, another] = rows;
  if (only && !another) return part.load(only);
  const left = 2 ** Math.ceil(Math.log2(rows.length) - 1);
  return l.add(tree(l, part, rows.slice(0, left)), tree(l, part, rows.slice(left)));
}

/**
 * routing [T, E] and E results [T, D] -> [T, D]; experts that were not chosen do not count. Their results may be halves:
 * only rows that count are read.
 */
const combine: Generate = (request) => {
  const { operands, cores } = request;
  const [routing, first] = [single(operands[0]), given(request, 1)];
  if (operands.some((y, i) => i > 0 && y?.elem !== first.elem)) {
    throw new KernelGap("results of several types");
  }
  const width = first.shape.at(-1) ?? 1;
  const tokens = width === 0 ? 0 : sizeOf(first.shape) / width;
  const experts = routing.shape.at(-1) ?? 1;
  // Few tokens are shared by columns.
  const byRows = tokens >= cores;
  return {
    phases: [
      (k) => {
        const rows = byRows ? k.share(tokens) : { from: k.li(0), end: k.li(tokens) };
        const columns = byRows ? { from: k.li(0), end: k.li(width) } : k.share(width, GRAIN);
        const count = k.sub(columns.end, columns.from);
        k.range(rows.from, rows.end, 1, (t) => {
          const at = k.add(k.mul(t, width), columns.from);
          const weights = k.add(k.operand(0), k.mul(t, experts * WORD));
          weighted(k, experts, weights, { at, count, elem: first.elem });
        });
      },
    ],
    scratchBytes: cores * experts * CHOSEN,
  };
};

/** One row's part: the number of its first element in every result. */
interface RowPart {
  readonly at: X;
  readonly count: X;
  /** Of the experts' results. */
  readonly elem: Elem;
}

function weighted(k: PhaseAssembler, experts: number, weights: X, part: RowPart): void {
  const { isa } = k.request;
  const { count, elem } = part;
  const out = k.add(k.result(0), k.mul(part.at, WORD));
  const at = k.mul(part.at, bytesPer(elem));
  const list = k.add(k.scratch(), k.mul(k.core, experts * CHOSEN));
  const chosen = listed(k, experts, weights, list);
  const next = k.copy(list);
  const to = { out, count, elem };
  const take = (): Weighted => {
    const weight = k.f("flw", 0, next);
    const from = k.add(k.operandNumbered(k.x("lw", WORD, next)), at);
    k.addTo(next, next, CHOSEN);
    k.addTo(chosen, chosen, -1);
    return { weight, from };
  };
  const [two, done] = [k.li(2), k.newLabel()];
  k.when("eq", chosen, ZERO, () => fillZero(k, isa, out, count));
  k.far("eq", chosen, ZERO, done);
  // The first two are added without what was there before.
  k.when(
    "lt",
    chosen,
    two,
    () => addWeighted(k, [take()], to, "over"),
    () => addWeighted(k, [take(), take()], to, "over"),
  );
  k.repeat(chosen, () => addWeighted(k, [take()], to, "onto"));
  k.label(done);
}

/** Bytes of a chosen expert: its weight and its operand's number. */
const CHOSEN = 2 * WORD;

/** Writes the experts of a token that were chosen into a list and gives their number. */
function listed(k: PhaseAssembler, experts: number, weights: X, list: X): X {
  const [from, to, count] = [k.copy(weights), k.copy(list), k.li(0)];
  const zero = k.f("fmv.w.x", ZERO);
  k.range(1, experts + 1, 1, (e) => {
    const weight = k.f("flw", 0, from);
    k.addTo(from, from, WORD);
    // A row that was never computed may hold anything: it is not read.
    k.when("eq", k.x("feq.s", weight, zero), ZERO, () => {
      k.emit("fsw", weight, 0, to);
      k.emit("sw", e, WORD, to);
      k.addTo(to, to, CHOSEN);
      k.addTo(count, count, 1);
    });
  });
  return count;
}

interface Weighted {
  readonly weight: F;
  readonly from: X;
}

function addWeighted(
  k: PhaseAssembler,
  parts: readonly Weighted[],
  { out, count, elem }: { readonly out: X; readonly count: X; readonly elem: Elem },
  how: "over" | "onto",
): void {
  const to = k.copy(out);
  const bytes = bytesPer(elem);
  const pointers = [...parts.map(({ from }) => ({ at: from, bytes })), to];
  const zero = k.f("fmv.w.x", ZERO);
  alongRow(k, k.request.isa, { count, pointers }, (l) => (part) => {
    const [first, ...others] = parts.map(({ from, weight }) => ({
      y: part.loadAs(elem, from),
      weight,
    }));
    if (!first) return;
    let sum =
      how === "onto"
        ? l.accumulate(part.load(to), first.y, first.weight)
        : l.fma(first.y, first.weight, zero);
    for (const { y, weight } of others) sum = l.accumulate(sum, y, weight);
    part.store(sum, to);
  });
}

interface Routing {
  readonly experts: number;
  readonly topK: number;
  readonly normalize: boolean;
  readonly softmax: boolean;
  /** All experts are scored, and then the best are chosen. */
  readonly scoreFirst: boolean;
}

/** logits [T, E] -> weights [T, E], 0 where not chosen. */
const router: Generate = ({ operands, attrs, cores }) => {
  const { shape } = single(operands[0]);
  const experts = shape.at(-1) ?? 1;
  const how: Routing = {
    experts,
    topK: Math.min(experts, Number(attrs["top_k"])),
    normalize: Boolean(attrs["normalize"]),
    softmax: (attrs["score"] ?? "softmax") === "softmax",
    scoreFirst: (attrs["first"] ?? "score") === "score",
  };
  return {
    phases: [(k) => route(k, how, experts === 0 ? 0 : sizeOf(shape) / experts)],
    scratchBytes: cores * roomOf(how),
  };
};

/** Bytes of a core's scratch memory: ranks of the experts, then where the chosen ones are in a row. */
const roomOf = ({ experts, topK }: Routing): number => (experts + topK) * WORD;

function route(k: PhaseAssembler, how: Routing, tokens: number): void {
  const { from, end } = k.share(tokens);
  const row = how.experts * WORD;
  const ranks = k.add(k.scratch(), k.mul(k.core, roomOf(how)));
  const chosen = k.add(ranks, row);
  k.range(from, end, 1, (t) => {
    const at = k.mul(t, row);
    const [logits, out] = [k.add(k.operand(0), at), k.add(k.result(0), at)];
    routeToken(k, how, { logits, out, ranks, chosen, all: k.li(how.experts) });
  });
}

/** Addresses of one token's numbers. */
interface Token {
  readonly logits: X;
  readonly out: X;
  readonly ranks: X;
  readonly chosen: X;
  /** How many experts there are. */
  readonly all: X;
}

function routeToken(k: PhaseAssembler, how: Routing, token: Token): void {
  const { softmax, scoreFirst, topK } = how;
  fillZero(k, k.request.isa, token.out, token.all);
  rank(k, token);
  const top = softmax ? largest(k, token) : null;
  const share = top && scoreFirst ? k.f("fdiv.s", k.constant(1), powers(k, token, top)) : null;
  if (share) evenIfUndefined(k, token, share);
  const weigh = weighing(k, top, share);
  const total = k.f("fmv.w.x", ZERO);
  const list = k.copy(token.chosen);
  k.repeat(topK, () => {
    const offset = best(k, token);
    const weight = weigh(k.f("flw", 0, k.add(token.logits, offset)));
    k.to(total, "fadd.s", total, weight);
    k.emit("fsw", weight, 0, k.add(token.out, offset));
    k.emit("sw", offset, 0, list);
    k.addTo(list, list, WORD);
  });
  if (how.normalize || (softmax && !scoreFirst)) divide(k, how, token, total);
}

/** The weight of a chosen logit, before it is normalised. */
function weighing(k: PhaseAssembler, top: F | null, share: F | null): Unary<F> {
  const power = exponential(new ScalarLanes(k));
  const e = (x: F): F => power([x])[0] as F;
  const one = k.constant(1);
  return (x) => {
    if (!top) return k.f("fdiv.s", one, k.f("fadd.s", e(k.f("fsgnjn.s", x, x)), one));
    const weight = e(k.f("fsub.s", x, top));
    return share ? k.f("fmul.s", weight, share) : weight;
  };
}

/** Integers in the order of the logits: NaN above all, both zeros the same. */
function rank(k: PhaseAssembler, { logits, ranks, all }: Token): void {
  const [from, to] = [k.copy(logits), k.copy(ranks)];
  const zero = k.f("fmv.w.x", ZERO);
  k.repeat(all, () => {
    const bits = k.x("fmv.x.w", k.f("fadd.s", k.f("flw", 0, from), zero));
    const turned = k.x("srli", k.x("srai", bits, 31), 1);
    k.emit("sw", k.x("xor", bits, turned), 0, to);
    for (const p of [from, to]) k.addTo(p, p, WORD);
  });
}

const LEAST = -(2 ** 31);

/** The offset of the best expert, the first of equals; its rank becomes the least. */
function best(k: PhaseAssembler, { ranks, all }: Token): X {
  const [at, found] = [k.copy(ranks), k.copy(ranks)];
  const most = k.li(LEAST);
  k.repeat(all, () => {
    const own = k.x("lw", 0, at);
    k.when("lt", most, own, () => {
      k.move(most, own);
      k.move(found, at);
    });
    k.addTo(at, at, WORD);
  });
  k.emit("sw", k.li(LEAST), 0, found);
  return k.sub(found, ranks);
}

function largest(k: PhaseAssembler, { logits, all }: Token): F {
  const top = k.constant(Number.NEGATIVE_INFINITY);
  const from = k.copy(logits);
  alongRow(k, k.request.isa, { count: all, pointers: [from] }, () => (part) => {
    part.largest(top, part.load(from));
  });
  return top;
}

/** The sum of e^(logit - top). */
function powers(k: PhaseAssembler, { logits, all }: Token, top: F): F {
  const total = k.f("fmv.w.x", ZERO);
  const from = k.copy(logits);
  alongRow(k, k.request.isa, { count: all, pointers: [from] }, (l) => {
    const e = exponential(l, "zero");
    return (part) => part.total(total, e(l.sub(part.load(from), top)));
  });
  return total;
}

/** Scores that are all NaN are all equal. */
function evenIfUndefined(k: PhaseAssembler, { ranks, all }: Token, share: F): void {
  const isNumber = k.x("feq.s", share, share);
  k.when("eq", isNumber, ZERO, () => fillZero(k, k.request.isa, ranks, all));
}

function divide(k: PhaseAssembler, { topK }: Routing, { out, chosen }: Token, by: F): void {
  const list = k.copy(chosen);
  k.repeat(topK, () => {
    const at = k.add(out, k.x("lw", 0, list));
    k.emit("fsw", k.f("fdiv.s", k.f("flw", 0, at), by), 0, at);
    k.addTo(list, list, WORD);
  });
}

export const EXPERTS: GeneratorTable = {
  "aimc.sum": inSingle(sum),
  "nn.combine": inSingle(combine, [0]),
  "nn.router": inSingle(router),
};
