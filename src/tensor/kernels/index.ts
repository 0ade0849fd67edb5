/** Every digital kernel by name: ONNX's own by operator type, others with their domain or dialect. */

import { ATTENTION } from "./attention.ts";
import { BITS } from "./bits.ts";
import { CAST } from "./cast.ts";
import { COMPARE } from "./compare.ts";
import { CONV } from "./conv.ts";
import { CONV_TRANSPOSE } from "./conv-transpose.ts";
import { CREATION } from "./creation.ts";
import { EINSUM } from "./einsum.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { GATHER } from "./gather.ts";
import type { Kernel } from "./kernel.ts";
import { MATMUL } from "./matmul.ts";
import { MICROSOFT } from "./microsoft.ts";
import { MICROSOFT_ATTENTION } from "./microsoft-attention.ts";
import { MOE } from "./moe.ts";
import { MOVEMENT } from "./movement.ts";
import { NORM } from "./norm.ts";
import { ONNX_ATTENTION } from "./onnx-attention.ts";
import { QUANTISE } from "./quantise.ts";
import { QUANTISED_CONV } from "./quantised-conv.ts";
import { REARRANGE } from "./rearrange.ts";
import { REDUCE } from "./reduce.ts";
import { RESIZE } from "./resize.ts";
import { ROPE } from "./rope.ts";
import { SCATTER } from "./scatter.ts";
import { SELECT } from "./select.ts";
import { SLICE } from "./slice.ts";
import { SOFTMAX } from "./softmax.ts";
import { UNARY } from "./unary.ts";

const FAMILIES = [
  ATTENTION,
  BITS,
  CAST,
  COMPARE,
  CONV,
  CONV_TRANSPOSE,
  CREATION,
  EINSUM,
  ELEMENTWISE,
  GATHER,
  MATMUL,
  MICROSOFT,
  MICROSOFT_ATTENTION,
  MOE,
  MOVEMENT,
  NORM,
  ONNX_ATTENTION,
  QUANTISE,
  QUANTISED_CONV,
  REARRANGE,
  REDUCE,
  RESIZE,
  ROPE,
  SCATTER,
  SELECT,
  SLICE,
  SOFTMAX,
  UNARY,
];

export const KERNELS: ReadonlyMap<string, Kernel> = new Map(FAMILIES.flatMap(Object.entries));

/** The kernel of an operation kind as modules spell it: `onnx.Add`, `onnx.com.microsoft.Gelu`, `nn.rope`. */
export const kernelOf = (kind: string): Kernel | undefined =>
  KERNELS.get(kind.replace(/^onnx\./, ""));
