/** Typed reading of what a kernel is requested for. */

import { type Block, KernelGap, type KernelRequest, type PhaseAssembler } from "./kernel.ts";
import type { X } from "./register.ts";

/** An operand of words; a KernelGap for other elements, or where it is absent. */
export function single(block: Block | null | undefined): Block {
  if (!block) throw new KernelGap("an absent operand");
  if (block.elem !== "f32") throw new KernelGap(`elements of type ${block.elem}`);
  return block;
}

export const operandAt =
  (i: number) =>
  (k: PhaseAssembler): X =>
    k.operand(i);
export const firstResult = (k: PhaseAssembler): X => k.result(0);

export const flagOf = ({ attrs }: KernelRequest, name: string): boolean => Boolean(attrs[name]);

export function numberOf({ attrs }: KernelRequest, name: string, otherwise: number): number {
  const value = attrs[name] ?? otherwise;
  if (typeof value !== "number") throw new KernelGap(`an attribute ${name} that is no number`);
  return value;
}
