/**
 * The routing matrix of a mixture of experts. Weights are within 4 ulp. Experts are ranked by their logits: where scores are
 * equal only because they are rounded, the larger logit wins; of equal logits, the first.
 */

import { sizeOf } from "../../tensor/tensor.ts";
import { exponential } from "../exponential.ts";
import { inSingle } from "../in-single.ts";
import type { Generate, GeneratorTable, PhaseAssembler } from "../kernel.ts";
import type { Unary } from "../lanes.ts";
import { type F, type X, ZERO } from "../register.ts";
import { single } from "../request.ts";
import { alongRow } from "../row.ts";
import { ScalarLanes } from "../scalar-lanes.ts";
import { fillZero } from "../softmax-row.ts";

const WORD = 4;

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

export const ROUTER: GeneratorTable = { "nn.router": inSingle(router) };
