/** The equation of an Einsum: which index each axis of each operand runs over. */

import type { Dim } from "../../../tensor/tensor.ts";
import { type Access, ALL, point } from "../../access.ts";
import { broadcastDim, impossible, type Shape } from "./shape.ts";

interface Equation {
  /** One name per axis; axes under an ellipsis are called by their distance from its end. */
  readonly operands: readonly (readonly string[])[];
  readonly result: readonly string[];
}

function parseEinsum(equation: string, shapes: readonly Shape[]): Equation {
  const [left = "", right] = equation.replaceAll(" ", "").split("->");
  const terms = left.split(",");
  if (terms.length !== shapes.length) {
    impossible(`equation '${equation}' is for ${terms.length} operands`);
  }
  const [odd] = equation.replaceAll("...", "").match(/[^A-Za-z ,>-]/) ?? [];
  if (odd !== undefined) impossible(`equation '${equation}' has a '${odd}'`);
  const operands = terms.map((term, i) => axesOf(term, shapes[i] ?? []));
  const hidden = Math.max(0, ...operands.map((o) => o.filter((n) => n.startsWith(".")).length));
  return {
    operands,
    result: right === undefined ? implicitResult(operands, hidden) : namesOf(right, hidden),
  };
}

function axesOf(term: string, shape: Shape): string[] {
  const letters = term.replace("...", "").length;
  const names = namesOf(term, shape.length - letters);
  if (names.length !== shape.length) impossible(`term '${term}' has not ${shape.length} axes`);
  return names;
}

/** The names in a term whose ellipsis stands for this many axes, the last of them called ".1". */
function namesOf(term: string, hidden: number): string[] {
  const [before = "", after] = term.split("...");
  const ellipsis = after === undefined ? 0 : Math.max(0, hidden);
  const unnamed = Array.from({ length: ellipsis }, (_, i) => `.${ellipsis - i}`);
  return [...before, ...unnamed, ...(after ?? "")];
}

/** Without an arrow: the ellipsis, then every letter that occurs once, in alphabetical order. */
function implicitResult(operands: readonly (readonly string[])[], hidden: number): string[] {
  const letters = operands.flat().filter((n) => !n.startsWith("."));
  const once = letters.filter((n) => letters.filter((m) => m === n).length === 1);
  return [...namesOf("...", hidden), ...once.sort()];
}

export function einsumShape(equation: string, shapes: readonly Shape[]): Dim[] {
  const { operands, result } = parseEinsum(equation, shapes);
  const twice = result.find((name, i) => result.indexOf(name) !== i);
  if (twice !== undefined) impossible(`the result of '${equation}' names ${twice} twice`);
  const unread = result.find((name) => !operands.some((names) => names.includes(name)));
  if (unread !== undefined) impossible(`no operand of '${equation}' has the axis ${unread}`);
  const dims = new Map<string, Dim>();
  for (const [i, names] of operands.entries()) {
    for (const [axis, name] of names.entries()) {
      const dim = shapes[i]?.[axis] ?? null;
      const known = dims.get(name);
      dims.set(name, known === undefined ? dim : broadcastDim(known, dim));
    }
  }
  return result.map((name) => dims.get(name) ?? null);
}

export function einsumAccess(equation: string, shapes: readonly Shape[]): Access {
  const { operands, result } = parseEinsum(equation, shapes);
  return operands.map((names, i) =>
    names.map((name, axis) => {
      const at = result.indexOf(name);
      return at < 0 || shapes[i]?.[axis] === 1 ? ALL : point(at);
    }),
  );
}
