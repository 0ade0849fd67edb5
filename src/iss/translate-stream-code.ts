/** What translated text does with streams and repetitions. */

import { take } from "../riscv/fields.ts";
import { STATE } from "./interpreter.ts";
import type { Frame } from "./translate-frame.ts";
import { helperNumber } from "./translate-machine.ts";
import type { Step } from "./translate-region.ts";
import { FREP_LEFT, wordOf } from "./translate-streams.ts";
import { TYPE } from "./wasm-emit.ts";

const ADVANCE = helperNumber("advance");

export class StreamCode {
  private readonly frame: Frame;
  /** The present instruction, and the elements of streams that it has taken. */
  private step: Step | null = null;
  private readonly taken = new Map<number, number>();
  /** Instructions of the present block, and the streams of which it is known whether they are written. */
  private block: readonly Step[] = [];
  private known = 0;

  constructor(frame: Frame) {
    this.frame = frame;
  }

  /** Begins a block. */
  begin(steps: readonly Step[]): void {
    this.block = steps;
    this.known = 0;
  }

  /** The local with the element that stands for a register of floats in the present instruction, if one does. */
  elementOf(register: number): number | undefined {
    return this.taken.get(register);
  }

  /** Whether what the present instruction writes to a register goes into a stream. */
  isWritten(register: number): boolean {
    return this.step?.pushes === register;
  }

  /** Begins an instruction: takes what it reads from streams. */
  open(step: Step): void {
    this.step = step;
    this.taken.clear();
    if (step.instruction.extension === "Xssr") this.known = 0;
    const used = step.pops.length > 0 || step.pushes !== null;
    if (used) this.checkDirections(step);
    for (const stream of step.pops) {
      const element = this.frame.temporary(TYPE.f32);
      this.advance(stream, false);
      this.frame.code
        .get(this.frame.place(wordOf(stream, "place")))
        .memory("f32.load", 0)
        .set(element);
      this.taken.set(stream, element);
    }
  }

  /** Leaves the region where a stream that the block reads is written, or the other way round. */
  private checkDirections(step: Step): void {
    const from = this.block.indexOf(step);
    const next = this.block.findIndex((s, i) => i > from && s.instruction.extension === "Xssr");
    const steps = this.block.slice(from, next < 0 ? undefined : next);
    const writes = steps.flatMap((s) => s.pushes ?? []).reduce((m, s) => m | (1 << s), 0);
    const all = steps.flatMap((s) => s.pops).reduce((m, s) => m | (1 << s), writes);
    if ((this.known & all) === all) return;
    this.known |= all;
    this.frame.code
      .get(this.frame.hart)
      .memory("i32.load", STATE.directions)
      .i32(all)
      .op("i32.and");
    this.frame.code.i32(writes).op("i32.ne");
    this.frame.leaveBefore(step);
  }

  /** Writes what is on the stack to the next element of a stream. */
  push(stream: number): void {
    const element = this.frame.temporary(TYPE.f32);
    this.frame.code.set(element);
    this.advance(stream, true);
    this.frame.code
      .get(this.frame.place(wordOf(stream, "place")))
      .get(element)
      .memory("f32.store", 0);
  }

  /** Goes on to the next element: the same once more, along the two innermost dimensions, or as the interpreter says. */
  private advance(stream: number, writing: boolean): void {
    const { code } = this.frame;
    const local = (word: Parameters<typeof wordOf>[1]): number =>
      this.frame.place(wordOf(stream, word));
    const down = (word: "again" | "left0" | "left1"): void => {
      code.get(local(word)).i32(1).op("i32.sub").set(local(word));
    };
    const move = (by: "stride0" | "stride1"): void => {
      code.get(local("place")).get(local(by)).op("i32.add").set(local("place"));
      if (!writing) code.get(local("repeat")).set(local("again"));
    };
    if (!writing) {
      code.get(local("again")).if();
      down("again");
      code.else();
    }
    code.get(local("left0")).if();
    down("left0");
    move("stride0");
    code.else().get(local("left1")).if();
    down("left1");
    code.get(local("bound0")).set(local("left0"));
    move("stride1");
    code.else();
    const words = (["place", "again", "left0", "left1"] as const).map((w) => wordOf(stream, w));
    for (const r of words) this.frame.storeBack(r);
    code
      .get(this.frame.hart)
      .i32(stream)
      .i32(writing ? 1 : 0)
      .call(ADVANCE)
      .op("i32.eqz");
    if (this.step) this.frame.leaveBefore(this.step);
    for (const r of words) this.frame.loadBack(r);
    code.end().end();
    if (!writing) code.end();
  }

  /** Begins a repetition of the instructions behind. */
  repeat({ pc, bytes, word }: Step): void {
    const [from, count] = [pc + bytes, take("body", word) + 1];
    this.frame.x(take("rs1", word)).set(this.frame.place(FREP_LEFT));
    this.frame.code.get(this.frame.hart).i32(from).memory("i32.store", STATE.frepFrom);
    this.frame.code
      .get(this.frame.hart)
      .i32(from + 4 * count)
      .memory("i32.store", STATE.frepTo);
  }

  /** Opens a block of WebAssembly's for what is done where a repetition goes on. */
  repeats(): void {
    const left = this.frame.place(FREP_LEFT);
    this.frame.code.get(left).if();
    this.frame.code.get(left).i32(1).op("i32.sub").set(left);
  }
}
