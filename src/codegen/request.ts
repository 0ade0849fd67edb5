/** Reading a request: operands that have to be there, attributes, and lists of numbers that are constants. */

import { type Block, KernelGap, type KernelRequest, type PhaseAssembler } from "./kernel.ts";
import type { X } from "./register.ts";

/** An operand that the operation cannot do without. */
export function given({ operands }: KernelRequest, i: number): Block {
  const block = operands[i];
  if (!block) throw new KernelGap(`no operand ${i}`);
  return block;
}

/** The numbers of the operands that are there. */
export const presentOf = ({ operands }: KernelRequest): readonly number[] =>
  operands.flatMap((block, i) => (block ? [i] : []));

export function wanted({ results }: KernelRequest, i = 0): Block {
  const block = results[i];
  if (!block) throw new KernelGap(`no result ${i}`);
  return block;
}

/** The values of operand i, or of the attribute that held them in older files; null where there is neither. */
export function listed(
  { operands, attrs }: KernelRequest,
  i: number,
  name: string,
): readonly number[] | null {
  const block = operands[i];
  if (block?.values) return block.values;
  if (block) throw new KernelGap(`${name} that only the run knows`);
  const list = attrs[name];
  return Array.isArray(list) ? list : null;
}

/** A numeric attribute; truths count as 0 and 1. */
export function number({ attrs }: KernelRequest, name: string, otherwise: number): number {
  return Number(attrs[name] ?? otherwise);
}

export function word({ attrs }: KernelRequest, name: string, otherwise: string): string {
  return String(attrs[name] ?? otherwise);
}

/** A possibly negative axis counted from the front. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

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
