/** A kernel as machine code: its phases with their labels, ready to be put into a program. */

import type { Line } from "../riscv/listing.ts";
import { label, remark } from "../riscv/listing.ts";
import { KernelGap, type KernelRequest, type Phase, PhaseAssembler } from "./kernel.ts";
import { GENERATORS } from "./kernels/index.ts";

export interface CompiledKernel {
  /** Labels of the phases' first instructions, in order. */
  readonly phases: readonly string[];
  readonly lines: readonly Line[];
  readonly scratchBytes: number;
  /** The scratch memory has to lie in the TCDM. */
  readonly near: boolean;
}

/** `name` begins every label of the kernel. Errors: KernelGap where there is no machine code for the request. */
export function compileKernel(request: KernelRequest, name: string): CompiledKernel {
  const generate = GENERATORS.get(request.kernel);
  if (!generate) throw new KernelGap(`the operation ${request.kernel}`);
  const code = generate(request);
  const phases = code.phases.map((_, i) => `${name}.phase${i}`);
  return {
    phases,
    lines: code.phases.flatMap((phase, i) => linesOf(phase, phases[i] ?? name, request)),
    scratchBytes: code.scratchBytes ?? 0,
    near: code.near ?? false,
  };
}

function linesOf(phase: Phase, name: string, request: KernelRequest): readonly Line[] {
  const k = new PhaseAssembler(name, request);
  phase(k);
  return [label(name), remark(signature(request)), ...k.finish()];
}

const typeText = (t: { elem: string; shape: readonly number[] } | null): string =>
  t === null ? "none" : [...t.shape, t.elem].join("x");

/** The request in one line, as the IR writes types. */
export const signature = ({ kernel, operands, results }: KernelRequest): string =>
  `${kernel} (${operands.map(typeText).join(", ")}) -> (${results.map(typeText).join(", ")})`;
