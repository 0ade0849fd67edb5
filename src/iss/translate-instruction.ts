/** Which instructions can be translated, and how. */

import type { Instruction } from "../riscv/table.ts";
import { floatEmitter } from "./translate-float.ts";
import type { Frame } from "./translate-frame.ts";
import { type Emitter, INTEGER } from "./translate-integer.ts";
import { accesses, emitAccess, type Spans } from "./translate-memory.ts";
import type { Step } from "./translate-region.ts";
import { access, configure, configureAnew, inFull } from "./translate-vector.ts";
import { VECTOR_FLOAT } from "./translate-vector-float.ts";
import { VECTOR_INTEGER } from "./translate-vector-integer.ts";

const FLOAT = new Set(["F", "Zfh"]);

/** Whatever else there is the region leaves to the interpreter: atomic operations, calls, services of a cluster. */
export function canTranslate({ name, extension }: Instruction): boolean {
  return name in INTEGER || OTHERS.has(extension);
}

const VECTOR = "Zve32f";
const OTHERS = new Set([...FLOAT, "Zicsr", VECTOR, "Xssr", "Xfrep"]);

const WIDTHS = [8, 16, 32];

/** What is not here is the interpreter's: masks, strides, indices, slides, wide and narrow results. */
const VECTORS: ReadonlyMap<string, Emitter> = new Map([
  ...VECTOR_FLOAT,
  ...VECTOR_INTEGER,
  ["vsetvli", configure],
  ["vsetivli", configure],
  ["vsetvl", configureAnew],
  ...WIDTHS.map((bits, log): readonly [string, Emitter] => [`vle${bits}.v`, access(log, false)]),
  ...WIDTHS.map((bits, log): readonly [string, Emitter] => [`vse${bits}.v`, access(log, true)]),
]);

const emitterOf = ({ name, extension }: Instruction): Emitter => {
  const integer = INTEGER[name];
  if (integer) return integer;
  if (FLOAT.has(extension)) return floatEmitter(name);
  if (extension === VECTOR) return VECTORS.get(name) ?? inFull;
  if (extension === "Xssr") return (frame, step) => frame.interpret(step, "startStream");
  if (extension === "Xfrep") return (frame, step) => frame.streams.repeat(step);
  return (frame, step) => frame.interpret(step, "controlWithin");
};

export function emitStep(frame: Frame, step: Step, spans: Spans): void {
  frame.streams.open(step);
  if (accesses(step.instruction.name)) emitAccess(frame, step, spans);
  else emitterOf(step.instruction)(frame, step);
  frame.next(step);
}
