/** Resizing by interpolation. */

import { extents } from "../../../tensor/kernels/sampling.ts";
import type { Dim, TensorType } from "../../../tensor/tensor.ts";
import { ALL, point } from "../../access.ts";
import { intAttr, intsAttr, stringAttr } from "../../attrs.ts";
import type { OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { type Constants, constantNumbers, operandShape, resultShape } from "./accesses.ts";
import { float, int, ints, oneOf, onnxOp, string } from "./record.ts";
import {
  dimAt,
  impossible,
  normaliseAxes,
  numbersAt,
  type Operands,
  typeAt,
  typed,
} from "./shape.ts";

/** Scales are an empty list where sizes are given. */
function listAt(operands: Operands, index: number): readonly number[] | null | undefined {
  const operand = operands[index];
  if (!operand || operand.type.shape[0] === 0) return undefined;
  return numbersAt(operands, index);
}

function resizeType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  const every = shape.map((_, i) => i);
  const axes = normaliseAxes(intsAttr(op, "axes", every), shape.length);
  const [scales, sizes] = [listAt(operands, 2), listAt(operands, 3)];
  if ((scales === undefined) === (sizes === undefined)) impossible("needs either scales or sizes");
  const asked = sizes ?? scales;
  if (asked && asked.length !== axes.length) impossible(`it has ${axes.length} axes to resize`);
  if (asked?.some((v) => !(v > 0))) impossible("scales and sizes must be positive");
  const named = axes.map((a) => dimAt(shape, a));
  const known = named.filter((d) => d !== null);
  if (!asked || known.length < named.length) return [typed(elem, open(shape, axes, sizes))];
  const policy = stringAttr(op, "keep_aspect_ratio_policy", "stretch");
  const found = extents(known, sizes ? { sizes, policy } : { scales: asked });
  const result = shape.map((d, i) =>
    axes.includes(i) ? (found[axes.indexOf(i)]?.length ?? d) : d,
  );
  return [typed(elem, result)];
}

/** Where a dimension is not known, sizes still tell the result's. */
const open = (
  shape: readonly Dim[],
  axes: readonly number[],
  sizes: readonly number[] | null | undefined,
) => shape.map((d, i) => (axes.includes(i) ? (sizes?.[axes.indexOf(i)] ?? null) : d));

/** Axes of which every element stays as it is. A scale near 1 may move elements and keep the length. */
function keptAxes(op: Op, constants?: Constants): readonly number[] {
  const [x, y] = [operandShape(op, 0), resultShape(op)];
  const every = x.map((_, i) => i);
  if (stringAttr(op, "coordinate_transformation_mode", "") === "tf_crop_and_resize") return [];
  const axes = normaliseAxes(intsAttr(op, "axes", every), x.length);
  const scales = op.operands[2];
  const factors = scales && scales.type.shape[0] !== 0 ? constantNumbers(scales, constants) : null;
  const stretches = stringAttr(op, "keep_aspect_ratio_policy", "stretch") === "stretch";
  const bySize = op.operands[3] && stretches;
  return every.filter((i) => {
    if (!axes.includes(i)) return true;
    if (dimAt(x, i) === null || dimAt(x, i) !== dimAt(y, i)) return false;
    return bySize || factors?.[axes.indexOf(i)] === 1;
  });
}

export const RESIZE_OPS: readonly OpDef[] = [
  onnxOp("Resize", {
    doc: "x with some axes stretched or shrunk by interpolation between its elements.",
    operands: ["x", "roi?", "scales?", "sizes?"],
    attrs: {
      antialias: int,
      axes: ints,
      coordinate_transformation_mode: string,
      cubic_coeff_a: float,
      exclude_outside: int,
      extrapolation_value: float,
      keep_aspect_ratio_policy: string,
      mode: string,
      nearest_mode: string,
    },
    *verify(op) {
      yield* oneOf(op, "mode", ["nearest", "linear", "cubic"]);
      yield* oneOf(op, "coordinate_transformation_mode", [
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_half_pixel_for_nn",
        "tf_crop_and_resize",
      ]);
      yield* oneOf(op, "nearest_mode", [
        "round_prefer_floor",
        "round_prefer_ceil",
        "floor",
        "ceil",
      ]);
      yield* oneOf(op, "keep_aspect_ratio_policy", ["stretch", "not_larger", "not_smaller"]);
      if (intAttr(op, "antialias", 0) && stringAttr(op, "mode", "nearest") === "nearest") {
        yield "has antialias 1, which needs mode linear or cubic";
      }
    },
    infer: resizeType,
    access(op, constants) {
      const kept = keptAxes(op, constants);
      return op.operands.map((o, k) => {
        if (!o) return null;
        return o.type.shape.map((_, i) => (k === 0 && kept.includes(i) ? point(i) : ALL));
      });
    },
  }),
];
