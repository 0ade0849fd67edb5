/** What a step in halves may be off its kernel: roundings, and no more. */

import { expect, test } from "vitest";
import { isOff, type StepCheck } from "../../src/compare/machine-code.ts";
import type { Executor } from "../../src/sim/execute.ts";
import { Host } from "../../src/sim/isa/host.ts";
import type { Process } from "../../src/sim/processes.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import { type Elem, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";

const values = (elem: Elem, shape: readonly number[], of: (i: number) => number): Tensor =>
  fromNumbers(
    elem,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => of(i)),
  );

const cast = (t: Tensor, elem: Elem): Tensor => fromNumbers(elem, t.shape, toNumbers(t));

function compute(kernel: string, inputs: readonly Tensor[]): readonly Tensor[] {
  const found = KERNELS.get(kernel);
  if (!found) throw new Error(`there is no kernel ${kernel}`);
  return found({ inputs, attrs: {}, outShapes: null });
}

/** Whether what a step gave is told as off its kernel. */
function isTold(kernel: string, operands: readonly Tensor[], given: readonly Tensor[]): boolean {
  const executor = {
    compute: (_: unknown, change = (operand: Tensor) => operand) =>
      compute(kernel, operands.map(change)),
    store() {},
  } as unknown as Executor;
  const process = { index: 0, step: { id: "s" } } as unknown as Process;
  const host = new Host([process], executor, 1, true, () => {});
  host.take(process, given);
  const { worst = 0, rounding = 0 } = host.checks.get("s") ?? {};
  return isOff({ deviation: worst, rounding } as StepCheck);
}

/** Computed in single precision and rounded once. */
const inSingle = (kernel: string, operands: readonly Tensor[], elem: Elem): readonly Tensor[] =>
  compute(
    kernel,
    operands.map((o) => cast(o, "f32")),
  ).map((r) => cast(r, elem));

test.each(["f16", "bf16"] as const)("roundings of %s between two operations", (elem) => {
  const x = values(elem, [1, 2, 4, 8], (i) => Math.sin(3 * i));
  const tables = [Math.cos, Math.sin].map((f) =>
    values(elem, [4, 8], (i) => f((i % 4) * (i >> 3))),
  );
  const once = inSingle("nn.rope", [x, ...tables], elem);
  expect(once).not.toEqual(compute("nn.rope", [x, ...tables]));
  expect(isTold("nn.rope", [x, ...tables], once)).toBe(false);
  const other = cast(once[0] as Tensor, "f32");
  const wrong = toNumbers(other).map((v, i) => (i === 11 ? v + 0.25 : v));
  expect(isTold("nn.rope", [x, ...tables], [fromNumbers(elem, x.shape, wrong)])).toBe(true);
});

test.each(["f16", "bf16"] as const)(
  "one unit of %s where operands in their last place change nothing",
  (elem) => {
    const x = values(elem, [1], () => 6);
    const [y] = compute("Tanh", [x]) as [Tensor];
    const beside = { ...y, data: Uint16Array.from(y.data as Uint16Array, (bits) => bits - 1) };
    expect(isTold("Tanh", [x], [beside])).toBe(false);
  },
);
