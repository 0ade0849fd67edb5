/**
 * Floating point on vectors of singles. A whole group is computed before any of it is stored: where one result might
 * raise a flag that is not up, the interpreter does the group instead. translate-float.ts has the rule.
 */

import { take } from "../riscv/fields.ts";
import { STATE } from "./interpreter.ts";
import type { Frame } from "./translate-frame.ts";
import type { Emitter } from "./translate-integer.ts";
import type { Step } from "./translate-region.ts";
import { type Body, onGroups, pushV, ROUNDED, setV, storeGroup } from "./translate-vector.ts";
import { Check, FINITE, four, NORMAL } from "./translate-vector-check.ts";
import { VECTOR_FUSED } from "./translate-vector-fused.ts";
import { storeMask } from "./translate-vector-mask.ts";
import { TYPE } from "./wasm-emit.ts";
import type { Opcode } from "./wasm-opcodes.ts";

/** Pushes the second operand of a group: a register of vs1, or the scalar in a local. */
function second(frame: Frame, { instruction, word }: Step): (g: number) => void {
  if (instruction.fields.includes("vs1")) {
    const vs1 = take("vs1", word);
    return (g) => void pushV(frame, vs1 + g);
  }
  const scalar = frame.temporary(TYPE.v128);
  frame.f(take("fs1", word)).op("f32x4.splat").set(scalar);
  return () => void frame.code.get(scalar);
}

/** Sums and differences are exact where they are below the least normal number; other results may not be. */
const arithmetic = (op: Opcode, turned = false): Emitter =>
  onGroups(ROUNDED, (frame, step, { registers, slow }) => {
    const vs2 = take("vs2", step.word);
    const b = second(frame, step);
    const check = new Check(frame, /add|sub|min|max/.test(op) ? FINITE : NORMAL);
    const results = Array.from({ length: registers }, (_, g) => {
      const result = frame.temporary(TYPE.v128);
      if (turned) b(g);
      pushV(frame, vs2 + g);
      if (!turned) b(g);
      frame.code.op(op).tee(result);
      check.add();
      return result;
    });
    check.end(slow);
    storeGroup(frame, step, results);
  });

const root: Emitter = onGroups(ROUNDED, (frame, step, { registers, slow }) => {
  const vs2 = take("vs2", step.word);
  const check = new Check(frame, NORMAL);
  const results = Array.from({ length: registers }, (_, g) => {
    const result = frame.temporary(TYPE.v128);
    pushV(frame, vs2 + g)
      .op("f32x4.sqrt")
      .tee(result);
    check.add();
    return result;
  });
  check.end(slow);
  storeGroup(frame, step, results);
});

/** Bits of the first operand and the sign of the second. */
const signed = (turn: "copied" | "inverted" | "multiplied"): Emitter =>
  onGroups({ logs: [2] }, (frame, step, { registers }) => {
    const [vd, vs2] = [take("vd", step.word), take("vs2", step.word)];
    const b = second(frame, step);
    for (let g = 0; g < registers; g++) {
      setV(frame, vd + g, () => {
        const { code } = frame;
        if (turn === "multiplied") {
          pushV(frame, vs2 + g);
          b(g);
          return code.v128(four(0x80000000)).op("v128.and", "v128.xor");
        }
        b(g);
        if (turn === "inverted") code.op("v128.not");
        return pushV(frame, vs2 + g)
          .v128(four(0x80000000))
          .op("v128.bitselect");
      });
    }
  });

/** The sum in order; a sum of many is finite only where all on the way to it were. */
const sum: Emitter = onGroups(
  { logs: [2], rounds: true, groups: ["vs2"] },
  (frame, step, { registers, slow }) => {
    const { code } = frame;
    const vs2 = take("vs2", step.word);
    const [total, part] = [frame.temporary(TYPE.f32), frame.temporary(TYPE.v128)];
    pushV(frame, take("vs1", step.word)).lane("f32x4.extract_lane", 0).set(total);
    for (let g = 0; g < registers; g++) {
      pushV(frame, vs2 + g).set(part);
      for (let lane = 0; lane < 4; lane++) {
        code.get(total).get(part).lane("f32x4.extract_lane", lane).op("f32.add").set(total);
      }
    }
    code.get(total).op("f32.abs").f32(Number.POSITIVE_INFINITY).op("f32.lt", "i32.eqz");
    code.brIf(slow).get(frame.hart).get(total);
    code.memory("f32.store", STATE.v + take("vd", step.word) * 16);
  },
);

/** The smallest or largest of numbers. */
const extreme = (vectors: Opcode, singles: Opcode): Emitter =>
  onGroups({ logs: [2], groups: ["vs2"] }, (frame, step, { registers, slow }) => {
    const { code } = frame;
    const vs2 = take("vs2", step.word);
    const [best, all] = [frame.temporary(TYPE.f32), frame.temporary(TYPE.v128)];
    pushV(frame, vs2).set(all);
    for (let g = 1; g < registers; g++) {
      code.get(all);
      pushV(frame, vs2 + g)
        .op(vectors)
        .set(all);
    }
    pushV(frame, take("vs1", step.word)).lane("f32x4.extract_lane", 0);
    for (let lane = 0; lane < 4; lane++) {
      code.get(all).lane("f32x4.extract_lane", lane).op(singles);
    }
    code.tee(best).get(best).op("f32.ne").brIf(slow);
    code.get(frame.hart).get(best);
    code.memory("f32.store", STATE.v + take("vd", step.word) * 16);
  });

