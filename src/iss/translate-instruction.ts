/** Which instructions can be translated, and how. */

import type { Instruction } from "../riscv/table.ts";
import { floatEmitter } from "./translate-float.ts";
import type { Frame } from "./translate-frame.ts";
import { type Emitter, INTEGER } from "./translate-integer.ts";
import { accesses, emitAccess, type Spans } from "./translate-memory.ts";
import type { Step } from "./translate-region.ts";

const FLOAT = new Set(["F", "Zfh"]);

/** Whatever else there is the region leaves to the interpreter: atomic operations, calls, services of a cluster. */
export function canTranslate({ name, extension }: Instruction): boolean {
  return name in INTEGER || FLOAT.has(extension) || extension === "Zicsr" || extension === VECTOR;
}

const VECTOR = "Zve32f";

const emitterOf = ({ name, extension }: Instruction): Emitter => {
  const integer = INTEGER[name];
  if (integer) return integer;
  if (FLOAT.has(extension)) return floatEmitter(name);
  return (frame, step) => {
    frame.interpret(step, extension === VECTOR ? "vectorWithin" : "controlWithin");
  };
};

export function emitStep(frame: Frame, step: Step, spans: Spans): void {
  if (accesses(step.instruction.name)) emitAccess(frame, step, spans);
  else emitterOf(step.instruction)(frame, step);
  frame.next();
}
