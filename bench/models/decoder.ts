/** Decoders of the LLaMA kind: RMS norm, rotary embedding, grouped-query attention, gated feed-forward. */

import { expertLoop } from "./expert-loop.ts";
import { GraphFile, type WeightElem } from "./graph-file.ts";
import { attend, gated, linear, rmsNorm, splitHeads } from "./parts.ts";

export interface DecoderShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly groups: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  readonly ropeBase: number;
  /** Width-wide norms of queries and keys, as OLMoE has them. */
  readonly normsQueries?: boolean;
  /**
   * Experts instead of one feed-forward network, stacked into one initializer [E, in, out] and all computed, or
   * one after another on the rows that chose them.
   */
  readonly experts?: { readonly count: number; readonly chosen: number; readonly loop?: boolean };
}

/** Llama 3 8B: arXiv 2407.21783, table 3. */
export const LLAMA_3_8B: DecoderShape = {
  layers: 32,
  hidden: 4096,
  heads: 32,
  groups: 8,
  intermediate: 14336,
  vocabulary: 128256,
  ropeBase: 500000,
};

/** OLMoE-1B-7B: arXiv 2409.02060, table 10. */
export const OLMOE_1B_7B: DecoderShape = {
  layers: 16,
  hidden: 2048,
  heads: 16,
  groups: 16,
  intermediate: 1024,
  vocabulary: 50304,
  ropeBase: 10000,
  normsQueries: true,
  experts: { count: 64, chosen: 8 },
};

/** The same, as a loop over the experts. */
export const OLMOE_LOOP: DecoderShape = {
  ...OLMOE_1B_7B,
  experts: { count: 64, chosen: 8, loop: true },
};

/** What every layer of one file reads. */
interface Shared {
  readonly file: GraphFile;
  readonly shape: DecoderShape;
  readonly tokens: number;
  readonly cos: string;
  readonly sin: string;
  readonly mask: string;
}

export function decoder(shape: DecoderShape, tokens: number, elem: WeightElem): GraphFile {
  const file = new GraphFile(elem);
  const { hidden, vocabulary } = shape;
  const ids = file.input("input_ids", "i64", [1, tokens]);
  const table = file.weight("model.embed_tokens.weight", [vocabulary, hidden]);
  let x = file.node("Gather", "/model/embed_tokens/Gather", [table, ids], { axis: 0 });
  const shared = {
    file,
    shape,
    tokens,
    ...rotations(file, shape, tokens),
    mask: causal(file, tokens),
  };
  for (let i = 0; i < shape.layers; i++) x = layer(shared, `/model/layers.${i}`, x);
  const last = rmsNorm(file, "/model/norm", x, hidden);
  const logits = linear(file, "/lm_head", last, [hidden, vocabulary]);
  file.output(logits, elem, [1, tokens, vocabulary]);
  return file;
}

