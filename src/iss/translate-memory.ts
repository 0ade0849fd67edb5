/**
 * Loads and stores. What a block reads at several offsets from one register is looked at once, at the first of these:
 * if all of it is not in the memory the region is left there, and the interpreter finds the access at fault.
 */

import { take } from "../riscv/fields.ts";
import type { Frame } from "./translate-frame.ts";
import type { Step } from "./translate-region.ts";
import { TYPE } from "./wasm-emit.ts";
import type { Opcode } from "./wasm-opcodes.ts";

interface Access {
  readonly op: Opcode;
  readonly bytes: number;
  readonly float: boolean;
  readonly stores: boolean;
}

const access = (op: Opcode, bytes: number, float = false): Access => ({
  op,
  bytes,
  float,
  stores: op.includes("store"),
});

const ACCESSES: Readonly<Record<string, Access>> = {
  lb: access("i32.load8_s", 1),
  lbu: access("i32.load8_u", 1),
  lh: access("i32.load16_s", 2),
  lhu: access("i32.load16_u", 2),
  lw: access("i32.load", 4),
  sb: access("i32.store8", 1),
  sh: access("i32.store16", 2),
  sw: access("i32.store", 4),
  flw: access("f32.load", 4, true),
  fsw: access("f32.store", 4, true),
  flh: access("i32.load16_u", 2, true),
  fsh: access("i32.store16", 2, true),
};

export const accesses = (name: string): boolean => name in ACCESSES;

/** Accesses at offsets `from` to `to` (not with it) of one register that keeps its value. */
interface Span {
  readonly stores: boolean;
  from: number;
  to: number;
  /** The offset from the beginning of the memory of the first byte; not set before the first access. */
  local: number | null;
}

export type Spans = ReadonlyMap<Step, Span>;

const offsetOf = ({ instruction, word }: Step): number =>
  take(instruction.fields.includes("store") ? "store" : "imm12", word);

/** The spans of a block's accesses. */
export function spansOf(steps: readonly Step[]): Spans {
  const spans = new Map<Step, Span>();
  const open = new Map<string, Span>();
  for (const step of steps) {
    const { instruction, word } = step;
    const found = ACCESSES[instruction.name];
    if (found) {
      const key = `${take("rs1", word)} ${found.stores}`;
      const at = offsetOf(step);
      const span = open.get(key) ?? { stores: found.stores, from: at, to: at, local: null };
      span.from = Math.min(span.from, at);
      span.to = Math.max(span.to, at + found.bytes);
      open.set(key, span);
      spans.set(step, span);
    }
    for (const r of step.written) {
      open.delete(`${r} true`);
      open.delete(`${r} false`);
    }
  }
  return spans;
}

/** Pushes whether so many bytes from an offset on, in a local, are not where the program may access them. */
export function pushOutside(frame: Frame, local: number, bytes: number, stores: boolean): void {
  const { ramBase, ramBytes, writeBase } = frame.machine;
  const low = stores ? writeBase - ramBase : 0;
  if (ramBytes - low < bytes) frame.code.i32(1);
  else {
    frame.code.get(local);
    if (low > 0) frame.code.i32(low).op("i32.sub");
    frame.code.i32(ramBytes - low - bytes).op("i32.gt_u");
  }
}

/** Where a span begins, as an offset in the memory; looked at where it is the first time. */
function begin(frame: Frame, step: Step, span: Span): number {
  if (span.local !== null) return span.local;
  span.local = frame.reserved(TYPE.i32);
  frame.x(take("rs1", step.word)).i32(span.from - frame.machine.ramBase);
  frame.code.op("i32.add").set(span.local);
  pushOutside(frame, span.local, span.to - span.from, span.stores);
  frame.leaveBefore(step);
  return span.local;
}

export function emitAccess(frame: Frame, step: Step, spans: Spans): void {
  const { instruction, word } = step;
  const found = ACCESSES[instruction.name];
  const span = spans.get(step);
  if (!found || !span) throw new Error(`${instruction.name} is no access`);
  const { code } = frame;
  code.get(begin(frame, step, span));
  const offset = frame.machine.ramAt + offsetOf(step) - span.from;
  if (found.stores) {
    if (found.float) frame.f(take("fs2", word));
    else frame.x(take("rs2", word));
    if (instruction.name === "fsh") code.op("i32.reinterpret_f32");
    code.memory(found.op, offset);
    return;
  }
  code.memory(found.op, offset);
  if (instruction.name === "flh") {
    code.i32(0xffff0000).op("i32.or", "f32.reinterpret_i32");
  }
  if (found.float) frame.setF(take("fd", word));
  else frame.setX(take("rd", word));
}
