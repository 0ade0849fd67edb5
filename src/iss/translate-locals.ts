/** The locals of a translation: those that are lent come back and are lent again. */

import type { ValueType } from "./wasm-emit.ts";

export interface Lent {
  readonly type: ValueType;
  readonly local: number;
}

export class Locals {
  /** In the order of their numbers, behind the parameters. */
  readonly types: ValueType[] = [];
  private readonly first: number;
  private readonly spare = new Map<ValueType, number[]>();

  constructor(parameters: number) {
    this.first = parameters;
  }

  add(type: ValueType): number {
    this.types.push(type);
    return this.first + this.types.length - 1;
  }

  lend(type: ValueType, to: Lent[]): number {
    const local = this.spare.get(type)?.pop() ?? this.add(type);
    to.push({ type, local });
    return local;
  }

  release(from: Lent[]): void {
    for (const { type, local } of from.splice(0)) {
      this.spare.set(type, [...(this.spare.get(type) ?? []), local]);
    }
  }
}