/** cos and sin of every position, [1, 1, S, D]: the exporter folds them for fixed shapes. */
function rotations(file: GraphFile, { hidden, heads, ropeBase }: DecoderShape, tokens: number) {
  const size = hidden / heads;
  const angles = Array.from({ length: tokens * size }, (_, i) => {
    const pair = (i % size) % (size / 2);
    return Math.floor(i / size) * ropeBase ** ((-2 * pair) / size);
  });
  const table = (f: (x: number) => number) =>
    file.constant(file.elem, [1, 1, tokens, size], angles.map(f));
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** [1, 1, S, S]: 0 where a token may look, the least finite number where it may not. */
function causal(file: GraphFile, tokens: number): string {
  const least = file.elem === "f16" ? -65504 : -3.4028234663852886e38;
  const mask = Array.from({ length: tokens * tokens }, (_, i) =>
    i % tokens > Math.floor(i / tokens) ? least : 0,
  );
  return file.constant(file.elem, [1, 1, tokens, tokens], mask);
}

function layer(shared: Shared, at: string, x: string): string {
  const { file, shape } = shared;
  const { hidden, intermediate, experts } = shape;
  const attended = attention(
    shared,
    `${at}/self_attn`,
    rmsNorm(file, `${at}/input_layernorm`, x, hidden),
  );
  const middle = file.node("Add", `${at}/Add`, [x, attended]);
  const normal = rmsNorm(file, `${at}/post_attention_layernorm`, middle, hidden);
  if (experts) {
    return file.node("Add", `${at}/Add_1`, [middle, mixture(shared, `${at}/mlp`, normal, experts)]);
  }
  const gate = linear(file, `${at}/mlp/gate_proj`, normal, [hidden, intermediate]);
  const up = linear(file, `${at}/mlp/up_proj`, normal, [hidden, intermediate]);
  const inner = gated(file, `${at}/mlp`, gate, up);
  const down = linear(file, `${at}/mlp/down_proj`, inner, [intermediate, hidden]);
  return file.node("Add", `${at}/Add_1`, [middle, down]);
}

function attention(shared: Shared, at: string, x: string): string {
  const { file, shape, mask, tokens } = shared;
  const { hidden, heads, groups, normsQueries } = shape;
  const size = hidden / heads;
  const project = (name: string, count: number, norm: boolean): string => {
    const y = linear(file, `${at}/${name}_proj`, x, [hidden, count * size]);
    const normal = norm ? rmsNorm(file, `${at}/${name}_norm`, y, count * size) : y;
    return splitHeads(file, `${at}/${name}`, normal, count, size);
  };
  const q = rotate(shared, `${at}/q`, project("q", heads, normsQueries === true));
  const k = rotate(shared, `${at}/k`, project("k", groups, normsQueries === true));
  const v = project("v", groups, false);
  const repeat = (name: string, y: string): string =>
    heads === groups
      ? y
      : repeated(file, `${at}/${name}`, y, [groups, heads / groups, tokens, size]);
  const kT = file.node("Transpose", `${at}/k/Transpose_1`, [repeat("k", k)], {
    perm: [0, 1, 3, 2],
  });
  const joined = attend(file, at, { q, kT, v: repeat("v", v), mask }, [heads, size]);
  return linear(file, `${at}/o_proj`, joined, [hidden, hidden]);
}

/** x cos + rotate_half(x) sin. */
function rotate({ file, shape, cos, sin }: Shared, at: string, x: string): string {
  const size = shape.hidden / shape.heads;
  const half = file.axes(size / 2);
  const slice = (name: string, from: string, to: string): string =>
    file.node("Slice", `${at}/${name}`, [x, from, to, file.axes(3), file.axes(1)]);
  const first = slice("Slice", file.axes(0), half);
  const second = slice("Slice_1", half, file.axes(size));
  const negative = file.node("Neg", `${at}/Neg`, [second]);
  const turned = file.node("Concat", `${at}/Concat`, [negative, first], { axis: -1 });
  const along = file.node("Mul", `${at}/Mul`, [x, cos]);
  const across = file.node("Mul", `${at}/Mul_1`, [turned, sin]);
  return file.node("Add", `${at}/Add`, [along, across]);
}

/** Every key and value head for all queries of its group. */
function repeated(
  file: GraphFile,
  at: string,
  x: string,
  [groups, times, tokens, size]: readonly [number, number, number, number],
): string {
  const apart = file.node("Unsqueeze", `${at}/Unsqueeze`, [x, file.axes(2)]);
  const shape = file.axes(1, groups, times, tokens, size);
  const wide = file.node("Expand", `${at}/Expand`, [apart, shape]);
  return file.node("Reshape", `${at}/Reshape_1`, [
    wide,
    file.axes(1, groups * times, tokens, size),
  ]);
}

/** All experts on all tokens and a dense routing matrix with zeros for those that were not chosen; or a loop. */
function mixture(
  { file, shape, tokens }: Shared,
  at: string,
  x: string,
  { count, chosen, loop }: NonNullable<DecoderShape["experts"]>,
): string {
  const { hidden, intermediate } = shape;
  const rows = file.node("Reshape", `${at}/Reshape`, [x, file.axes(-1, hidden)]);
  const scores = linear(file, `${at}/gate`, rows, [hidden, count]);
  const soft = file.node("Softmax", `${at}/gate/Softmax`, [scores], { axis: -1 });
  const best = [`${at}/gate/TopK_output_0`, `${at}/gate/TopK_output_1`];
  file.node("TopK", `${at}/gate/TopK`, [soft, file.axes(chosen)], { axis: -1 }, best);
  const back = (sum: string): string =>
    file.node("Reshape", `${at}/Reshape_1`, [sum, file.axes(1, tokens, hidden)]);
  if (loop) {
    const [weights = "", indices = ""] = best;
    const sizes = { tokens, hidden, intermediate, count };
    return back(expertLoop(file, at, { rows, weights, indices }, sizes));
  }
  const zeros = file.constant(file.elem, [tokens, count], new Array(tokens * count).fill(0));
  const routing = file.node(
    "ScatterElements",
    `${at}/experts/Scatter`,
    [zeros, best[1] ?? "", best[0] ?? ""],
    {
      axis: 1,
    },
  );
  const module = at.slice(1).replaceAll("/", ".");
  const each = file.node("Unsqueeze", `${at}/experts/Unsqueeze`, [rows, file.axes(0)]);
  const inner = file.weight(`${module}.experts.gate_up_proj`, [count, hidden, 2 * intermediate]);
  const both = file.node("MatMul", `${at}/experts/MatMul`, [each, inner]);
  const part = (name: string, from: number, to: number): string =>
    file.node("Slice", `${at}/experts/${name}`, [
      both,
      file.axes(from),
      file.axes(to),
      file.axes(2),
    ]);
  const gate = part("Slice", 0, intermediate);
  const up = part("Slice_1", intermediate, 2 * intermediate);
  const outer = file.weight(`${module}.experts.down_proj`, [count, intermediate, hidden]);
  const product = gated(file, `${at}/experts`, gate, up);
  const down = file.node("MatMul", `${at}/experts/MatMul_1`, [product, outer]);
  const sum = file.node("Einsum", `${at}/experts/Einsum`, [routing, down], {
    equation: "te,eth->th",
  });
  return back(sum);
}
