/** Softmax and normalisations: statistics along some axes, applied to each element. */

import { isFloat, type TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, broadcast, point } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { alongAxis, operandShape } from "./accesses.ts";
import { elemOfNumber } from "./elements.ts";
import { float, int, onnxOp } from "./record.ts";
import {
  dimAt,
  equalShape,
  impossible,
  normaliseAxis,
  type Operands,
  shapeAt,
  stretchable,
  typeAt,
  typed,
  wrongElem,
} from "./shape.ts";

const softmax = (name: string, doc: string): OpDef =>
  onnxOp(name, {
    doc,
    operands: ["x"],
    attrs: { axis: int },
    infer(op, operands) {
      const type = typeAt(operands, 0);
      if (!isFloat(type.elem)) wrongElem(`takes floats, not ${type.elem}`);
      normaliseAxis(intAttr(op, "axis", -1), type.shape.length);
      return [type];
    },
    access: alongAxis(-1),
  });

/** RMSNormalization asks for a scale of the normalised axes alone. */
function rmsNormType(op: Op, operands: Operands): TensorType[] {
  const types = layerNormType(op, operands);
  const shape = shapeAt(operands, 0);
  const axis = normaliseAxis(intAttr(op, "axis", -1), shape.length);
  stretchable(shapeAt(operands, 1), shape.slice(axis), "a scale");
  return types;
}

/** y, and the statistics with the normalised axes (all from `axis` on) reduced to 1. */
function layerNormType(op: Op, operands: Operands): TensorType[] {
  const { elem, shape } = typeAt(operands, 0);
  if (!isFloat(elem)) wrongElem(`takes floats, not ${elem}`);
  const axis = normaliseAxis(intAttr(op, "axis", -1), shape.length);
  for (let i = 1; i < operands.length; i++) {
    if (operands[i]) stretchable(shapeAt(operands, i), shape, "a scale or shift");
  }
  const statistics = typed(
    elemOfNumber(intAttr(op, "stash_type", 1)),
    shape.map((d, i) => (i < axis ? d : 1)),
  );
  return [typed(elem, shape), statistics, statistics];
}

function layerNormAccess(op: Op): Access {
  const shape = operandShape(op, 0);
  const axis = normaliseAxis(intAttr(op, "axis", -1), shape.length);
  return op.operands.map((o, i) => {
    if (i === 0) return shape.map((_, k) => (k < axis ? point(k) : ALL));
    return o ? broadcast(o.type.shape, shape) : null;
  });
}

/** x is [batch, channel, …]; the statistics are over everything after the first `kept` axes. */
const channelAccess =
  (kept: number) =>
  (op: Op): Access =>
    op.operands.map((o, i) => {
      if (!o) return null;
      if (i > 0) return o.type.shape.map(() => (kept > 1 ? point(1) : ALL));
      return o.type.shape.map((_, k) => (k < kept ? point(k) : ALL));
    });

/** The type of x, which holds floats along at least one axis. */
function floats(operands: Operands): TensorType {
  const type = typeAt(operands, 0);
  if (!isFloat(type.elem)) wrongElem(`takes floats, not ${type.elem}`);
  if (type.shape.length < 1) impossible("x has no axis");
  return type;
}

/** x, where each of the other operands has a value for each channel. */
function perChannelType(_: Op, operands: Operands): TensorType[] {
  const type = floats(operands);
  // A vector is one channel.
  const channels = type.shape.length < 2 ? 1 : dimAt(type.shape, 1);
  for (let i = 1; i < operands.length; i++) {
    equalShape(shapeAt(operands, i), [channels], `operand ${i} is not one value for each channel`);
  }
  return [type];
}

function groupNormType(op: Op, operands: Operands): TensorType[] {
  const types = perChannelType(op, operands);
  const channels = dimAt(shapeAt(operands, 0), 1);
  const groups = intAttr(op, "num_groups");
  if (groups < 1 || (channels ?? groups) % groups !== 0) {
    impossible(`${channels} channels do not divide into ${groups} groups`);
  }
  return types;
}

export const NORM_OPS: readonly OpDef[] = [
  softmax("Softmax", "Exponentials of x divided by their sum along an axis."),
  softmax("LogSoftmax", "The logarithm of the softmax along an axis."),
  softmax("Hardmax", "1 at the first largest element along an axis, 0 elsewhere."),
  onnxOp("LayerNormalization", {
    doc: "x less its mean, over its standard deviation, from `axis` on; scaled and shifted.",
    operands: ["x", "scale", "bias?"],
    results: ["y", "mean?", "inv_std_dev?"],
    attrs: { axis: int, epsilon: float, stash_type: int },
    infer: layerNormType,
    access: layerNormAccess,
  }),
  onnxOp("RMSNormalization", {
    doc: "x over its root mean square, from `axis` on; scaled.",
    operands: ["x", "scale"],
    attrs: { axis: int, epsilon: float, stash_type: int },
    infer: (op, operands) => rmsNormType(op, operands).slice(0, 1),
    access: layerNormAccess,
  }),
  onnxOp("SimplifiedLayerNormalization", {
    doc: "RMSNormalization under the name that ONNX Runtime gives it in the default domain.",
    operands: ["x", "scale"],
    results: ["y", "inv_std_dev?"],
    attrs: { axis: int, epsilon: float, stash_type: int },
    infer: (op, operands) => layerNormType(op, operands).slice(0, 2),
    access: layerNormAccess,
  }),
  onnxOp("GroupNormalization", {
    doc: "x normalised over groups of channels; scaled and shifted by channel.",
    operands: ["x", "scale", "bias"],
    attrs: { epsilon: float, num_groups: attr.int, stash_type: int },
    infer: groupNormType,
    access: channelAccess(1),
  }),
  onnxOp("InstanceNormalization", {
    doc: "x normalised over each channel of each instance; scaled and shifted by channel.",
    operands: ["x", "scale", "bias"],
    attrs: { epsilon: float },
    infer: perChannelType,
    access: channelAccess(2),
  }),
  onnxOp("BatchNormalization", {
    doc: "x normalised by channel with the given mean and variance; scaled and shifted.",
    operands: ["x", "scale", "bias", "mean", "variance"],
    attrs: { epsilon: float, momentum: float, training_mode: int },
    infer: perChannelType,
    access: (op) => channelAccess(operandShape(op, 0).length)(op),
  }),
  onnxOp("LpNormalization", {
    doc: "x over its p-norm along an axis.",
    operands: ["x"],
    attrs: { axis: int, p: int },
    infer(op, operands) {
      const type = floats(operands);
      normaliseAxis(intAttr(op, "axis", -1), type.shape.length);
      return [type];
    },
    access: alongAxis(-1),
  }),
];
