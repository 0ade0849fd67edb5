/** Multiply-adds on vectors of singles, through doubles; translate-float.ts says why that is exact. */

import { take } from "../riscv/fields.ts";
import type { Frame } from "./translate-frame.ts";
import type { Emitter } from "./translate-integer.ts";
import type { Step } from "./translate-region.ts";
import { onGroups, pushV, ROUNDED, storeGroup } from "./translate-vector.ts";
import { Check, DOUBLE } from "./translate-vector-check.ts";
import { TYPE } from "./wasm-emit.ts";

interface Fused {
  /** The product's sign is turned; what is added is subtracted. */
  readonly negative: boolean;
  readonly minus: boolean;
  /** The destination is a factor, not what is added. */
  readonly factor: boolean;
}

const HIGH_HALF = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];
const BOTH_LOW_HALVES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const LOW_WORDS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];

const HIGH_WORDS = LOW_WORDS.map((byte) => byte + 4);

/** Pushes one half of a vector of singles as doubles. */
function pushHalf(frame: Frame, half: number): void {
  const { code } = frame;
  if (half === 1) {
    const whole = frame.temporary(TYPE.v128);
    code.tee(whole).get(whole).shuffle(HIGH_HALF);
  }
  code.op("f64x2.promote_low_f32x4");
}

/** What pushes the second factor's half as doubles; a scalar is one in all lanes. */
function secondHalf(frame: Frame, step: Step): (g: number, half: number) => void {
  const { instruction, word } = step;
  if (instruction.fields.includes("vs1")) {
    return (g, half) => {
      pushV(frame, take("vs1", word) + g);
      pushHalf(frame, half);
    };
  }
  const scalar = frame.temporary(TYPE.v128);
  frame.f(take("fs1", word)).op("f64.promote_f32", "f64x2.splat").set(scalar);
  return () => void frame.code.get(scalar);
}

const fused = ({ negative, minus, factor }: Fused): Emitter => {
  const end = minus ? "f64x2.sub" : "f64x2.add";
  return onGroups(ROUNDED, (frame, step, { registers, slow }) => {
    const { code } = frame;
    const [vd, vs2] = [take("vd", step.word), take("vs2", step.word)];
    const [first, addend] = factor ? [vd, vs2] : [vs2, vd];
    const b = secondHalf(frame, step);
    const [low, high, words] = [TYPE.v128, TYPE.v128, TYPE.v128].map((t) => frame.temporary(t));
    if (low === undefined || high === undefined || words === undefined) return;
    const check = new Check(frame, DOUBLE);
    const results = Array.from({ length: registers }, (_, g) => {
      const result = frame.temporary(TYPE.v128);
      for (const [half, sum] of [low, high].entries()) {
        pushV(frame, first + g);
        pushHalf(frame, half);
        b(g, half);
        code.op("f64x2.mul");
        if (negative) code.op("f64x2.neg");
        pushV(frame, addend + g);
        pushHalf(frame, half);
        code.op(end).set(sum);
      }
      code.get(low).op("f32x4.demote_f64x2_zero").get(high).op("f32x4.demote_f64x2_zero");
      code.shuffle(BOTH_LOW_HALVES).set(result);
      code.get(low).get(high).shuffle(HIGH_WORDS);
      check.add();
      code.get(low).get(high).shuffle(LOW_WORDS).set(words);
      check.addTies(words);
      return result;
    });
    check.end(slow);
    storeGroup(frame, step, results);
  });
};

export const VECTOR_FUSED: readonly (readonly [string, Emitter])[] = ["vfm", "vfnm"].flatMap(
  (start) =>
    ["add", "sub", "acc", "sac"].flatMap((end) => {
      const negative = start === "vfnm";
      const subtracts = end === "sub" || end === "sac";
      // vfnmadd subtracts what vfmadd adds, and vfnmsub adds it.
      const minus = negative ? !subtracts : subtracts;
      const emitter = fused({ negative, minus, factor: end === "add" || end === "sub" });
      const name = `${start}${end}`;
      return ["vv", "vf"].map((form): readonly [string, Emitter] => [`${name}.${form}`, emitter]);
    }),
);
