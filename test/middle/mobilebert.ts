/**
 * The linears of MobileBERT with its question-answering head, as arXiv 2411.17367 v4 maps them; the shapes
 * give exactly the parameter counts of that paper.
 */

import type { LinearSpec } from "./fixtures.ts";

const LAYERS = 24;

const layer = (n: number): LinearSpec[] => {
  const path = `encoder.layer.${n}`;
  const dense = (name: string, rows: number, cols: number): LinearSpec => ({
    module: `${path}.${name}`,
    role: "feed-forward",
    rows,
    cols,
  });
  const attention = (name: string, rows: number): LinearSpec => ({
    module: `${path}.attention.${name}`,
    role: "attention-projection",
    rows,
    cols: 128,
  });
  const pairs = [0, 1, 2, 3].flatMap((i) => [
    dense(`ffn.${i}.intermediate.dense`, 128, 512),
    dense(`ffn.${i}.output.dense`, 512, 128),
  ]);
  return [
    dense("bottleneck.input.dense", 512, 128),
    dense("bottleneck.attention.dense", 512, 128),
    attention("self.query", 128),
    attention("self.key", 128),
    attention("self.value", 512),
    attention("output.dense", 128),
    ...pairs,
    dense("output.bottleneck.dense", 128, 512),
  ];
};

export const MOBILEBERT: readonly LinearSpec[] = [
  { module: "embeddings.embedding_transformation", role: "other", rows: 384, cols: 512 },
  ...Array.from({ length: LAYERS }, (_, n) => layer(n)).flat(),
  { module: "qa_outputs", role: "head", rows: 512, cols: 2 },
];
