/** The nn dialect: what a network is made of, one operation for each thing a paper has a name for. */

import type { OpDef } from "../define.ts";
import { ATTENTION_OPS } from "./nn/attention.ts";
import { EMBEDDING_OPS } from "./nn/embedding.ts";
import { LINEAR_OPS } from "./nn/linear.ts";
import { MOE_OPS } from "./nn/moe.ts";
import { NORM_OPS } from "./nn/norm.ts";
import { POINTWISE_OPS } from "./nn/pointwise.ts";

export const NN_OPS: readonly OpDef[] = [
  ...LINEAR_OPS,
  ...EMBEDDING_OPS,
  ...NORM_OPS,
  ...POINTWISE_OPS,
  ...ATTENTION_OPS,
  ...MOE_OPS,
];
