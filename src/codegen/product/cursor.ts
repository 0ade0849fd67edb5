/**
 * Elements of a few rows of a matrix, walked together along the other axis: as few pointers as offsets allow, moved as
 * seldom.
 */

import type { Assembler } from "../assembler.ts";
import type { F, X } from "../register.ts";
import { REACH, type Steps } from "./steps.ts";

export interface Walked {
  readonly count: number;
  /** From one row to the next, in bytes. */
  readonly step: number;
  /** From one element of a row to the next. */
  readonly along: number;
  /** How many elements a turn of the loop takes. */
  readonly unroll: number;
}

export class Cursor {
  private readonly k: Assembler;
  private readonly steps: Steps;
  private readonly along: number;
  private readonly pointers: readonly X[];
  private readonly each: number;
  private readonly step: number;
  private readonly room: number;
  private offset = 0;

  constructor(k: Assembler, steps: Steps, base: X, { count, step, along, unroll }: Walked) {
    this.k = k;
    this.steps = steps;
    this.along = along;
    this.step = step;
    const ahead = unroll * along;
    const reserve = ahead <= REACH / 2 ? ahead : 0;
    this.each = step === 0 ? count : Math.min(count, 1 + Math.floor((REACH - reserve) / step));
    this.room = REACH - (this.each - 1) * step;
    this.pointers = this.spread(base, Math.ceil(count / this.each));
  }

  /** Pointers to every so many rows. */
  private spread(base: X, count: number): readonly X[] {
    const pointers = [this.k.copy(base)];
    while (pointers.length < count) {
      pointers.push(this.steps.beyond(pointers.at(-1) ?? base, this.each * this.step));
    }
    return pointers;
  }

  /** An element, into a register of its own or another. */
  load(row: number, to: F = this.k.newF()): F {
    const pointer = this.pointers[Math.floor(row / this.each)];
    if (!pointer) throw new Error(`a cursor has no row ${row}`);
    return this.k.to(to, "flw", this.offset + (row % this.each) * this.step, pointer);
  }

  next(): void {
    if (this.offset + this.along <= this.room) this.offset += this.along;
    else for (const p of this.pointers) this.steps.advance(p, this.along);
  }

  /** What `turn` emits may be repeated: it ends with pointers moved so that it begins as it began. */
  turn(body: () => void): void {
    const before = this.offset;
    body();
    for (const p of this.pointers) this.steps.advance(p, this.offset - before);
    this.offset = before;
  }
}
