/** The whole compiler, top to bottom. Reordering this list is the only way to reorder it. */

import type { Level } from "../src/ir/op.ts";
import { assign } from "./assign.ts";
import { calibrate } from "./calibrate.ts";
import { expandFused } from "./expand-fused.ts";
import { foldConstants } from "./fold-constants.ts";
import { inferShapes } from "./infer-shapes.ts";
import { lora } from "./lora.ts";
import { matrixEngine } from "./matrix-engine.ts";
import { partition } from "./partition.ts";
import type { Pass } from "./pass.ts";
import { pipelineTokens } from "./pipeline-tokens.ts";
import { place } from "./place.ts";
import { raiseActivation } from "./raise-activation.ts";
import { raiseAttention } from "./raise-attention.ts";
import { raiseChosen } from "./raise-chosen.ts";
import { raiseConvolution } from "./raise-convolution.ts";
import { raiseEinsum } from "./raise-einsum.ts";
import { raiseEmbedding } from "./raise-embedding.ts";
import { raiseLinear } from "./raise-linear.ts";
import { raiseMoe } from "./raise-moe.ts";
import { raiseNorm } from "./raise-norm.ts";
import { raiseQuantised } from "./raise-quantised.ts";
import { raiseResidual } from "./raise-residual.ts";
import { raiseRoles } from "./raise-roles.ts";
import { raiseRope } from "./raise-rope.ts";
import { raiseSoftmax } from "./raise-softmax.ts";
import { raiseStack } from "./raise-stack.ts";
import { schedule } from "./schedule.ts";
import { shareRepeated } from "./share-repeated.ts";
import { simplify } from "./simplify.ts";

export interface Stage {
  /** The level that the stage's last pass leaves: its dump always goes into the artifact. */
  readonly name: Level;
  readonly passes: readonly Pass[];
}

export const PIPELINE: readonly Stage[] = [
  { name: "onnx", passes: [inferShapes, foldConstants, expandFused, simplify, shareRepeated] },
  {
    name: "nn",
    passes: [
      raiseEinsum,
      raiseQuantised,
      raiseConvolution,
      raiseLinear,
      raiseEmbedding,
      raiseNorm,
      raiseActivation,
      raiseRope,
      raiseAttention,
      raiseSoftmax,
      raiseMoe,
      raiseChosen,
      raiseStack,
      raiseResidual,
      raiseRoles,
      assign,
      lora,
      matrixEngine,
    ],
  },
  { name: "aimc", passes: [partition, calibrate, place] },
  { name: "program", passes: [pipelineTokens, schedule] },
];
