/** What digital kernels read besides buffers: the constants that a schedule names. */

import type { Schedule } from "../artifact/schedule.ts";
import { stringAttr } from "../ir/attrs.ts";
import { wrappedOp } from "../ir/dialects/program.ts";
import { type KernelWeight, weightsOf } from "../ir/dialects/program-schedule.ts";
import {
  isTensorAttr,
  isWeightRef,
  type Module,
  type Op,
  type Value,
  type WeightRef,
} from "../ir/op.ts";
import { producersOf } from "../ir/rewrite.ts";
import type { Tensor } from "../tensor/tensor.ts";

export type Constant = WeightRef | Tensor;

/** The values of every constant by its name in the schedule: operands, outputs, and weights of kernels. */
export function constantsOf(module: Module, schedule: Schedule): ReadonlyMap<string, Constant> {
  const producers = producersOf(module);
  const found = new Map<string, Constant>();
  const ops = new Map(module.ops.flatMap((op) => stepOf(op)));
  const note = (name: string | undefined, value: Value | null | undefined) => {
    if (name !== undefined) found.set(name, constantOf(producers, value, name));
  };
  for (const step of schedule.steps) {
    const op = ops.get(step.id);
    if (!op) throw new Error(`step ${step.id} is not in the module`);
    op.operands.forEach((operand, i) => {
      note(step.reads[i]?.constant, operand);
    });
    for (const { name, value } of weightsIn(op)) found.set(name, value);
    for (const ref of branchOf(op)) found.set(ref.weight, ref);
  }
  schedule.outputs.forEach(({ constant }, i) => {
    note(constant, module.outputs[i]?.value);
  });
  return found;
}

const stepOf = (op: Op): [string, Op][] =>
  op.attrs["step"] === undefined ? [] : [[stringAttr(op, "step"), op]];

function constantOf(
  producers: ReadonlyMap<Value, Op>,
  value: Value | null | undefined,
  name: string,
): Constant {
  const attr = value ? producers.get(value)?.attrs["value"] : undefined;
  if (isWeightRef(attr) || isTensorAttr(attr)) return attr;
  throw new Error(`'${name}' is not a constant of the module`);
}

/** The matrices of a side-branch as they were given, whatever its kernel reads: the reference is made with them. */
function branchOf(step: Op): readonly WeightRef[] {
  const op = step.kind === "program.call" ? wrappedOp(step) : null;
  if (op?.kind !== "nn.lora") return [];
  return [op.attrs["a"], op.attrs["b"]].filter(isWeightRef);
}

/** Weights that a digital kernel has as attributes; those of tiles are not among them. */
function weightsIn(step: Op): readonly KernelWeight[] {
  const op = step.kind === "program.call" ? wrappedOp(step) : null;
  return op ? weightsOf(op, stringAttr(step, "step")) : [];
}
