/** How long the cluster of a target takes for kernels: their machine code is run on its cores, each kind once. */

import { compileKernel } from "../codegen/compile-kernel.ts";
import { isaOf } from "../codegen/isa.ts";
import { type Block, constantBlock, KernelGap } from "../codegen/kernel.ts";
import { measureKernel } from "../sim/isa/measure.ts";
import type { Target } from "../target/schema.ts";
import { bytesPer, type Elem, sizeOf, type Tensor } from "../tensor/tensor.ts";

/** A kernel's name, attributes and types, and the constants among its operands that are at hand. */
export interface MeasuredCall {
  readonly kernel: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly operands: readonly (Operand | null)[];
  readonly results: readonly Block[];
}

interface Operand {
  readonly elem: Elem;
  readonly shape: readonly number[];
  readonly constant?: Tensor;
}

/** A kernel that takes longer is not measured: a compiler should not wait for it. */
const MOST_CYCLES = 4e6;
/** Nor one with so many bytes of operands. */
const MOST_BYTES = 2 ** 28;

/** Cycles of a kernel; null where it has no machine code, or is too large to be run. */
export function measurerOf(target: Target): (call: MeasuredCall) => number | null {
  const known = new Map<string, number | null>();
  return (call) => {
    const blocks = call.operands.map((o) => o && blockOf(o));
    const key = JSON.stringify([call.kernel, call.attrs, blocks, call.results]);
    const found = known.get(key);
    if (found !== undefined) return found;
    const cycles = measured(call, blocks, target);
    known.set(key, cycles);
    return cycles;
  };
}

/** Of a constant, an iteration may read a part: then its values are not those of the kernel. */
function blockOf({ elem, shape, constant }: Operand): Block {
  const isWhole = constant !== undefined && sizeOf(constant.shape) === sizeOf(shape);
  return isWhole ? constantBlock({ elem, shape }, () => constant) : { elem, shape };
}

function measured(
  { kernel, attrs, operands, results }: MeasuredCall,
  blocks: readonly (Block | null)[],
  target: Target,
): number | null {
  const bytes = operands.reduce((sum, o) => sum + (o ? bytesPer(o.elem) * sizeOf(o.shape) : 0), 0);
  if (bytes > MOST_BYTES) return null;
  const { isa, cores } = target.cluster;
  const request = { kernel, attrs, operands: blocks, results, isa: isaOf(isa), cores: cores.value };
  try {
    const compiled = { ...request, ...compileKernel(request, "kernel") };
    return measureKernel(compiled, target, MOST_CYCLES);
  } catch (e) {
    if (e instanceof KernelGap) return null;
    throw e;
  }
}
