/**
 * Floating point as the machine has it, by the rule of the interpreter: while rounding is to nearest and the inexact
 * flag is up, a result above the least normal number is the machine's own, for it can raise no other flag. Whatever
 * is not so goes to the interpreter, as all of half precision does.
 */

import { take } from "../riscv/fields.ts";
import type { Frame } from "./translate-frame.ts";
import type { Emitter } from "./translate-integer.ts";
import type { Step } from "./translate-region.ts";
import { TYPE } from "./wasm-emit.ts";
import type { Opcode } from "./wasm-opcodes.ts";

const [NEAREST, TO_ZERO, DYNAMIC] = [0, 1, 7];

const inFull: Emitter = (frame, step) => frame.interpret(step, "floating");

/** Where the number on the stack is not 0 the f32 in a local is the result, else what the interpreter gives. */
function unless(frame: Frame, step: Step, result: number, ...operands: readonly number[]): void {
  const { code } = frame;
  const fd = take("fd", step.word);
  if (operands.length < 2) {
    code.if();
    code.get(result);
    frame.setF(fd);
    code.else();
    inFull(frame, step);
  } else {
    code.if(TYPE.f32);
    code.get(result).else();
    frame.interpretSingles(step, ...operands);
  }
  code.end();
  if (operands.length >= 2) frame.setF(fd);
}

/** Pushes whether the f32 in a local is a result that raises no flag but the inexact one. */
function pushPlain(frame: Frame, result: number): void {
  const { code } = frame;
  code.get(result).op("i32.reinterpret_f32").i32(0x7fffffff).op("i32.and");
  code.i32(0x00800001).op("i32.sub").get(frame.span).op("i32.lt_u");
}

/** The emitter, where rounding is as the status says or to nearest; the machine knows no other. */
const nearest =
  (emitter: Emitter): Emitter =>
  (frame, step) => {
    const mode = take("rm", step.word);
    if (mode === NEAREST || mode === DYNAMIC) emitter(frame, step);
    else inFull(frame, step);
  };

const two = (op: Opcode): Emitter =>
  nearest((frame, step) => {
    const [a, b] = [take("fs1", step.word), take("fs2", step.word)];
    const result = frame.temporary(TYPE.f32);
    frame.f(a);
    frame.f(b).op(op).set(result);
    pushPlain(frame, result);
    unless(frame, step, result, a, b);
  });

/** Sums of numbers are exact where they are below the least normal number; the span is as good a bound as infinity. */
const added = (op: Opcode): Emitter =>
  nearest((frame, step) => {
    const [a, b] = [take("fs1", step.word), take("fs2", step.word)];
    const { code } = frame;
    const result = frame.temporary(TYPE.f32);
    frame.f(a);
    frame.f(b).op(op).tee(result);
    code.op("i32.reinterpret_f32").i32(0x7fffffff).op("i32.and").get(frame.span).op("i32.lt_u");
    unless(frame, step, result, a, b);
  });

const root: Emitter = nearest((frame, step) => {
  const result = frame.temporary(TYPE.f32);
  frame.f(take("fs1", step.word)).op("f32.sqrt").set(result);
  pushPlain(frame, result);
  unless(frame, step, result);
});

/**
 * A product and a sum, rounded once, through a double: the product is exact, and so is rounding twice but for sums
 * half way between two singles, which the interpreter has.
 */
const fused = (negative: boolean, minus: boolean): Emitter =>
  nearest((frame, step) => {
    const { code } = frame;
    const [a, b, c] = [take("fs1", step.word), take("fs2", step.word), take("fs3", step.word)];
    const [sum, result] = [frame.temporary(TYPE.f64), frame.temporary(TYPE.f32)];
    frame.f(a).op("f64.promote_f32");
    frame.f(b).op("f64.promote_f32", "f64.mul");
    if (negative) code.op("f64.neg");
    frame.f(c).op("f64.promote_f32", minus ? "f64.sub" : "f64.add");
    code.tee(sum).op("f32.demote_f64").set(result);
    pushPlain(frame, result);
    code.get(sum).op("i64.reinterpret_f64", "i32.wrap_i64").i32(0x1fffffff).op("i32.and");
    code.i32(0x10000000).op("i32.ne", "i32.and");
    unless(frame, step, result, a, b, c);
  });

