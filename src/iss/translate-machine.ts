/** What a translation is made for, and what it uses of the interpreter. */

import type { Exports } from "./interpreter.ts";
import { TYPE, type ValueType } from "./wasm-emit.ts";

/** The program's memory and records, as they are given to the interpreter. */
export interface Machine {
  readonly textBase: number;
  readonly records: number;
  readonly ramBase: number;
  readonly ramBytes: number;
  readonly ramAt: number;
  readonly writeBase: number;
  /** Left out where every instruction costs one, as in user mode. */
  readonly timing?: Timing;
}

/** What the budget is spent on, as timing.as.ts has it. */
export interface Timing {
  /** Of the instruction at an address. */
  cost(pc: number): number;
  readonly takenBranch: number;
  readonly vectorBytes: number;
  readonly vectorQueue: number;
}

/** The timing of a core whose records have costs; where there is none, it is one. */
export const timed = (
  core: Omit<Timing, "cost">,
  cost: (pc: number) => number | undefined,
): Timing => ({ ...core, cost: (pc) => cost(pc) ?? 1 });

/** What vsetvli has set. */
export interface Configuration {
  readonly vtype: number;
  /** Binary logarithms of an element's bytes and of the registers of a group. */
  readonly log: number;
  readonly lmul: number;
  readonly vl: number;
}

/** The parameters of a translation: the hart, and what is left of the budget. */
export const PARAMETERS: readonly ValueType[] = [TYPE.i32, TYPE.i32];
export const [HART, LEFT] = [0, 1];

/** Functions of the interpreter that a translation may call, in the order in which it imports them. */
export const HELPERS = [
  helper("floating", [TYPE.i32, TYPE.i32], TYPE.i32),
  helper("vectorWithin", [TYPE.i32, TYPE.i32], TYPE.i32),
  helper("controlWithin", [TYPE.i32, TYPE.i32, TYPE.i32], TYPE.i32),
  helper("floatingOfTwo", [TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32], TYPE.f32),
  helper("floatingOfThree", [TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32, TYPE.f32], TYPE.f32),
  helper("beats", [TYPE.i32, TYPE.i32, TYPE.i32], TYPE.i32),
  helper("order", [TYPE.i32, TYPE.i32, TYPE.i32], TYPE.i32),
  helper("drain", [TYPE.i32, TYPE.i32], TYPE.i32),
  helper("addAccesses", [TYPE.i32]),
  helper("advance", [TYPE.i32, TYPE.i32, TYPE.i32], TYPE.i32),
  helper("startStream", [TYPE.i32, TYPE.i32], TYPE.i32),
];

function helper(name: keyof Exports, parameters: readonly ValueType[], ...results: ValueType[]) {
  return { name, parameters, results };
}

/** The number by which a translation calls a function of the interpreter. */
export const helperNumber = (name: keyof Exports): number =>
  HELPERS.findIndex((h) => h.name === name);
