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

/** Whether the mask in v0 selects: then elements of the destination that it leaves out are kept. */
const isMasked = (name: string, operands: readonly Operand[]): boolean =>
  operands[instructionOf(name).fields.indexOf("vm")] === 0;

export function writesOf({ name, operands }: DraftInstruction): readonly Register[] {
  return instructionOf(name).fields.flatMap((field, i) => {
    const o = operands[i];
    return isRegister(o) && (field === "rd" || field === "fd" || field === "vd") ? [o] : [];
  });
}

export function readsOf(draft: DraftInstruction): readonly Register[] {
  const { name, operands } = draft;
  const keeps = name.startsWith("v") && (ALSO_READS.test(name) || isMasked(name, operands));
  return instructionOf(name).fields.flatMap((field, i) => {
    const o = operands[i];
    if (!isRegister(o)) return [];
    const written = field === "rd" || field === "fd" || field === "vd";
    return !written || (keeps && field === "vd") ? [o] : [];
  });
}

/** The label that a branch or jump goes to, if it is one. */
export const targetOf = ({ operands }: DraftInstruction): string | null =>
  operands.find((o) => typeof o === "string") ?? null;

/** Whether the next instruction is never reached from this one. */
export const isFinal = ({ name, operands }: DraftInstruction): boolean =>
  (name === "jal" && isRegister(operands[0]) && operands[0].fixed === 0) ||
  (name === "jalr" && isRegister(operands[0]) && operands[0].fixed === 0);
