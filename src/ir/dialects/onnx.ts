/** The onnx dialect. */

import type { OpDef } from "../define.ts";

export const ONNX_OPS: readonly OpDef[] = [];
