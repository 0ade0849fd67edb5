/** Normalisations of ONNX Runtime's own domain, with the sums that its optimiser fuses into them (ContribOperators.md). */

import type { TensorType } from "../../../tensor/tensor.ts";
import { type Access, ALL, broadcast, point, whole } from "../../access.ts";
import { intAttr } from "../../attrs.ts";
import type { OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { operandShape, resultShape } from "./accesses.ts";
import { float, int, microsoftOp } from "./record.ts";
import {
  commonElem,
  dimAt,
  equalDim,
  impossible,
  normaliseAxis,
  type Operands,
  shapeAt,
  stretchable,
  typeAt,
  typed,
} from "./shape.ts";

/** y, two statistics and the sum of input, skip and bias: all but the statistics shaped as the input. */
function skipNormType(_: Op, operands: Operands): TensorType[] {
  const type = typeAt(operands, 0);
  stretchable(shapeAt(operands, 1), type.shape, "skip");
  for (const vector of operands.slice(2)) {
    if (!vector) continue;
    if (vector.type.shape.length !== 1) impossible("scale, shift and bias have one axis");
    equalDim(dimAt(vector.type.shape, 0), dimAt(type.shape, type.shape.length - 1), "scale");
  }
  commonElem(operands);
  const statistics = typed("f32", [...type.shape.slice(0, -1), 1]);
  return [type, statistics, statistics, type];
}

function skipNormAccess(op: Op): Access {
  const shape = operandShape(op, 0);
  const last = shape.length - 1;
  return op.operands.map((o, i) => {
    if (!o) return null;
    const axes = broadcast(o.type.shape, shape);
    // Input and skip (and a bias, which is added before) enter the statistics; scale and shift do not.
    const scales = i === 2 || (i === 3 && !op.kind.includes("Simplified"));
    return scales ? axes : axes.map((a) => (a.kind === "point" && a.axis === last ? ALL : a));
  });
}

/** Statistics are over everything from the axis on. */
function simplifiedAccess(op: Op): Access {
  const shape = operandShape(op, 0);
  const axis = normaliseAxis(intAttr(op, "axis", -1), shape.length);
  return op.operands.map((o, i) => {
    if (i === 0) return shape.map((_, k) => (k < axis ? point(k) : ALL));
    return o ? broadcast(o.type.shape, shape) : null;
  });
}

function embedNormType(_: Op, operands: Operands): TensorType[] {
  const [batch = null, tokens = null] = shapeAt(operands, 0);
  const table = typeAt(operands, 2);
  const embedded = typed(table.elem, [batch, tokens, dimAt(table.shape, 1)]);
  return [embedded, typed("i32", [batch]), embedded];
}

function embedNormAccess(op: Op): Access {
  return op.operands.map((o, i) => {
    if (!o) return null;
    const rank = o.type.shape.length;
    if (i < 2 || i === 8) return broadcast(o.type.shape, resultShape(op).slice(0, 2));
    // Without explicit positions, token t reads row t of the position table.
    if (i === 3 && !op.operands[8]) return [ALL, ALL];
    return i === 5 || i === 6 ? [point(2)] : whole(rank);
  });
}

const SKIP_RESULTS = ["y", "mean?", "inv_std_dev?", "sum?"];

export const MICROSOFT_NORM_OPS: readonly OpDef[] = [
  microsoftOp("SkipLayerNormalization", {
    doc: "LayerNormalization of input + skip + bias, which is the last result.",
    operands: ["x", "skip", "gamma", "beta?", "bias?"],
    results: SKIP_RESULTS,
    attrs: { epsilon: float },
    infer: skipNormType,
    access: skipNormAccess,
  }),
  microsoftOp("SkipSimplifiedLayerNormalization", {
    doc: "RMSNormalization of input + skip + bias, which is the last result.",
    operands: ["x", "skip", "gamma", "bias?"],
    results: SKIP_RESULTS,
    attrs: { epsilon: float },
    infer: skipNormType,
    access: skipNormAccess,
  }),
  microsoftOp("SimplifiedLayerNormalization", {
    doc: "RMSNormalization, under a name that some exporters give this domain.",
    operands: ["x", "scale"],
    results: ["y", "inv_std_dev?"],
    attrs: { axis: int, epsilon: float, stash_type: int },
    infer(op, operands) {
      const { elem, shape } = typeAt(operands, 0);
      const axis = normaliseAxis(intAttr(op, "axis", -1), shape.length);
      const rows = shape.map((d, i) => (i < axis ? d : 1));
      return [typed(elem, shape), typed("f32", rows)];
    },
    access: simplifiedAccess,
  }),
  microsoftOp("EmbedLayerNormalization", {
    doc: "LayerNormalization of the sum of word, position and segment embeddings.",
    operands: [
      "input_ids",
      "segment_ids?",
      "word_embedding",
      "position_embedding",
      "segment_embedding?",
      "gamma",
      "beta",
      "mask?",
      "position_ids?",
    ],
    results: ["y", "mask_index?", "embedding_sum?"],
    attrs: { epsilon: float, mask_index_type: int },
    infer: embedNormType,
    access: embedNormAccess,
  }),
];
