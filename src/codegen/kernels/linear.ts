/**
 * Linear layers whose weights are constants: x W + bias, of one expert where tokens are routed. Weights that are no
 * single precision become so in the scratch memory first, integers with the scales and zero points of their blocks; these
 * numbers are the same bits as in src/tensor, sums are fused.
 */

import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { inSingle } from "../in-single.ts";
import {
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type Phase,
  type PhaseAssembler,
} from "../kernel.ts";
import { contraction } from "../product/phase.ts";
import { addendOf, rowsOf } from "../product/rows.ts";
import { multiply, stackOf } from "../product/tiles.ts";
import { type Contraction, stacked, transposedView, type View, viewOf } from "../product/view.ts";
import { type X, ZERO } from "../register.ts";
import { firstResult, flagOf, number, operandAt, single } from "../request.ts";
import { alongRow, GRAIN, numberAt } from "../row.ts";
import { fillZero } from "../softmax-row.ts";
import { engineLinear, isOnEngine } from "./engine.ts";

const WORD = 4;
const [X_AT, BIAS, ROUTING, WEIGHT, SCALES, ZEROS] = [0, 1, 2, 3, 4, 5];

/** A stored matrix: rows and columns as they lie, and how many elements of the operand are before it. */
interface Stored {
  readonly elem: Elem;
  readonly rows: number;
  readonly columns: number;
  readonly before: number;
}

/** Matrix `slice` of a stack, or all axes but the outputs' as one. */
function storedOf(request: KernelRequest, operand: number): Stored {
  const block = request.operands[operand];
  if (!block) throw new KernelGap("an absent weight");
  const { elem, shape } = block;
  const slice = number(request, "slice", -1);
  const own = slice >= 0 && shape.length > 2 ? shape.slice(1) : shape;
  const before = own === shape ? 0 : slice * sizeOf(own);
  const outputs = (flagOf(request, "transposed") ? own[0] : own.at(-1)) ?? 1;
  const inputs = outputs === 0 ? 0 : sizeOf(own) / outputs;
  return flagOf(request, "transposed")
    ? { elem, rows: outputs, columns: inputs, before }
    : { elem, rows: inputs, columns: outputs, before };
}

const linear: Generate = (request) => {
  const { operands, results, isa, cores } = request;
  const [x, out] = [single(operands[X_AT]), single(results[0])];
  const bias = operands[BIAS] ? single(operands[BIAS]) : null;
  const stored = storedOf(request, WEIGHT);
  const isReal = stored.elem === "f32" && !operands[SCALES];
  const matrix = viewOf([stored.rows, stored.columns]);
  const of = {
    a: rowsOf(x),
    b: flagOf(request, "transposed") ? transposedView(matrix) : matrix,
    out: rowsOf(out),
    c: bias && addendOf(bias, out),
  };
  const weight = isReal
    ? (k: PhaseAssembler): X => k.add(k.operand(WEIGHT), stored.before * WORD)
    : (k: PhaseAssembler): X => k.scratch();
  const from = { a: operandAt(X_AT), b: weight, c: operandAt(BIAS), out: firstResult };
  const product = operands[ROUTING]
    ? routed(request, of, weight)
    : contraction(of, from, isa, cores);
  return {
    phases: isReal ? [product] : [realWeights(request, stored), product],
    scratchBytes: isReal ? 0 : stored.rows * stored.columns * WORD,
  };
};

/** The weights as words at the beginning of the scratch memory, as they lie. */
function realWeights(request: KernelRequest, stored: Stored): Phase {
  const { rows, columns, before, elem } = stored;
  const scale = request.operands[SCALES] ? scalingOf(request) : null;
  return (k) => {
    const { from, end } = k.share(rows);
    const [codes, out] = [k.operand(WEIGHT), k.scratch()];
    k.range(from, end, 1, (row) => {
      const start = k.add(k.mul(row, columns), before);
      const at = {
        codes: { at: k.add(codes, k.mul(start, bytesPer(elem))), bytes: bytesPer(elem) },
        out: k.add(out, k.mul(row, columns * WORD)),
      };
      if (!scale) converted(k, elem, at, columns);
      else if (flagOf(request, "transposed")) scaledAlong(k, stored, scale, row, at);
      else scaledAcross(k, stored, scale, row, at);
    });
  };
}

interface RowPlace {
  readonly codes: { readonly at: X; readonly bytes: number };
  readonly out: X;
}

function converted(k: PhaseAssembler, elem: Elem, { codes, out }: RowPlace, count: number): void {
  const row = { count: k.li(count), pointers: [codes, out] };
  alongRow(k, k.request.isa, row, () => (part) => part.store(part.loadAs(elem, codes.at), out));
}

