/** How rows of vector instructions are made: one operation has several forms. */

import type { Row } from "./row.ts";

/** The values of funct3 that say where the second operand comes from. */
const FORM = { ivv: 0, fvv: 1, mvv: 2, ivi: 3, ivx: 4, fvf: 5, mvx: 6 } as const;
type Form = keyof typeof FORM;

export const op = (form: Form, funct6: number, more = 0): number =>
  (((funct6 << 26) | (FORM[form] << 12) | 0x57) + more) >>> 0;
export const UNMASKED = 1 << 25;

/** Where an operand comes from, by the ending of the name. */
const SECOND: Readonly<Record<string, string>> = {
  v: "vs1",
  x: "rs1",
  i: "simm5",
  u: "uimm5",
  f: "fs1",
};

/** Rows of one integer operation: `forms` are letters of SECOND. `wide` is the ending's first letter. */
export function integer(
  name: string,
  funct6: number,
  forms: string,
  meaning: string,
  wide = "v",
): Row[] {
  return [...forms].map((f) => {
    const form: Form = f === "v" ? "ivv" : f === "x" ? "ivx" : "ivi";
    const ending = wide + (f === "u" ? "i" : f);
    return [`${name}.${ending}`, `vd,vs2,${SECOND[f]},vm`, op(form, funct6), meaning];
  });
}

export function multiply(
  name: string,
  funct6: number,
  forms: string,
  meaning: string,
  wide = "v",
): Row[] {
  return [...forms].map((f) => [
    `${name}.${wide}${f}`,
    `vd,vs2,${SECOND[f]},vm`,
    op(f === "v" ? "mvv" : "mvx", funct6),
    meaning,
  ]);
}

export function float(name: string, funct6: number, forms: string, meaning: string): Row[] {
  return [...forms].map((f) => [
    `${name}.v${f}`,
    `vd,vs2,${SECOND[f]},vm`,
    op(f === "v" ? "fvv" : "fvf", funct6),
    meaning,
  ]);
}

/** Multiply-adds write the destination last and take their operands in the other order. */
export const accumulate = (rows: readonly Row[]): Row[] =>
  rows.map(([name, syntax, match, meaning]) => [
    name,
    syntax.replace(/^vd,vs2,(\w+),/, "vd,$1,vs2,"),
    match,
    meaning,
  ]);

/** Operations with a carry in v0, and the same without. */
export function carrying(name: string, funct6: number, forms: string, meaning: string): Row[] {
  return integer(name, funct6, forms, meaning).map(([n, syntax, match, m]) => [
    `${n}m`,
    syntax.replace("vm", "v0"),
    match,
    m,
  ]);
}

export const bare = (rows: readonly Row[]): Row[] =>
  rows.map(([n, syntax, match, m]) => [n, syntax.replace(",vm", ""), (match | UNMASKED) >>> 0, m]);

export const reduction = (name: string, form: Form, funct6: number, meaning: string): Row => [
  `${name}.vs`,
  "vd,vs2,vs1,vm",
  op(form, funct6),
  meaning,
];

export const unary = (
  name: string,
  form: Form,
  funct6: number,
  vs1: number,
  meaning: string,
): Row => [name, "vd,vs2,vm", op(form, funct6, vs1 << 15), meaning];
