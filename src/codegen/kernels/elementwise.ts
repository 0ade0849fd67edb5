/** Operations of two operands, element by element. Operands of other shapes are repeated as ONNX's broadcasting does. */

import { sizeOf } from "../../tensor/tensor.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";

const FLOAT_BYTES = 4;

/** Equal shapes, single precision: the first shape of this family. */
const float =
  (name: string): Generate =>
  ({ operands, results }) => {
    const [a, b] = operands;
    const [y] = results;
    if (!a || !b || !y) throw new KernelGap("an absent operand");
    if (y.elem !== "f32") throw new KernelGap(`elements of type ${y.elem}`);
    if (sizeOf(a.shape) !== sizeOf(y.shape) || sizeOf(b.shape) !== sizeOf(y.shape)) {
      throw new KernelGap("operands of different shapes");
    }
    return { phases: [(k) => each(k, name, sizeOf(y.shape))] };
  };

function each(k: PhaseAssembler, name: string, total: number): void {
  const { from, end } = k.share(total);
  const start = k.mul(from, FLOAT_BYTES);
  const a = k.add(k.operand(0), start);
  const b = k.add(k.operand(1), start);
  const y = k.add(k.result(0), start);
  k.repeat(k.sub(end, from), () => {
    const sum = k.f(name, k.f("flw", 0, a), k.f("flw", 0, b));
    k.emit("fsw", sum, 0, y);
    for (const p of [a, b, y]) k.addTo(p, p, FLOAT_BYTES);
  });
}

export const ELEMENTWISE: GeneratorTable = {
  Add: float("fadd.s"),
  "nn.residual": float("fadd.s"),
  Sub: float("fsub.s"),
  Mul: float("fmul.s"),
};