interface Scaling {
  readonly block: number;
  /** Scales, and zero points if any: their elements, and the columns and first of the matrix. */
  readonly parts: readonly { readonly operand: number; readonly stored: Stored }[];
}

function scalingOf(request: KernelRequest): Scaling {
  const parts = [SCALES, ZEROS].filter((i) => request.operands[i]);
  return {
    block: number(request, "block", 1),
    parts: parts.map((operand) => ({ operand, stored: storedOf(request, operand) })),
  };
}

/** Where a row of the scales begins, and of the zero points. */
function scaleRows(k: PhaseAssembler, { parts }: Scaling, row: X) {
  return parts.map(({ operand, stored }) => {
    const bytes = bytesPer(stored.elem);
    const start = k.add(k.mul(row, stored.columns), stored.before);
    return { at: k.add(k.operand(operand), k.mul(start, bytes)), bytes, elem: stored.elem };
  });
}

/** Blocks are of rows: each element of a row has a scale of its own. */
function scaledAcross(
  k: PhaseAssembler,
  { elem, columns }: Stored,
  scaling: Scaling,
  row: X,
  { codes, out }: RowPlace,
): void {
  const [scale, zero] = scaleRows(k, scaling, k.div(row, scaling.block));
  if (!scale) return;
  const pointers = [codes, out, scale, ...(zero ? [zero] : [])];
  alongRow(k, k.request.isa, { count: k.li(columns), pointers }, (l) => (part) => {
    let code = part.loadAs(elem, codes.at);
    if (zero) code = l.sub(code, part.loadAs(zero.elem, zero.at));
    part.store(l.mul(code, part.loadAs(scale.elem, scale.at)), out);
  });
}

/** Blocks are of columns: a part of a row shares a scale. */
function scaledAlong(
  k: PhaseAssembler,
  { elem, columns }: Stored,
  scaling: Scaling,
  row: X,
  { codes, out }: RowPlace,
): void {
  const [scale, zero] = scaleRows(k, scaling, row);
  if (!scale) return;
  const left = k.li(columns);
  const most = k.li(scaling.block);
  k.repeat(Math.ceil(columns / scaling.block), () => {
    const by = numberAt(k, scale.elem, scale.at);
    const from = zero && numberAt(k, zero.elem, zero.at);
    const row = { count: k.min(left, most), pointers: [codes, out] };
    alongRow(k, k.request.isa, row, (l) => (part) => {
      const code = part.loadAs(elem, codes.at);
      part.store(l.mul(from ? l.sub(code, from) : code, by), out);
    });
    k.to(left, "sub", left, most);
    for (const p of [scale, ...(zero ? [zero] : [])]) k.addTo(p.at, p.at, p.bytes);
  });
}

/** Rows that are not routed to the expert are zeros and cost nothing else. */
function routed(request: KernelRequest, of: Contraction, weight: (k: PhaseAssembler) => X): Phase {
  const { operands, isa, cores } = request;
  const routing = single(operands[ROUTING]);
  const expert = number(request, "expert", 0);
  const [tokens = 0, experts = 1] = routing.shape;
  const [inputs = 0, outputs = 0] = [of.a.shape[1], of.out.shape[1]];
  const row = (v: View): View => ({ shape: [1, ...v.shape.slice(1)], strides: v.strides });
  const { product, empty } = stacked({ ...of, a: row(of.a), out: row(of.out) });
  if (empty || tokens === 0) return () => {};
  const stack = stackOf(product, isa, cores, 1);
  return (k) => {
    const tiles = k.share(stack.tiles);
    const zeros = k.share(outputs, GRAIN);
    const [x, columns, y] = [k.operand(X_AT), weight(k), k.result(0)];
    const addend = operands[BIAS] ? k.operand(BIAS) : y;
    const choice = k.add(k.operand(ROUTING), expert * WORD);
    k.range(0, tokens, 1, (t) => {
      const share = k.f("flw", 0, k.add(choice, k.mul(t, experts * WORD)));
      const out = k.add(y, k.mul(t, outputs * WORD));
      const isIdle = k.x("feq.s", share, k.f("fmv.w.x", ZERO));
      const rows = k.add(x, k.mul(t, inputs * WORD));
      k.when(
        "eq",
        isIdle,
        ZERO,
        () => multiply(k, stack, () => ({ rows, columns, out, addend }), tiles),
        () => {
          const start = k.add(out, k.mul(zeros.from, WORD));
          fillZero(k, isa, start, k.sub(zeros.end, zeros.from));
        },
      );
    });
  };
}

/** The weight, its scales and zero points are read as they are. */
const onCores = inSingle(linear, [X_AT, BIAS, ROUTING]);

export const LINEAR: GeneratorTable = {
  "nn.linear": (request) => (isOnEngine(request) ? engineLinear : onCores)(request),
};
