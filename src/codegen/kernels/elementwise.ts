/** Operations of two operands, element by element. Operands of other shapes are repeated as ONNX's broadcasting does. */

import { sizeOf } from "../../tensor/tensor.ts";
import { exponential } from "../exponential.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import { type Compute, strip } from "../strip.ts";

const FLOAT_BYTES = 4;

/** Equal shapes, single precision: the first shape of this family. */
const float =
  (compute: Compute, group: number): Generate =>
  ({ operands, results }) => {
    const [y] = results;
    if (y?.elem !== "f32") throw new KernelGap(`elements of type ${y?.elem}`);
    for (const t of operands) {
      if (!t || sizeOf(t.shape) !== sizeOf(y.shape)) throw new KernelGap("different shapes");
    }
    return { phases: [(k) => each(k, compute, group, sizeOf(y.shape))] };
  };

function each(k: PhaseAssembler, compute: Compute, group: number, total: number): void {
  const { from, end } = k.share(total, 4);
  const start = k.mul(from, FLOAT_BYTES);
  const { operands, isa } = k.request;
  const inputs = operands.map((_, i) => ({ address: k.add(k.operand(i), start), step: 1 }));
  const output = { address: k.add(k.result(0), start), step: 1 };
  strip(k, isa, { inputs, output, count: k.sub(end, from), compute, group });
}

const add: Compute = (l) => (a, b) => l.add(a, b);
const sub: Compute = (l) => (a, b) => l.sub(a, b);
const mul: Compute = (l) => (a, b) => l.mul(a, b);

export const ELEMENTWISE: GeneratorTable = {
  Add: float(add, 8),
  "nn.residual": float(add, 8),
  Sub: float(sub, 8),
  Mul: float(mul, 8),
  Exp: float((l) => exponential(l), 4),
};
