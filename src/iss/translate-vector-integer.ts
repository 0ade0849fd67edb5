/** Whole numbers on vectors, moves, and single elements. */

import { take } from "../riscv/fields.ts";
import { STATE } from "./interpreter.ts";
import type { Frame } from "./translate-frame.ts";
import type { Emitter } from "./translate-integer.ts";
import type { Step } from "./translate-region.ts";
import { onGroups, pushV, setV } from "./translate-vector.ts";
import { storeMask } from "./translate-vector-mask.ts";
import { TYPE } from "./wasm-emit.ts";
import { OPCODE, type Opcode } from "./wasm-opcodes.ts";

const ANY = [0, 1, 2];

/** The operation for elements of a width. Errors: a name that there is not is a fault of the caller. */
function laned(op: string, log: number): Opcode {
  const name = `${["i8x16", "i16x8", "i32x4"][log]}.${op}`;
  if (!(name in OPCODE)) throw new Error(`there is no ${name}`);
  return name as Opcode;
}

/** Pushes the second operand of a group: a register of vs1, or a scalar in all elements. */
function second(frame: Frame, { instruction, word }: Step, log: number): (g: number) => void {
  if (instruction.fields.includes("vs1")) {
    const vs1 = take("vs1", word);
    return (g) => void pushV(frame, vs1 + g);
  }
  const scalar = frame.temporary(TYPE.v128);
  if (instruction.fields.includes("rs1")) frame.x(take("rs1", word));
  else frame.code.i32(take("simm5", word));
  frame.code.op(laned("splat", log)).set(scalar);
  return () => void frame.code.get(scalar);
}

/** One register of the result after the other: groups are the same or have nothing in common. */
const each = (
  logs: readonly number[],
  push: (frame: Frame, b: (g: number) => void, g: number, log: number, word: number) => void,
): Emitter =>
  onGroups({ logs }, (frame, step, { registers, log }) => {
    const b = second(frame, step, log);
    const vd = take("vd", step.word);
    for (let g = 0; g < registers; g++) {
      setV(frame, vd + g, () => push(frame, b, g, log, step.word));
    }
  });

const binary = (op: string, logs = ANY): Emitter =>
  each(logs, (frame, b, g, log, word) => {
    pushV(frame, take("vs2", word) + g);
    b(g);
    frame.code.op(laned(op, log));
  });

const bitwise = (op: Opcode): Emitter =>
  each(ANY, (frame, b, g, _, word) => {
    pushV(frame, take("vs2", word) + g);
    b(g);
    frame.code.op(op);
  });

const turned = each(ANY, (frame, b, g, log, word) => {
  b(g);
  pushV(frame, take("vs2", word) + g).op(laned("sub", log));
});

/** Shifts by one number of bits. */
const shift = (op: string): Emitter =>
  onGroups({ logs: ANY }, (frame, step, { registers, log }) => {
    const { instruction, word } = step;
    for (let g = 0; g < registers; g++) {
      setV(frame, take("vd", word) + g, () => {
        pushV(frame, take("vs2", word) + g);
        if (instruction.fields.includes("rs1")) frame.x(take("rs1", word));
        else frame.code.i32(take("uimm5", word));
        frame.code.op(laned(op, log));
      });
    }
  });

/** A product that is added to what the destination has, or to vs2 where the destination is a factor. */
const multiplied = (op: "add" | "sub", factor: boolean): Emitter =>
  each([1, 2], (frame, b, g, log, word) => {
    const [vd, vs2] = [take("vd", word) + g, take("vs2", word) + g];
    pushV(frame, factor ? vs2 : vd);
    pushV(frame, factor ? vd : vs2);
    b(g);
    frame.code.op(laned("mul", log), laned(op, log));
  });

const move = each(ANY, (_, b, g) => b(g));

/** Elements of v0's ones from b, the others from vs2; of 32 bits. */
const merged = (push: typeof second): Emitter =>
  onGroups({ logs: [2] }, (frame, step, { registers, log }) => {
    const { code } = frame;
    const b = push(frame, step, log);
    const bits = frame.temporary(TYPE.i32);
    code.get(frame.hart).memory("i32.load", STATE.v).set(bits);
    for (let g = 0; g < registers; g++) {
      setV(frame, take("vd", step.word) + g, () => {
        b(g);
        pushV(frame, take("vs2", step.word) + g);
        code.get(bits);
        if (g > 0) code.i32(4 * g).op("i32.shr_u");
        const ones = [1, 2, 4, 8];
        code.op("i32x4.splat").v128(ones).op("v128.and").v128(ones).op("i32x4.eq");
        return code.op("v128.bitselect");
      });
    }
  });

function secondFloat(frame: Frame, { word }: Step): (g: number) => void {
  const scalar = frame.temporary(TYPE.v128);
  frame.f(take("fs1", word)).op("f32x4.splat").set(scalar);
  return () => void frame.code.get(scalar);
}

const compared = (op: Opcode): Emitter =>
  onGroups({ logs: [2], groups: ["vs1", "vs2"] }, (frame, step, group) => {
    const b = second(frame, step, 2);
    storeMask(frame, step, group, (g) => {
      pushV(frame, take("vs2", step.word) + g);
      b(g);
      frame.code.op(op);
    });
  });

