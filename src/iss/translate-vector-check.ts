/** Whether the machine's own results are the right ones, for a group of vector registers at once. */

import type { Frame } from "./translate-frame.ts";
import { TYPE } from "./wasm-emit.ts";
import type { Opcode } from "./wasm-opcodes.ts";

export const four = (word: number): readonly number[] => [word, word, word, word];
const INFINITE = 0x7f800000;
const LEAST_NORMAL = 0x00800000;

/** What a result must be for the machine's own to be right: for each lane a number, from one to below another. */
interface Range {
  /** Null where sizes below the least normal number are exact. */
  readonly least: number | null;
  readonly below: number;
}

/** Sums and differences of singles. */
export const FINITE: Range = { least: null, below: INFINITE };
/** Other results. */
export const NORMAL: Range = { least: LEAST_NORMAL + 1, below: INFINITE };
/** The upper words of doubles that become normal singles. What is 0 is so exactly, and counts as large from below. */
export const DOUBLE: Range = { least: 0x38100000, below: 0x47e00000 };

/** Looks whether all the results of a group are in a range. */
export class Check {
  private readonly frame: Frame;
  private readonly range: Range;
  private readonly high: number;
  private readonly low: number;
  private readonly wrong: number;
  private readonly begun = new Set<number>();

  constructor(frame: Frame, range: Range) {
    this.frame = frame;
    this.range = range;
    this.high = frame.temporary(TYPE.v128);
    this.low = frame.temporary(TYPE.v128);
    this.wrong = frame.temporary(TYPE.v128);
  }

  /** Takes in what is on the stack: singles, or the upper words of doubles. */
  add(): void {
    const { code } = this.frame;
    const size = this.frame.temporary(TYPE.v128);
    code.v128(four(0x7fffffff)).op("v128.and").set(size);
    this.gather(this.high, "i32x4.max_s", () => code.get(size));
    if (this.range === DOUBLE) {
      this.gather(this.low, "i32x4.min_u", () => code.get(size).v128(four(1)).op("i32x4.sub"));
    } else if (this.range.least !== null) {
      this.gather(this.low, "i32x4.min_s", () => code.get(size));
    }
  }

  /** Takes in the lower words of doubles: those half way between two singles are wrong. */
  addTies(words: number): void {
    this.gather(this.wrong, "v128.or", () => {
      const { code } = this.frame;
      code.get(words).v128(four(0x1fffffff)).op("v128.and");
      return code.v128(four(0x10000000)).op("i32x4.eq");
    });
  }

  private gather(into: number, op: Opcode, push: () => unknown): void {
    const { code } = this.frame;
    const first = !this.begun.has(into);
    this.begun.add(into);
    if (!first) code.get(into);
    push();
    if (!first) code.op(op);
    code.set(into);
  }

  /** Goes to `slow` where a result is not in the range. */
  end(slow: number): void {
    const { code } = this.frame;
    const { least, below } = this.range;
    code.get(this.high).v128(four(below)).op("i32x4.lt_s");
    if (least !== null) {
      const op = this.range === DOUBLE ? "i32x4.ge_u" : "i32x4.ge_s";
      code.get(this.low).v128(four(least)).op(op, "v128.and");
    }
    if (this.begun.has(this.wrong)) code.get(this.wrong).op("v128.andnot");
    code.op("i32x4.all_true", "i32.eqz").brIf(slow);
  }
}
