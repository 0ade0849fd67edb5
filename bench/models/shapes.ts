/** The models that can be written, by name. */

import { type DecoderShape, decoder, LLAMA_3_8B, OLMOE_1B_7B, OLMOE_LOOP } from "./decoder.ts";
import { BERT_BASE, BERT_LARGE, encoder } from "./encoder.ts";
import type { GraphFile, WeightElem } from "./graph-file.ts";

export const NAMES = [
  "bert-base",
  "bert-large",
  "llama-3-8b",
  "olmoe-1b-7b",
  "olmoe-1b-7b-loop",
] as const;
export type ModelName = (typeof NAMES)[number];

export interface ModelOptions {
  /** Fewer layers than the model has. */
  readonly layers?: number;
  readonly tokens: number;
  readonly elem: WeightElem;
}

export function modelFile(name: ModelName, { tokens, elem, layers }: ModelOptions): GraphFile {
  const cut = <T extends { readonly layers: number }>(shape: T): T => ({
    ...shape,
    layers: layers ?? shape.layers,
  });
  if (name === "bert-base") return encoder(cut(BERT_BASE), tokens, elem);
  if (name === "bert-large") return encoder(cut(BERT_LARGE), tokens, elem);
  return decoder(cut(DECODERS[name]), tokens, elem);
}

const DECODERS: Readonly<Record<Exclude<ModelName, `bert-${string}`>, DecoderShape>> = {
  "llama-3-8b": LLAMA_3_8B,
  "olmoe-1b-7b": OLMOE_1B_7B,
  "olmoe-1b-7b-loop": OLMOE_LOOP,
};