/** One element out of all and the first of vs1. */
const reduced = (vectors: Opcode): Emitter =>
  onGroups({ logs: [2], groups: ["vs2"] }, (frame, step, { registers }) => {
    const { code } = frame;
    const [vs1, vs2] = [take("vs1", step.word), take("vs2", step.word)];
    const all = frame.temporary(TYPE.v128);
    pushV(frame, vs2);
    for (let g = 1; g < registers; g++) pushV(frame, vs2 + g).op(vectors);
    for (const lanes of [UPPER_HALF, SECOND_WORD]) {
      code.tee(all).get(all).get(all).shuffle(lanes).op(vectors);
    }
    pushV(frame, vs1).op(vectors).lane("i32x4.extract_lane", 0);
    const result = frame.temporary(TYPE.i32);
    code.set(result).get(frame.hart).get(result);
    code.memory("i32.store", STATE.v + take("vd", step.word) * 16);
  });

const UPPER_HALF = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
const SECOND_WORD = [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11];

const ALONE = { logs: [2], groups: [] };
const elementOf = (register: number): number => STATE.v + register * 16;

/** The first element from or into a register of the hart. */
const SINGLE: readonly (readonly [string, Emitter])[] = [
  [
    "vmv.x.s",
    onGroups(ALONE, (frame, { word }) => {
      frame.code.get(frame.hart).memory("i32.load", elementOf(take("vs2", word)));
      frame.setX(take("rd", word));
    }),
  ],
  [
    "vmv.s.x",
    onGroups(ALONE, (frame, { word }) => {
      frame.code.get(frame.hart);
      frame.x(take("rs1", word)).memory("i32.store", elementOf(take("vd", word)));
    }),
  ],
  [
    "vfmv.f.s",
    onGroups(ALONE, (frame, { word }) => {
      frame.code.get(frame.hart).memory("f32.load", elementOf(take("vs2", word)));
      frame.setF(take("fd", word));
    }),
  ],
  [
    "vfmv.s.f",
    onGroups(ALONE, (frame, { word }) => {
      frame.code.get(frame.hart);
      frame.f(take("fs1", word)).memory("f32.store", elementOf(take("vd", word)));
    }),
  ],
];

const forms = (name: string, emitter: Emitter, letters = "vx") =>
  [...letters].map((l): readonly [string, Emitter] => [`${name}.v${l}`, emitter]);

export const VECTOR_INTEGER: ReadonlyMap<string, Emitter> = new Map([
  ...forms("vadd", binary("add"), "vxi"),
  ...forms("vsub", binary("sub")),
  ...forms("vrsub", turned, "xi"),
  ...forms("vmin", binary("min_s")),
  ...forms("vminu", binary("min_u")),
  ...forms("vmax", binary("max_s")),
  ...forms("vmaxu", binary("max_u")),
  ...forms("vand", bitwise("v128.and"), "vxi"),
  ...forms("vor", bitwise("v128.or"), "vxi"),
  ...forms("vxor", bitwise("v128.xor"), "vxi"),
  ...forms("vsll", shift("shl"), "xi"),
  ...forms("vsrl", shift("shr_u"), "xi"),
  ...forms("vsra", shift("shr_s"), "xi"),
  ...forms("vmul", binary("mul", [1, 2])),
  ...forms("vmacc", multiplied("add", false)),
  ...forms("vnmsac", multiplied("sub", false)),
  ...forms("vmadd", multiplied("add", true)),
  ...forms("vnmsub", multiplied("sub", true)),
  ["vmv.v.v", move],
  ["vmv.v.x", move],
  ["vmv.v.i", move],
  ["vmerge.vvm", merged(second)],
  ["vmerge.vxm", merged(second)],
  ["vmerge.vim", merged(second)],
  ["vfmerge.vfm", merged(secondFloat)],
  ...forms("vmseq", compared("i32x4.eq"), "vxi"),
  ...forms("vmsne", compared("i32x4.ne"), "vxi"),
  ...forms("vmslt", compared("i32x4.lt_s")),
  ...forms("vmsltu", compared("i32x4.lt_u")),
  ...forms("vmsle", compared("i32x4.le_s"), "vxi"),
  ...forms("vmsleu", compared("i32x4.le_u"), "vxi"),
  ...forms("vmsgt", compared("i32x4.gt_s"), "xi"),
  ...forms("vmsgtu", compared("i32x4.gt_u"), "xi"),
  ["vredsum.vs", reduced("i32x4.add")],
  ["vredand.vs", reduced("v128.and")],
  ["vredor.vs", reduced("v128.or")],
  ["vredxor.vs", reduced("v128.xor")],
  ["vredmin.vs", reduced("i32x4.min_s")],
  ["vredminu.vs", reduced("i32x4.min_u")],
  ["vredmax.vs", reduced("i32x4.max_s")],
  ["vredmaxu.vs", reduced("i32x4.max_u")],
  ...SINGLE,
]);
