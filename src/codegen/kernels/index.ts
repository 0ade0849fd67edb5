/** All kernels in machine code, by the names that schedule.json uses. One file a family. */

import type { Generate, GeneratorTable, Growing } from "../kernel.ts";
import { ATTENTION, ATTENTION_GROWS } from "./attention.ts";
import { BITS } from "./bits.ts";
import { CAST } from "./cast.ts";
import { COMPARE } from "./compare.ts";
import { CONV } from "./conv.ts";
import { CREATION } from "./creation.ts";
import { CUMULATIVE } from "./cumulative.ts";
import { EINSUM } from "./einsum.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { EXTREMES } from "./extremes.ts";
import { GATHER } from "./gather.ts";
import { INTEGER_CONV } from "./integer-conv.ts";
import { INTEGER_PRODUCT } from "./integer-product.ts";
import { LINEAR } from "./linear.ts";
import { LP_NORM } from "./lp-norm.ts";
import { MATMUL } from "./matmul.ts";
import { MOVEMENT } from "./movement.ts";
import { NORM } from "./norm.ts";
import { PARTIAL_SUMS } from "./partial-sums.ts";
import { POOL } from "./pool.ts";
import { QUANTISE } from "./quantise.ts";
import { REARRANGE } from "./rearrange.ts";
import { REDUCE } from "./reduce.ts";
import { RESIZE } from "./resize.ts";
import { ROPE } from "./rope.ts";
import { ROUTER } from "./router.ts";
import { SCATTER } from "./scatter.ts";
import { SELECT } from "./select.ts";
import { SLICE } from "./slice.ts";
import { SOFTMAX } from "./softmax.ts";
import { WEIGHTED_SUM } from "./weighted-sum.ts";

const FAMILIES: readonly GeneratorTable[] = [
  ATTENTION,
  BITS,
  CAST,
  COMPARE,
  CONV,
  CREATION,
  CUMULATIVE,
  EINSUM,
  ELEMENTWISE,
  EXTREMES,
  GATHER,
  INTEGER_CONV,
  INTEGER_PRODUCT,
  LINEAR,
  LP_NORM,
  MATMUL,
  MOVEMENT,
  NORM,
  PARTIAL_SUMS,
  POOL,
  QUANTISE,
  REARRANGE,
  REDUCE,
  RESIZE,
  ROPE,
  ROUTER,
  SCATTER,
  SELECT,
  SLICE,
  SOFTMAX,
  WEIGHTED_SUM,
];

export const GENERATORS: ReadonlyMap<string, Generate> = new Map(
  FAMILIES.flatMap((family) => Object.entries(family)),
);

/** Kernels that take operands with growing axes, and all axes that grow together; negative ones are counted from the end. */
export const GROWING: ReadonlyMap<string, readonly Growing[]> = new Map([
  ["nn.attention", ATTENTION_GROWS],
]);
