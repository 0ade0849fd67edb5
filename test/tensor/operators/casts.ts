/** Conversions between element types. */

import { of, type Row, values, x } from "./row.ts";

const TYPES = {
  f32: 1,
  ui8: 2,
  i8: 3,
  ui16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  i1: 9,
  f16: 10,
  f64: 11,
  ui32: 12,
  ui64: 13,
} as const;
const CASTS: readonly Row[] = Object.entries(TYPES).flatMap(([elem, to]): Row[] => [
  { op: "Cast", form: `to ${elem}`, attrs: { to }, inputs: [values([5], 0, 1, 2, 3, 100)] },
  {
    op: "Cast",
    form: `to ${elem}, fractions`,
    attrs: { to },
    inputs: [values([4], 0.5, 1.5, 2.7, 0.9)],
    elems: ["f32", "f64", "f16"],
  },
  ...(elem.startsWith("u")
    ? []
    : [
        {
          op: "Cast",
          form: `to ${elem}, negative`,
          attrs: { to },
          inputs: [values([4], -1, -1.5, -2.7, -100)],
          elems: ["f32", "f64", "f16", "i8", "i16", "i32", "i64"],
        } as Row,
      ]),
  {
    op: "Cast",
    form: `to ${elem}, integers`,
    attrs: { to },
    inputs: [values([6], -1, -128, 127, 255, 32767, 65535)],
    elems: ["i8", "i16", "i32", "i64", "ui8", "ui16", "ui32"],
  },
  {
    op: "Cast",
    form: `to ${elem}, opset 9`,
    opset: 9,
    attrs: { to },
    inputs: [x(2, 2)],
    elems: ["f32", "i64", "i1"],
  },
  {
    op: "Cast",
    form: `to ${elem}, scalar`,
    attrs: { to },
    inputs: [values([], 3)],
    elems: ["f32"],
  },
  { op: "Cast", form: `to ${elem}, nothing`, attrs: { to }, inputs: [x(0, 3)], elems: ["f32"] },
  {
    op: "CastLike",
    form: `to ${elem}`,
    inputs: [values([2, 2], 0, 1, 2, 3), of(elem as "f32", [], 0)],
  },
]);
const CAST_EDGES: readonly Row[] = [
  {
    op: "Cast",
    form: "f32 to f16",
    attrs: { to: 10 },
    inputs: [values([8], 65519, 65520, 1e6, -1e6, 6e-8, 2.9e-8, 1e-9, Number.NaN)],
    elems: ["f32", "f64"],
  },
  {
    op: "Cast",
    form: "f64 to f32",
    attrs: { to: 1 },
    inputs: [values([4], 1e300, 1e-300, 1 + 2 ** -30, Infinity)],
    elems: ["f64"],
  },
  {
    op: "Cast",
    form: "NaN and infinity to truth",
    attrs: { to: 9 },
    inputs: [values([5], Number.NaN, Infinity, -0, 1e-40, 0)],
    elems: ["f32", "f64", "f16"],
  },
  {
    op: "Cast",
    form: "out of range to i32",
    attrs: { to: 6 },
    inputs: [values([5], 3e9, -3e9, Number.NaN, Infinity, -Infinity)],
    elems: ["f32", "f64"],
  },
  {
    op: "Cast",
    form: "out of range to i64",
    attrs: { to: 7 },
    inputs: [values([5], 1e19, -1e19, Number.NaN, Infinity, -Infinity)],
    elems: ["f32", "f64"],
  },
  {
    op: "Cast",
    form: "out of range to i8",
    attrs: { to: 3 },
    inputs: [values([5], 300, -300, 1e10, -1e10, Number.NaN)],
    elems: ["f32", "f64"],
  },
  {
    op: "Cast",
    form: "out of range to ui8",
    attrs: { to: 2 },
    inputs: [values([5], 300, -300, 1e10, -1e10, Number.NaN)],
    elems: ["f32", "f64"],
  },
];

export const CAST_ROWS: readonly Row[] = [...CASTS, ...CAST_EDGES];
