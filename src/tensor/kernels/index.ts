/** Every digital kernel by name: ONNX's own by operator type, others with their domain or dialect. */

import { CAST } from "./cast.ts";
import { COMPARE } from "./compare.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { GATHER } from "./gather.ts";
import type { Kernel } from "./kernel.ts";
import { MATMUL } from "./matmul.ts";
import { MOVEMENT } from "./movement.ts";
import { REDUCE } from "./reduce.ts";
import { SLICE } from "./slice.ts";
import { UNARY } from "./unary.ts";

const FAMILIES = [CAST, COMPARE, ELEMENTWISE, GATHER, MATMUL, MOVEMENT, REDUCE, SLICE, UNARY];

export const KERNELS: ReadonlyMap<string, Kernel> = new Map(FAMILIES.flatMap(Object.entries));

/** The kernel of an operation kind as modules spell it: `onnx.Add`, `onnx.com.microsoft.Gelu`, `nn.rope`. */
export const kernelOf = (kind: string): Kernel | undefined =>
  KERNELS.get(kind.replace(/^onnx\./, ""));
