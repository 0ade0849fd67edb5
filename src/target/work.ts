/**
 * How much work a digital kernel is: its family, elements, multiply-accumulates and launches, from shapes
 * alone. Counts are of one call; a schedule passes the shapes of the regions of one iteration.
 */

export interface Work {
  /** A key of the cluster's `cyclesPerElement`. */
  readonly family: string;
  readonly elements: number;
  /** Multiply-accumulates of the matrix engine. */
  readonly macs: number;
  /** Kernels or matrix-engine jobs that are started. */
  readonly launches: number;
}

type Shape = readonly (number | null)[];

const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  movement: [
    "Cast",
    "Concat",
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Identity",
    "Pad",
    "Reshape",
    "Resize",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "cache_append",
  ],
  gather: ["Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "embedding"],
  reduce: [
    "ArgMax",
    "ArgMin",
    "CumSum",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "sum",
    "combine",
  ],
  rope: ["rope", "RotaryEmbedding"],
  norm: ["LayerNormalization", "RMSNormalization", "BatchNormalization", "layer_norm", "rms_norm"],
  softmax: ["Softmax", "LogSoftmax", "softmax", "attention"],
  activation: ["Gelu", "Erf", "Tanh", "Sigmoid", "Exp", "Log", "Pow", "Cos", "Sin", "activation"],
  gated: ["gated"],
  router: ["router", "TopK"],
};

const FAMILY_OF = new Map(
  Object.entries(FAMILIES).flatMap(([family, names]) => names.map((n) => [n, family] as const)),
);

/** The cost family of an operation kind (`onnx.Softmax`, `nn.attention`, `Softmax`, …). */
export const familyOf = (kind: string): string =>
  FAMILY_OF.get(kind.slice(kind.lastIndexOf(".") + 1)) ?? "elementwise";

const size = (shape: Shape | undefined): number =>
  (shape ?? []).reduce<number>((product, d) => product * (d ?? 1), 1);

const dim = (shape: Shape | null | undefined, axis: number): number => shape?.at(axis) ?? 1;

/**
 * The work of one call. `operands` are shapes (null: absent), `weights` the two-dimensional shapes of
 * constants in attributes, if the kind has any (linear: [in, out]; LoRA: A [r, in] and B [out, r]).
 * `share` is the share of attention scores that a causal or windowed mask leaves.
 */
export function workOf(
  kind: string,
  operands: readonly (Shape | null)[],
  results: readonly Shape[],
  weights: readonly Shape[] = [],
  share = 1,
): Work {
  const name = kind.slice(kind.lastIndexOf(".") + 1);
  const family = familyOf(kind);
  const written = size(results[0]);
  switch (name) {
    case "linear": {
      const rows = size(operands[0]?.slice(0, -1));
      return {
        family,
        elements: operands[1] ? written : 0,
        macs: rows * size(weights[0]),
        launches: 1,
      };
    }
    case "lora": {
      // RedMulE computes Z = X·W + Z, so that adding the branch to the tile's result costs nothing more.
      const rows = size(operands[0]?.slice(0, -1));
      const macs = rows * weights.reduce((sum, w) => sum + size(w), 0);
      return { family, elements: 0, macs, launches: 2 };
    }
    case "attention": {
      const scores = share * size(operands[0]?.slice(0, -1)) * dim(operands[1], -2);
      const macs = scores * (dim(operands[0], -1) + dim(operands[2], -1));
      return { family, elements: scores, macs, launches: 3 };
    }
    case "MatMul":
    case "Gemm": {
      const inner = dim(operands[0], -1);
      return { family, elements: 0, macs: written * inner, launches: 1 };
    }
    case "Flatten":
    case "Identity":
    case "Reshape":
    case "Squeeze":
    case "Unsqueeze":
      // Renames the axes of bytes that stay where they are: its readers use the same addresses.
      return { family, elements: 0, macs: 0, launches: 0 };
    default: {
      const read = Math.max(0, ...operands.map((o) => size(o ?? [0])));
      const elements =
        family === "gather" || family === "movement" ? written : Math.max(written, read);
      return { family, elements, macs: 0, launches: 1 };
    }
  }
}
