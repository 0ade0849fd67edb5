/**
 * What translated text does with the budget: blocks take what they cost when they begin, and give back what is not executed of them;
 * beside it, loads and stores are counted where cores have timing.
 */

import { STATE } from "./interpreter.ts";
import type { Frame } from "./translate-frame.ts";
import { HART, helperNumber, LEFT } from "./translate-machine.ts";
import type { Step } from "./translate-region.ts";

export class BudgetCode {
  private readonly frame: Frame;
  /** The local of loads and stores so far, where they are counted, and those of the block from the present instruction on. */
  private readonly accesses: number | null;
  private comingAccesses = 0;
  /** What the present block costs from the present instruction on, and what the last of it does. */
  private remaining = 0;
  private lastCost = 0;
  /** Whether scalar loads and stores have waited for what vectors access. */
  private ordered = { loads: false, stores: false };

  constructor(frame: Frame, accesses: number | null) {
    this.frame = frame;
    this.accesses = accesses;
  }

  /** Takes a block's cost; the block is left where there is not enough to reach its last instruction. */
  begin(pc: number, steps: readonly Step[]): void {
    const { code } = this.frame;
    this.remaining = steps.reduce((sum, step) => sum + this.cost(step), 0);
    this.lastCost = this.cost(steps.at(-1));
    this.ordered = { loads: false, stores: false };
    code
      .get(LEFT)
      .i32(this.remaining - this.lastCost)
      .op("i32.le_s")
      .if();
    this.frame.leave(pc);
    code.end();
    this.spend(this.remaining);
    if (this.accesses === null) return;
    this.comingAccesses = steps.filter(isAccess).length;
    code.get(this.accesses).i32(this.comingAccesses).op("i32.add").set(this.accesses);
  }

  /** Gives back what the block has taken from the present instruction on. */
  giveBack(): void {
    this.spend(-this.remaining);
    if (this.accesses === null || this.comingAccesses === 0) return;
    const { code } = this.frame;
    code.get(this.accesses).i32(this.comingAccesses).op("i32.sub").set(this.accesses);
  }

  /** Pushes what was left before the present instruction. */
  push(): void {
    this.frame.code.get(LEFT).i32(this.remaining).op("i32.add");
  }

  /** Emits what is executed when the present instruction, which is no load or store, has been. */
  behind(step: Step, emit: () => void): void {
    this.remaining -= this.cost(step);
    emit();
    this.remaining += this.cost(step);
  }

  /** Hands over how many loads and stores there were. */
  finish(): void {
    if (this.accesses === null) return;
    this.frame.code.get(this.accesses).call(helperNumber("addAccesses"));
  }

  private cost(step: Step | undefined): number {
    return step ? (this.frame.machine.timing?.cost(step.pc) ?? 1) : 0;
  }

  /** Takes from the budget. */
  spend(cost: number): void {
    this.frame.code.get(LEFT).i32(cost).op("i32.sub").set(LEFT);
  }

  /** Goes to the instruction behind one. */
  next(step: Step): void {
    this.remaining -= this.cost(step);
    if (isAccess(step)) this.comingAccesses--;
    if (step.instruction.extension === "Zve32f") this.spendBeats(step);
    else if (this.frame.machine.timing?.vectorQueue) this.spendWaits(step);
  }

  /** What scalar instructions wait for a vector unit beside the core. */
  private spendWaits(step: Step): void {
    const { name } = step.instruction;
    if (name === "fence") this.spendBy(step, "drain");
    if (!isAccess(step)) return;
    const storing = STORE.test(name);
    if (this.ordered.stores || (this.ordered.loads && !storing)) return;
    this.ordered = { loads: true, stores: storing };
    const { code } = this.frame;
    code.get(HART).memory("i32.load", STATE.pending);
    code
      .i32(storing ? 3 : 1)
      .op("i32.and")
      .if();
    this.spendBy(step, "order", storing ? 1 : 0);
    code.end();
  }

  private spendBeats(step: Step): void {
    if (!this.frame.machine.timing?.vectorBytes) return;
    if (isVectorAccess(step)) this.ordered = { loads: false, stores: false };
    this.spendBy(step, "beats", this.frame.record(step));
  }

  /** Spends what the interpreter says an instruction takes more: the rest of the block may then be beyond the budget. */
  private spendBy(step: Step, by: "beats" | "order" | "drain", operand?: number): void {
    const { code } = this.frame;
    code.get(LEFT).get(HART);
    if (by === "beats") code.i32(operand ?? 0);
    this.push();
    if (by === "order") code.i32(operand ?? 0);
    code.call(helperNumber(by));
    code.op("i32.sub").tee(LEFT).i32(-this.lastCost).op("i32.le_s");
    if (this.remaining > 0) this.frame.leaveAt(step.pc + step.bytes);
    else code.op("drop");
  }
}

/** Whether a scalar load or store, which counts as an access. */
const isAccess = ({ instruction }: Step): boolean => ACCESS.test(instruction.name);
const ACCESS = /^(?:l[bhw]u?|s[bhw]|f[ls][hw])$/;
const STORE = /^f?s/;
const isVectorAccess = ({ instruction }: Step): boolean => (instruction.match & 0x7f) !== 0x57;
