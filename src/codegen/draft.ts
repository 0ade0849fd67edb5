/** Instructions whose registers are not chosen yet, and what each reads and writes. */

import { instructionOf } from "../riscv/table.ts";
import type { Register } from "./register.ts";

export type Operand = number | string | Register;

export type Draft =
  | { readonly kind: "label"; readonly name: string }
  | { readonly kind: "remark"; readonly text: string }
  | {
      readonly kind: "instruction";
      readonly name: string;
      /** In the order of the syntax; where a target is wanted, a label. */
      readonly operands: readonly Operand[];
    };

export type DraftInstruction = Extract<Draft, { kind: "instruction" }>;

/** Vector instructions whose destination is an operand as well, and those that leave a part of it as it was. */
const ALSO_READS =
  /^v[fw]*n?m(acc|sac|add|sub)(u|su|us)?\.|^vslide(up|1up)\.|^vf?mv\.s\.|^vcompress|^vfslide1up/;

const isRegister = (o: Operand | undefined): o is Register => typeof o === "object";

/** Where an instruction's operands are read and written; looked up often, and the same for all of its name. */
interface Effects {
  /** Places of the operands that are registers it writes. */
  readonly writes: readonly number[];
  /** Places of those that it only reads. */
  readonly reads: readonly number[];
  /** Place of the vector that it writes in part, and what decides that: always, where the mask selects, or never. */
  readonly kept: number;
  readonly keeps: boolean;
  readonly mask: number;
}

const known = new Map<string, Effects>();

function effectsOf(name: string): Effects {
  const found = known.get(name);
  if (found) return found;
  const { fields } = instructionOf(name);
  const written = (field: string): boolean => field === "rd" || field === "fd" || field === "vd";
  const places = fields.map((field, i) => ({ i, written: written(field) }));
  const vector = name.startsWith("v");
  const made = {
    writes: places.filter((p) => p.written).map(({ i }) => i),
    reads: places.filter((p) => !p.written).map(({ i }) => i),
    kept: vector ? fields.indexOf("vd") : -1,
    keeps: ALSO_READS.test(name),
    mask: fields.indexOf("vm"),
  };
  known.set(name, made);
  return made;
}

export const writesOf = ({ name, operands }: DraftInstruction): readonly Register[] =>
  registersAt(operands, effectsOf(name).writes);

export function readsOf({ name, operands }: DraftInstruction): readonly Register[] {
  const { reads, kept, keeps, mask } = effectsOf(name);
  const found = registersAt(operands, reads);
  // Where the mask in v0 selects, elements of the destination that it leaves out are kept.
  const old = keeps || operands[mask] === 0 ? operands[kept] : undefined;
  return isRegister(old) ? [old, ...found] : found;
}

function registersAt(operands: readonly Operand[], places: readonly number[]): readonly Register[] {
  const found: Register[] = [];
  for (const place of places) {
    const o = operands[place];
    if (isRegister(o)) found.push(o);
  }
  return found;
}

/** The label that a branch or jump goes to, if it is one. */
export function targetOf({ operands }: DraftInstruction): string | null {
  for (const o of operands) if (typeof o === "string") return o;
  return null;
}

/** Whether the next instruction is never reached from this one. */
export const isFinal = ({ name, operands }: DraftInstruction): boolean =>
  (name === "jal" && isRegister(operands[0]) && operands[0].fixed === 0) ||
  (name === "jalr" && isRegister(operands[0]) && operands[0].fixed === 0);

/** How many instructions behind one are repeated by it. */
export const repeatedBy = (d: Draft | undefined): number =>
  d?.kind === "instruction" && d.name === "frep.o" ? Number(d.operands[1]) + 1 : 0;
