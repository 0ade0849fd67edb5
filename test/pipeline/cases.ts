/** The shapes of data flow that transformers have, each as small as it can be. */

import type { Module, Value } from "../../src/ir/op.ts";
import { Builder } from "./modules.ts";

const heads = (b: Builder, x: Value, batch: number, tokens: number): Value => {
  const split = b.one(
    "onnx.Reshape",
    [x, b.constant([4], "i64", [batch, tokens, 2, 4])],
    [batch, tokens, 2, 4],
  );
  return b.one("onnx.Transpose", [split], [batch, 2, tokens, 4], { perm: [0, 2, 1, 3] });
};

function attention(batch: number, tokens: number, attrs: Record<string, number | boolean>): Module {
  const b = new Builder(3);
  const x = b.input("x", [batch, tokens, 8]);
  const [q, k, v] = [0, 1, 2].map(() => heads(b, b.mvm(x, 8), batch, tokens));
  const y = b.one("nn.attention", [q, k, v] as Value[], [batch, 2, tokens, 4], {
    scale: 0.5,
    ...attrs,
  } as never);
  const back = b.one("onnx.Transpose", [y], [batch, tokens, 2, 4], { perm: [0, 2, 1, 3] });
  const joined = b.one(
    "onnx.Reshape",
    [back, b.constant([3], "i64", [batch, tokens, 8])],
    [batch, tokens, 8],
  );
  return b.module(b.one("nn.residual", [x, b.mvm(joined, 8)], [batch, tokens, 8]));
}

function chain(batch: number, tokens: number): Module {
  const b = new Builder(2);
  const x = b.input("x", [batch, tokens, 4]);
  const y = b.one("onnx.Relu", [b.mvm(x, 6)], [batch, tokens, 6]);
  return b.module(b.mvm(y, 4));
}

/** A shortcut past a long path, which must hold what the path has not consumed yet. */
function residual(): Module {
  const b = new Builder(4);
  const x = b.one("onnx.Relu", [b.input("x", [2, 7, 4])], [2, 7, 4]);
  let y = x;
  for (let i = 0; i < 4; i++) y = b.mvm(y, 4);
  return b.module(b.one("nn.residual", [x, y], [2, 7, 4]));
}

/** Flattened rows in the middle, with two experts, and partial sums. */
function experts(): Module {
  const b = new Builder(3);
  const x = b.mvm(b.input("x", [2, 6, 4]), 4);
  const rows = b.one("onnx.Reshape", [x, b.constant([2], "i64", [12, 4])], [12, 4]);
  const routing = b.one("nn.router", [b.mvm(rows, 2)], [12, 2], {
    top_k: 1,
    normalize: false,
    score: "softmax",
    first: "score",
  });
  const ys = [0, 1].map((expert) => {
    const partial = b.mvm(rows, 4, 2, { of: routing, expert });
    return b.one("aimc.sum", [partial], [12, 4]);
  });
  const y = b.one("nn.combine", [routing, ...ys], [12, 4]);
  return b.module(b.one("onnx.Reshape", [y, b.constant([3], "i64", [2, 6, 4])], [2, 6, 4]));
}

/** A sum over tokens in between needs everything at once. */
function gathered(): Module {
  const b = new Builder(2);
  const x = b.mvm(b.input("x", [2, 6, 4]), 4);
  const total = b.one("onnx.CumSum", [x, b.constant([], "i64", [1])], [2, 6, 4]);
  return b.module(b.mvm(total, 4), x);
}

function split(): Module {
  const b = new Builder(2);
  const x = b.mvm(b.input("x", [2, 5, 4]), 8);
  const sizes = b.constant([2], "i64", [6, 2]);
  const [left, right] = b.op(
    "onnx.Split",
    [x, sizes],
    [
      [2, 5, 6],
      [2, 5, 2],
    ],
    { axis: 2 },
  );
  return b.module(b.mvm(left as Value, 2), right as Value);
}

/** The first token of each batch, as in a pooler. */
function pooled(): Module {
  const b = new Builder(2);
  const x = b.mvm(b.input("x", [3, 5, 4]), 4);
  const first = b.one("onnx.Gather", [x, b.constant([], "i64", [0])], [3, 4], { axis: 1 });
  return b.module(b.mvm(first, 2), x);
}

/** Raw products instead of nn.attention: the scores follow the queries. */
function products(): Module {
  const b = new Builder(2);
  const x = b.input("x", [2, 6, 4]);
  const [q, k, v] = [b.mvm(x, 4), b.mvm(x, 4), b.mvm(x, 4)];
  const columns = b.one("onnx.Transpose", [k], [2, 4, 6], { perm: [0, 2, 1] });
  const scores = b.one("onnx.MatMul", [q, columns], [2, 6, 6]);
  const weights = b.one("nn.softmax", [scores], [2, 6, 6], { axis: -1 });
  return b.module(b.one("onnx.MatMul", [weights, v], [2, 6, 4]));
}

export const CASES: Readonly<Record<string, () => Module>> = {
  chain: () => chain(1, 9),
  "chain of two batches": () => chain(2, 7),
  residual,
  "causal attention": () => attention(1, 8, { causal: true }),
  "causal attention of two batches": () => attention(2, 6, { causal: true }),
  "window attention": () => attention(1, 10, { causal: true, window: 3 }),
  "full attention": () => attention(2, 6, { causal: false }),
  experts,
  gathered,
  split,
  pooled,
  products,
};
