/**
 * Vector instructions on whole registers of 128 bits, for the configuration that a region is expected to have: that of
 * the last vsetvli before, or else the hart's when it is translated. Each instruction looks whether it is so, and has
 * no mask; else, and where the elements do not fill registers, the interpreter executes it.
 */

import { take } from "../riscv/fields.ts";
import { STATE } from "./interpreter.ts";
import type { Frame } from "./translate-frame.ts";
import type { Emitter } from "./translate-integer.ts";
import type { Configuration } from "./translate-machine.ts";
import { pushOutside } from "./translate-memory.ts";
import type { Step } from "./translate-region.ts";
import { TYPE } from "./wasm-emit.ts";

const VLENB = 16;

/** Null for a vtype that there is not. */
export function configurationOf(vtype: number, length: number): Configuration | null {
  const [log, lmul] = [(vtype >> 3) & 7, (vtype << 29) >> 29];
  const bad = vtype >> 8 !== 0 || log > 2 || lmul === -4 || (lmul < 0 && log > 2 + lmul);
  return bad ? null : { vtype, log, lmul, vl: Math.min(length, 2 ** (4 - log + lmul)) };
}

/** Registers that the elements of so many bytes fill, or null where they do not fill them. */
function filled({ vl }: Configuration, log: number): number | null {
  const bytes = vl * 2 ** log;
  return bytes > 0 && bytes % VLENB === 0 ? bytes / VLENB : null;
}

export const inFull: Emitter = (frame, step) => frame.interpret(step, "vectorWithin");

/** What writes an operation for the registers of a group; it branches to `slow` where it cannot be done here. */
export type Body = (
  frame: Frame,
  step: Step,
  group: Configuration & { readonly registers: number; readonly slow: number },
) => void;

const beginsGroup = (register: number, lmul: number): boolean =>
  lmul <= 3 && (lmul <= 0 || register % 2 ** lmul === 0);

interface Needs {
  /** Widths of elements that there is an operation for. */
  readonly logs: readonly number[];
  /** Results are rounded. */
  readonly rounds?: boolean;
  /** Operands that are groups of registers; the others are masks or single elements. */
  readonly groups?: readonly string[];
}

/** Singles whose results are rounded. */
export const ROUNDED: Needs = { logs: [2], rounds: true };

/** An operation on groups of registers, and the interpreter's for all other cases. */
export const onGroups =
  ({ logs, rounds = false, groups = ["vd", "vs1", "vs2"] }: Needs, body: Body): Emitter =>
  (frame, step) => {
    const { instruction, word } = step;
    const c = frame.configuration;
    const registers = c && filled(c, c.log);
    const masked = instruction.fields.includes("vm") && take("vm", word) === 0;
    const placed = instruction.fields
      .filter((f) => groups.includes(f))
      .every((f) => beginsGroup(take(f, word), c?.lmul ?? 0));
    if (!c || registers === null || masked || !placed || !logs.includes(c.log)) {
      return inFull(frame, step);
    }
    guarded(frame, step, c, rounds, (slow) => body(frame, step, { ...c, registers, slow }));
  };

/** What is written in `body` where the configuration is so, else the interpreter's. */
function guarded(
  frame: Frame,
  step: Step,
  { vtype, vl }: Configuration,
  rounds: boolean,
  body: (slow: number) => void,
): void {
  const { code } = frame;
  const done = code.block();
  const slow = code.block();
  code
    .get(frame.shape)
    .i32(vtype | (vl << 16))
    .op("i32.ne")
    .brIf(slow);
  if (rounds) code.get(frame.span).op("i32.eqz").brIf(slow);
  body(slow);
  code.br(done).end();
  inFull(frame, step);
  code.end();
}

/** Pushes a vector register. */
export function pushV(frame: Frame, register: number) {
  return frame.code.get(frame.hart).memory("v128.load", STATE.v + register * VLENB);
}

/** Stores what `push` pushes into a vector register. */
export function setV(frame: Frame, register: number, push: () => void): void {
  frame.code.get(frame.hart);
  push();
  frame.code.memory("v128.store", STATE.v + register * VLENB);
}

/** Stores a group, register by register. */
export function storeGroup(frame: Frame, step: Step, results: readonly number[]): void {
  const vd = take("vd", step.word);
  for (const [g, result] of results.entries()) {
    setV(frame, vd + g, () => frame.code.get(result));
  }
}

/** vsetvli and vsetivli with a vtype that there is. */
export const configure: Emitter = (frame, step) => {
  const { instruction, word } = step;
  const { code } = frame;
  const immediate = instruction.name === "vsetivli";
  const vtype = take(immediate ? "vtype10" : "vtype11", word);
  const made = configurationOf(vtype, immediate ? take("zimm", word) : 2 ** 31);
  frame.configuration = made;
  if (made === null) return inFull(frame, step);
  const [rd, rs1] = [take("rd", word), take("rs1", word)];
  const most = configurationOf(vtype, 2 ** 31)?.vl ?? 0;
  const vl = frame.temporary(TYPE.i32);
  if (immediate || (rs1 === 0 && rd !== 0)) code.i32(made.vl);
  else {
    if (rs1 === 0) code.get(frame.hart).memory("i32.load", STATE.vl);
    else frame.x(rs1);
    code.tee(vl).i32(most).get(vl).i32(most).op("i32.lt_u", "select");
  }
  code.set(vl);
  code.get(frame.hart).get(vl).memory("i32.store", STATE.vl);
  code.get(frame.hart).i32(vtype).memory("i32.store", STATE.vtype);
  code.get(frame.hart).i32(0).memory("i32.store", STATE.vstart);
  code.get(vl).i32(16).op("i32.shl").i32(vtype).op("i32.or").set(frame.shape);
  code.get(vl);
  frame.setX(rd);
};

/** vsetvl, after which no configuration is expected. */
export const configureAnew: Emitter = (frame, step) => {
  frame.configuration = null;
  inFull(frame, step);
};

/** A load or store of elements of 2 ** log bytes that follow each other. */
export const access =
  (log: number, stores: boolean): Emitter =>
  (frame, step) => {
    const { word } = step;
    const c = frame.configuration;
    const registers = c && filled(c, log);
    const register = take("vd", word);
    const placed = c !== null && beginsGroup(register, c.lmul + log - c.log);
    if (!c || registers === null || !placed || take("vm", word) === 0) return inFull(frame, step);
    guarded(frame, step, c, false, (slow) => {
      const { code, machine } = frame;
      const at = frame.temporary(TYPE.i32);
      frame.x(take("rs1", word)).i32(machine.ramBase).op("i32.sub").set(at);
      pushOutside(frame, at, registers * VLENB, stores);
      code.brIf(slow);
      for (let g = 0; g < registers; g++) {
        const place = machine.ramAt + g * VLENB;
        if (stores) {
          code.get(at);
          pushV(frame, register + g).memory("v128.store", place);
        } else {
          setV(frame, register + g, () => code.get(at).memory("v128.load", place));
        }
      }
    });
  };
