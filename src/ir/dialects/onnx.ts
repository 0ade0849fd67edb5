/** The onnx dialect: the standard operators, with the meaning that opset 23 gives them. */

import type { OpDef } from "../define.ts";
import { BIT_OPS } from "./onnx/bits.ts";
import { CONV_OPS } from "./onnx/conv.ts";
import { CREATION_OPS } from "./onnx/creation.ts";
import { ELEMENTWISE_OPS } from "./onnx/elementwise.ts";
import { GATHER_SCATTER_OPS } from "./onnx/gather-scatter.ts";
import { LAYOUT_OPS } from "./onnx/layout.ts";
import { MATMUL_OPS } from "./onnx/matmul.ts";
import { MICROSOFT_OPS } from "./onnx/microsoft.ts";
import { MICROSOFT_NORM_OPS } from "./onnx/microsoft-norm.ts";
import { MICROSOFT_PLAIN_OPS } from "./onnx/microsoft-plain.ts";
import { MICROSOFT_QUANTISED_OPS } from "./onnx/microsoft-quantised.ts";
import { MICROSOFT_TRANSFORMER_OPS } from "./onnx/microsoft-transformer.ts";
import { MICROSOFT_WEIGHTS_OPS } from "./onnx/microsoft-weights.ts";
import { MOVEMENT_OPS } from "./onnx/movement.ts";
import { NORM_OPS } from "./onnx/norm.ts";
import { QUANTISE_OPS } from "./onnx/quantise.ts";
import { REARRANGE_OPS } from "./onnx/rearrange.ts";
import { REDUCE_OPS } from "./onnx/reduce.ts";
import { RESIZE_OPS } from "./onnx/resize.ts";
import { TRANSFORMER_OPS } from "./onnx/transformer.ts";

export const ONNX_OPS: readonly OpDef[] = [
  ...ELEMENTWISE_OPS,
  ...BIT_OPS,
  ...MATMUL_OPS,
  ...LAYOUT_OPS,
  ...MOVEMENT_OPS,
  ...REARRANGE_OPS,
  ...RESIZE_OPS,
  ...REDUCE_OPS,
  ...CREATION_OPS,
  ...GATHER_SCATTER_OPS,
  ...NORM_OPS,
  ...CONV_OPS,
  ...QUANTISE_OPS,
  ...TRANSFORMER_OPS,
  ...MICROSOFT_OPS,
  ...MICROSOFT_NORM_OPS,
  ...MICROSOFT_TRANSFORMER_OPS,
  ...MICROSOFT_WEIGHTS_OPS,
  ...MICROSOFT_PLAIN_OPS,
  ...MICROSOFT_QUANTISED_OPS,
];
