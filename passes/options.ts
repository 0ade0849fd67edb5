/** What a user may choose about a compilation; the command line fills it in. */

import type { Choice } from "../src/tensor/full-scale.ts";
import type { Tensor } from "../src/tensor/tensor.ts";

/** One rule of a policy: the first whose glob matches a module's path decides. */
export interface PolicyRule {
  /** Glob on the module path (`*` within a segment, `**` across dots), e.g. `h.*.mlp.**`. */
  readonly module?: string;
  /** Module kind: attention-projection, feed-forward, expert, router, head, embedding, patch, other. */
  readonly kind?: string;
  readonly place: "analog" | "digital";
  readonly why: string;
}

export interface Policy {
  readonly name: string;
  readonly rules: readonly PolicyRule[];
}

/** Low-rank side-branches: fresh ones of a rank for every analog linear, or a trained adapter. */
export type LoraOption =
  | { readonly kind: "none" }
  | { readonly kind: "fresh"; readonly rank: number; readonly alpha: number }
  | { readonly kind: "adapter"; readonly adapter: Adapter };

/** A PEFT adapter as read from its folder. */
export interface Adapter {
  readonly folder: string;
  readonly alpha: number;
  readonly rank: number;
  /** By module path: A is [rank, in], B is [out, rank], as PEFT stores them. */
  readonly modules: ReadonlyMap<string, { readonly a: Tensor; readonly b: Tensor }>;
}

/** How full scales are chosen: of DACs, of ADCs, and of the columns of weights (gamma). */
export interface Calibration {
  readonly dac: Choice;
  readonly adc: Choice;
  readonly columns: Choice;
}

export interface Options {
  readonly policy: Policy;
  readonly lora: LoraOption;
  /** Seed of everything random in the compiler (fresh LoRA matrices). */
  readonly seed: number;
  /** Parallel tokens per block: a number, or chosen per layer. */
  readonly tokens: number | "auto";
  /** Compute products that may be rounded to halves on the clusters' matrix engines. Absent: on their cores. */
  readonly matrixEngine?: boolean;
  /** Absent: the largest of what was seen. */
  readonly calibration?: Calibration;
}
