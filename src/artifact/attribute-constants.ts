/** Constants that a step's attributes name: its kernel expects them behind the operands. */

import type { Step } from "./schedule.ts";

const PLACES: Readonly<Record<string, readonly { attr: string; at: number }[]>> = {
  "nn.linear": [
    { attr: "weight", at: 3 },
    { attr: "scales", at: 4 },
    { attr: "zeros", at: 5 },
  ],
  "nn.lora": [
    { attr: "a", at: 2 },
    { attr: "b", at: 3 },
    { attr: "a_halves", at: 2 },
    { attr: "b_halves", at: 3 },
  ],
};

export interface AttributeConstant {
  /** Position among the kernel's operands. */
  readonly at: number;
  /** Name in digital.safetensors. */
  readonly name: string;
}

export const attributeConstants = (step: Step): readonly AttributeConstant[] =>
  (PLACES[step.kernel] ?? []).flatMap(({ attr, at }) => {
    const value = step.attrs[attr];
    if (typeof value !== "object" || value === null || !("weight" in value)) return [];
    return [{ at, name: String(value.weight) }];
  });