/** A sign from a second operand; both are as many bits, whatever they are. */
const signed =
  (kind: "copied" | "inverted" | "multiplied"): Emitter =>
  (frame, { word }) => {
    const [a, b] = [take("fs1", word), take("fs2", word)];
    if (kind === "multiplied") {
      frame.f(a).op("i32.reinterpret_f32");
      frame.f(b).op("i32.reinterpret_f32").i32(0x80000000).op("i32.and", "i32.xor");
      frame.code.op("f32.reinterpret_i32");
    } else if (a === b) {
      frame.f(a);
      if (kind === "inverted") frame.code.op("f32.neg");
    } else {
      frame.f(a);
      frame.f(b);
      if (kind === "inverted") frame.code.op("f32.neg");
      frame.code.op("f32.copysign");
    }
    frame.setF(take("fd", word));
  };

/** The smaller or larger of two numbers. */
const least =
  (op: Opcode): Emitter =>
  (frame, step) => {
    const result = frame.temporary(TYPE.f32);
    frame.f(take("fs1", step.word));
    frame.f(take("fs2", step.word)).op(op).tee(result).get(result).op("f32.eq");
    unless(frame, step, result);
  };

/** A comparison of two numbers. */
const compared =
  (op: Opcode): Emitter =>
  (frame, step) => {
    const [a, b] = [take("fs1", step.word), take("fs2", step.word)];
    const { code } = frame;
    frame.f(a);
    frame.f(a).op("f32.eq");
    frame.f(b);
    frame.f(b).op("f32.eq", "i32.and").if();
    frame.f(a);
    frame.f(b).op(op);
    frame.setX(take("rd", step.word));
    code.else();
    inFull(frame, step);
    code.end();
  };

/** To a whole number, where it is one of those from `above` (not with it) to `below` (not with it). */
const whole =
  (op: Opcode, above: number, below: number): Emitter =>
  (frame, step) => {
    const { word } = step;
    const mode = take("rm", word);
    if (mode !== NEAREST && mode !== DYNAMIC && mode !== TO_ZERO) return inFull(frame, step);
    const { code } = frame;
    const from = take("fs1", word);
    frame.f(from).f32(above).op("f32.gt");
    frame.f(from).f32(below).op("f32.lt", "i32.and").get(frame.span);
    // The span is 0 or has all the low bits.
    code.op("i32.and").if();
    frame.f(from);
    if (mode !== TO_ZERO) code.op("f32.nearest");
    code.op(op);
    frame.setX(take("rd", word));
    code.else();
    inFull(frame, step);
    code.end();
  };

const fromWhole = (op: Opcode): Emitter =>
  nearest((frame, step) => {
    const { word } = step;
    frame.code.get(frame.span).if();
    frame.x(take("rs1", word)).op(op);
    frame.setF(take("fd", word));
    frame.code.else();
    inFull(frame, step);
    frame.code.end();
  });

/** Of F; what is not here the interpreter does in full. */
const SINGLE: Readonly<Record<string, Emitter>> = {
  "fadd.s": added("f32.add"),
  "fsub.s": added("f32.sub"),
  "fmul.s": two("f32.mul"),
  "fdiv.s": two("f32.div"),
  "fsqrt.s": root,
  "fmadd.s": fused(false, false),
  "fmsub.s": fused(false, true),
  "fnmsub.s": fused(true, false),
  "fnmadd.s": fused(true, true),
  "fsgnj.s": signed("copied"),
  "fsgnjn.s": signed("inverted"),
  "fsgnjx.s": signed("multiplied"),
  "fmin.s": least("f32.min"),
  "fmax.s": least("f32.max"),
  "feq.s": compared("f32.eq"),
  "flt.s": compared("f32.lt"),
  "fle.s": compared("f32.le"),
  "fcvt.w.s": whole("i32.trunc_sat_f32_s", -(2 ** 31) - 256, 2 ** 31),
  "fcvt.wu.s": whole("i32.trunc_sat_f32_u", -0.5, 2 ** 32),
  "fcvt.s.w": fromWhole("f32.convert_i32_s"),
  "fcvt.s.wu": fromWhole("f32.convert_i32_u"),
  "fmv.x.w": (frame, { word }) => {
    frame.f(take("fs1", word)).op("i32.reinterpret_f32");
    frame.setX(take("rd", word));
  },
  "fmv.w.x": (frame, { word }) => {
    frame.x(take("rs1", word)).op("f32.reinterpret_i32");
    frame.setF(take("fd", word));
  },
};

/** The emitter of an instruction of F or Zfh that is no load or store. */
export const floatEmitter = (name: string): Emitter => SINGLE[name] ?? inFull;
