/** The weighted sum over the results of a mixture of experts, of those that were chosen for a token. */

import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { inSingle } from "../in-single.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import { type F, type X, ZERO } from "../register.ts";
import { given, single } from "../request.ts";
import { alongRow, GRAIN } from "../row.ts";
import { fillZero } from "../softmax-row.ts";

const WORD = 4;

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

export const WEIGHTED_SUM: GeneratorTable = { "nn.combine": inSingle(combine, [0]) };
