/** Typed reading of attributes. The verifier has checked their kinds, so a mismatch is our own fault. */

import type { Tensor } from "../tensor/tensor.ts";
import { type Attr, isTensorAttr, isWeightRef, type Op, type WeightRef } from "./op.ts";

function wrong(op: Op, name: string, expected: string): never {
  throw new Error(`${op.kind}: attribute '${name}' is not ${expected}`);
}

export function intAttr(op: Op, name: string, otherwise?: number): number {
  const a = op.attrs[name] ?? otherwise;
  return Number.isInteger(a) ? (a as number) : wrong(op, name, "an integer");
}

export function floatAttr(op: Op, name: string, otherwise?: number): number {
  const a = op.attrs[name] ?? otherwise;
  return typeof a === "number" ? a : wrong(op, name, "a number");
}

export function stringAttr(op: Op, name: string, otherwise?: string): string {
  const a = op.attrs[name] ?? otherwise;
  return typeof a === "string" ? a : wrong(op, name, "a string");
}

export function boolAttr(op: Op, name: string, otherwise?: boolean): boolean {
  const a = op.attrs[name] ?? otherwise;
  return typeof a === "boolean" ? a : wrong(op, name, "a boolean");
}

export function intsAttr(op: Op, name: string, otherwise?: readonly number[]): readonly number[] {
  const a: Attr | undefined = op.attrs[name] ?? otherwise;
  if (Array.isArray(a) && a.every((v) => typeof v === "number")) return a as readonly number[];
  return wrong(op, name, "a list of numbers");
}

/** A list of real numbers; none where it is left out. */
export function floatsAttr(op: Op, name: string): readonly number[] {
  const a = op.attrs[name] ?? [];
  if (Array.isArray(a) && a.every((v) => typeof v === "number")) return a as readonly number[];
  return wrong(op, name, "a list of numbers");
}

export function weightAttr(op: Op, name: string): WeightRef | Tensor {
  const a = op.attrs[name];
  return isWeightRef(a) || isTensorAttr(a) ? a : wrong(op, name, "a weight or a tensor");
}
