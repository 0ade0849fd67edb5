/** Kernels as functions of a program: compiled once for equal requests, however many steps and clusters call them. */

import {
  assemble,
  instruction,
  type Line,
  label,
  loadConstant,
  remark,
} from "../../riscv/listing.ts";
import { compileKernel, signature } from "../compile-kernel.ts";
import { type Block, KernelGap, type KernelRequest } from "../kernel.ts";

export interface KernelFunction {
  /** Its label. All cores call it, with nothing but their number in tp. */
  readonly name: string;
  readonly lines: readonly Line[];
  /** It may lie at any address. */
  readonly bytes: Buffer;
  readonly scratchBytes: number;
  /** Its scratch memory has to lie in the TCDM. */
  readonly near: boolean;
  /** The most that one of its phases takes of the stack. */
  readonly stackBytes: number;
}

const [RA, SP, TP, A0, A1] = [1, 2, 4, 10, 11];
const FRAME = 16;
const SAVED = 12;

interface Known {
  /** Whether the code depends on the values of small constants. */
  readonly byValues: boolean;
  readonly made: Map<string, KernelFunction | KernelGap>;
}

export class Kernels {
  private readonly parameters: number;
  private readonly known = new Map<string, Known>();
  private count = 0;

  /** `parameters` is the address of the words that kernels find their operands by. */
  constructor(parameters: number) {
    this.parameters = parameters;
  }

  /** Errors: KernelGap. */
  get(request: KernelRequest): KernelFunction {
    const { kernel, attrs, operands, results, isa, cores, growing } = request;
    const types = operands.map((o) => o && { elem: o.elem, shape: o.shape });
    const key = text([kernel, attrs, types, results, isa.text, cores, growing]);
    const values = text(operands.map((o) => o?.values));
    const found = this.known.get(key);
    const made = found?.made.get(found.byValues ? values : "") ?? this.make(request, key, values);
    if (made instanceof KernelGap) throw made;
    return made;
  }

  private make(request: KernelRequest, key: string, values: string): KernelFunction | KernelGap {
    let read = false;
    const operands = request.operands.map((o) => o && watched(o, () => (read = true)));
    const made = this.compile({ ...request, operands });
    const found = this.known.get(key) ?? { byValues: read, made: new Map() };
    found.made.set(found.byValues ? values : "", made);
    this.known.set(key, found);
    return made;
  }

  private compile(request: KernelRequest): KernelFunction | KernelGap {
    const name = `${request.kernel}.${this.count++}`;
    try {
      const { phases, lines, scratchBytes, near } = compileKernel(request, name);
      const all = [label(name), remark(signature(request)), ...this.calls(phases), ...lines];
      const { bytes } = assemble(all, 0);
      const stackBytes = FRAME + deepest(lines);
      return { name, lines: all, bytes, scratchBytes, near, stackBytes };
    } catch (e) {
      if (e instanceof KernelGap) return e;
      throw e;
    }
  }

  /** All cores run a phase, then wait for each other. */
  private calls(phases: readonly string[]): readonly Line[] {
    return [
      instruction("addi", SP, SP, -FRAME),
      instruction("sw", RA, SAVED, SP),
      ...phases.flatMap((phase) => [
        ...loadConstant(A0, this.parameters),
        instruction("addi", A1, TP, 0),
        instruction("jal", RA, phase),
        instruction("barrier", 0, 0, 0),
      ]),
      instruction("lw", RA, SAVED, SP),
      instruction("addi", SP, SP, FRAME),
      instruction("jalr", 0, 0, RA),
    ];
  }
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? `${v}n` : v));

/** The same block; `read` hears when somebody looks at its values. */
function watched(block: Block, read: () => void): Block {
  const { elem, shape, values } = block;
  if (!values) return block;
  return {
    elem,
    shape,
    get values() {
      read();
      return values;
    },
  };
}

/** The largest frame that a function of these makes. */
const deepest = (lines: readonly Line[]): number =>
  lines.reduce((most, line) => {
    if (line.kind !== "instruction" || line.name !== "addi") return most;
    const [to, from, by] = line.operands;
    return to === SP && from === SP && typeof by === "number" ? Math.max(most, -by) : most;
  }, 0);
