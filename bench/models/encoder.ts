/** Encoders of the BERT kind (arXiv 1810.04805): layer norm after each residual, GELU, a pooler. */

import { GraphFile, type WeightElem } from "./graph-file.ts";
import { attend, layerNorm, linear, splitHeads } from "./parts.ts";

export interface EncoderShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  readonly positions: number;
}

const BERT = { vocabulary: 30522, positions: 512 };
export const BERT_BASE = { ...BERT, layers: 12, hidden: 768, heads: 12, intermediate: 3072 };
export const BERT_LARGE = { ...BERT, layers: 24, hidden: 1024, heads: 16, intermediate: 4096 };

export function encoder(shape: EncoderShape, tokens: number, elem: WeightElem): GraphFile {
  const file = new GraphFile(elem);
  const ids = file.input("input_ids", "i64", [1, tokens]);
  const attended = file.input("attention_mask", "i64", [1, tokens]);
  const kinds = file.input("token_type_ids", "i64", [1, tokens]);
  let x = embeddings(file, shape, ids, kinds, tokens);
  const mask = additive(file, attended);
  for (let i = 0; i < shape.layers; i++) x = layer(file, shape, `/encoder/layer.${i}`, x, mask);
  const first = file.node("Gather", "/pooler/Gather", [x, file.constant("i64", [], [0])], {
    axis: 1,
  });
  const dense = linear(file, "/pooler/dense", first, [shape.hidden, shape.hidden], true);
  const pooled = file.node("Tanh", "/pooler/activation/Tanh", [dense]);
  file.output(x, elem, [1, tokens, shape.hidden]);
  file.output(pooled, elem, [1, shape.hidden]);
  return file;
}

function embeddings(
  file: GraphFile,
  { vocabulary, positions, hidden }: EncoderShape,
  ids: string,
  kinds: string,
  tokens: number,
): string {
  const lookUp = (name: string, rows: number, at: string): string => {
    const table = file.weight(`embeddings.${name}.weight`, [rows, hidden]);
    return file.node("Gather", `/embeddings/${name}/Gather`, [table, at], { axis: 0 });
  };
  const places = Array.from({ length: tokens }, (_, i) => i);
  const word = lookUp("word_embeddings", vocabulary, ids);
  const kind = lookUp("token_type_embeddings", 2, kinds);
  const place = lookUp("position_embeddings", positions, file.constant("i64", [1, tokens], places));
  const both = file.node("Add", "/embeddings/Add", [word, kind]);
  const sum = file.node("Add", "/embeddings/Add_1", [both, place]);
  return layerNorm(file, "/embeddings/LayerNorm", sum, hidden);
}

/** (1 - mask) * least, [1, 1, 1, S]. */
function additive(file: GraphFile, mask: string): string {
  const least = file.elem === "f16" ? -65504 : -3.4028234663852886e38;
  const wide = file.node("Unsqueeze", "/Unsqueeze", [mask, file.axes(1, 2)]);
  const number = file.node("Cast", "/Cast", [wide], { to: file.elem === "f16" ? 10 : 1 });
  const absent = file.node("Sub", "/Sub", [file.scalar(1), number]);
  return file.node("Mul", "/Mul", [absent, file.scalar(least)]);
}

function layer(file: GraphFile, shape: EncoderShape, at: string, x: string, mask: string): string {
  const { hidden, heads, intermediate } = shape;
  const size = hidden / heads;
  const own = `${at}/attention/self`;
  const project = (name: string): string =>
    splitHeads(
      file,
      `${own}/${name}`,
      linear(file, `${own}/${name}`, x, [hidden, hidden], true),
      heads,
      size,
    );
  const q = project("query");
  const k = project("key");
  const kT = file.node("Transpose", `${own}/key/Transpose_1`, [k], { perm: [0, 1, 3, 2] });
  const mixed = attend(file, own, { q, kT, v: project("value"), mask }, [heads, size]);
  const attended = linear(file, `${at}/attention/output/dense`, mixed, [hidden, hidden], true);
  const sum = file.node("Add", `${at}/attention/output/Add`, [attended, x]);
  const middle = layerNorm(file, `${at}/attention/output/LayerNorm`, sum, hidden);
  const inner = linear(file, `${at}/intermediate/dense`, middle, [hidden, intermediate], true);
  const active = gelu(file, `${at}/intermediate/intermediate_act_fn`, inner);
  const outer = linear(file, `${at}/output/dense`, active, [intermediate, hidden], true);
  const last = file.node("Add", `${at}/output/Add`, [outer, middle]);
  return layerNorm(file, `${at}/output/LayerNorm`, last, hidden);
}

/** x (1 + erf(x / sqrt 2)) / 2. */
function gelu(file: GraphFile, at: string, x: string): string {
  const scaled = file.node("Div", `${at}/Div`, [x, file.scalar(Math.SQRT2)]);
  const error = file.node("Erf", `${at}/Erf`, [scaled]);
  const shifted = file.node("Add", `${at}/Add`, [error, file.scalar(1)]);
  const product = file.node("Mul", `${at}/Mul`, [x, shifted]);
  return file.node("Mul", `${at}/Mul_1`, [product, file.scalar(0.5)]);
}