/** To whole numbers of 32 bits that the singles are within. */
const toWhole = (op: Opcode, nearest: boolean): Emitter =>
  onGroups(ROUNDED, (frame, step, { registers, slow }) => {
    const { code } = frame;
    const vs2 = take("vs2", step.word);
    const high = frame.temporary(TYPE.v128);
    for (let g = 0; g < registers; g++) {
      pushV(frame, vs2 + g)
        .v128(four(0x7fffffff))
        .op("v128.and");
      if (g > 0) code.get(high).op("i32x4.max_s");
      code.set(high);
    }
    code.get(high).v128(four(0x4f000000)).op("i32x4.lt_s", "i32x4.all_true", "i32.eqz");
    code.brIf(slow);
    for (let g = 0; g < registers; g++) {
      setV(frame, take("vd", step.word) + g, () => {
        pushV(frame, vs2 + g);
        if (nearest) code.op("f32x4.nearest");
        code.op(op);
      });
    }
  });

const fromWhole = (op: Opcode): Emitter =>
  onGroups(ROUNDED, (frame, step, { registers }) => {
    const [vd, vs2] = [take("vd", step.word), take("vs2", step.word)];
    for (let g = 0; g < registers; g++) setV(frame, vd + g, () => pushV(frame, vs2 + g).op(op));
  });

/** A mask of how numbers compare; a NaN is the interpreter's. */
const compared = (op: Opcode): Emitter =>
  onGroups({ logs: [2], groups: ["vs1", "vs2"] }, (frame, step, group) => {
    const { code } = frame;
    const vs2 = take("vs2", step.word);
    const b = second(frame, step);
    const numbers = frame.temporary(TYPE.v128);
    for (let g = 0; g < group.registers; g++) {
      pushV(frame, vs2 + g);
      pushV(frame, vs2 + g).op("f32x4.eq");
      b(g);
      b(g);
      code.op("f32x4.eq", "v128.and");
      if (g > 0) code.get(numbers).op("v128.and");
      code.set(numbers);
    }
    code.get(numbers).op("i32x4.all_true", "i32.eqz").brIf(group.slow);
    storeMask(frame, step, group, (g) => {
      pushV(frame, vs2 + g);
      b(g);
      code.op(op);
    });
  });

/** A scalar in every element. */
const spread: Body = (frame, step, { registers }) => {
  const vd = take("vd", step.word);
  for (let g = 0; g < registers; g++) {
    setV(frame, vd + g, () => frame.f(take("fs1", step.word)).op("f32x4.splat"));
  }
};

const pairs = (name: string, emitter: Emitter): readonly (readonly [string, Emitter])[] => [
  [`${name}.vv`, emitter],
  [`${name}.vf`, emitter],
];

export const VECTOR_FLOAT: ReadonlyMap<string, Emitter> = new Map([
  ...pairs("vfadd", arithmetic("f32x4.add")),
  ...pairs("vfsub", arithmetic("f32x4.sub")),
  ...pairs("vfmul", arithmetic("f32x4.mul")),
  ...pairs("vfdiv", arithmetic("f32x4.div")),
  ...pairs("vfmin", arithmetic("f32x4.min")),
  ...pairs("vfmax", arithmetic("f32x4.max")),
  ...pairs("vfsgnj", signed("copied")),
  ...pairs("vfsgnjn", signed("inverted")),
  ...pairs("vfsgnjx", signed("multiplied")),
  ...VECTOR_FUSED,
  ["vfrsub.vf", arithmetic("f32x4.sub", true)],
  ["vfrdiv.vf", arithmetic("f32x4.div", true)],
  ["vfsqrt.v", root],
  ["vfredusum.vs", sum],
  ["vfredosum.vs", sum],
  ["vfredmin.vs", extreme("f32x4.min", "f32.min")],
  ["vfredmax.vs", extreme("f32x4.max", "f32.max")],
  ["vfcvt.x.f.v", toWhole("i32x4.trunc_sat_f32x4_s", true)],
  ["vfcvt.rtz.x.f.v", toWhole("i32x4.trunc_sat_f32x4_s", false)],
  ["vfcvt.f.x.v", fromWhole("f32x4.convert_i32x4_s")],
  ["vfcvt.f.xu.v", fromWhole("f32x4.convert_i32x4_u")],
  ...pairs("vmfeq", compared("f32x4.eq")),
  ...pairs("vmfne", compared("f32x4.ne")),
  ...pairs("vmflt", compared("f32x4.lt")),
  ...pairs("vmfle", compared("f32x4.le")),
  ["vmfgt.vf", compared("f32x4.gt")],
  ["vmfge.vf", compared("f32x4.ge")],
  ["vfmv.v.f", onGroups({ logs: [2] }, spread)],
]);
