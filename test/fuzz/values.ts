/** Values that break things: the edges of number types, names that mean something to somebody. */

export const INTS: readonly number[] = [
  ...[0, 1, -1, 2, 3, -2, 7, 64, 255, -128, 65537],
  ...[2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 40, 2 ** 53, -(2 ** 62), 2 ** 63 - 1024],
];

export const FLOATS: readonly number[] = [
  ...[0, -0, 1, -1, 0.5, 7],
  ...[1e-38, 1e38, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
];

/** Codes of element types: supported ones, others of ONNX, none at all. */
export const ELEM_CODES: readonly number[] = [1, 2, 3, 6, 7, 8, 9, 10, 11, 13, 16, 17, 22, 0, 99];

export const OPSETS: readonly number[] = [
  ...[0, -1, 1, 6, 7, 9, 10, 11, 12, 13, 14, 17, 18, 20, 22, 23, 25, 26],
  ...[2 ** 31, 2 ** 62],
];

export const NAMES: readonly string[] = [
  ...["", " ", "a/b:c", "../../x", "\u0000", "\n\r\t", '"%x\\', "名前", "\u202e", "💥"],
  ...["constructor", "__proto__", "toString", "0", "n".repeat(20000)],
];

export const DOMAINS: readonly string[] = [
  ...["", "ai.onnx", "com.microsoft", "ai.onnx.ml", "com.example", "x".repeat(300)],
];

/** Values of text attributes. */
export const TEXTS: readonly string[] = [
  ...["", "NOTSET", "SAME_UPPER", "tanh", "none", "constant", "bilinear", "\u0000"],
  ...["ij,jk->ik", "...", "i->ii"],
];

export const ATTRIBUTES: readonly string[] = (
  "axis axes perm to epsilon alpha keepdims num_heads nonsense allowzero k value module " +
  "cluster why scale is_causal kv_num_heads group pads bits block_size"
).split(" ");

export const OPERATORS: readonly string[] = (
  "Add MatMul Gemm Reshape Transpose Softmax Gather Slice Concat Cast Where Expand Constant " +
  "ConstantOfShape Range Unsqueeze Squeeze Split ReduceMean LayerNormalization Identity If Loop " +
  "Scan Einsum TopK NonZero ScatterND Pad Tile Attention Shape Conv CumSum OneHot Resize Trilu " +
  "Mod Pow Not Gelu RotaryEmbedding RMSNormalization GatherND GatherElements ArgMax " +
  "BatchNormalization DequantizeLinear QuantizeLinear Clip EyeLike GroupQueryAttention " +
  "MultiHeadAttention MoE QMoE MatMulNBits SkipLayerNormalization"
).split(" ");

/** Where external data is said to be. */
export const LOCATIONS: readonly string[] = [
  ...["../x", "/etc/hostname", "x", ".", "..", "model.onnx", "", "a\u0000b", "link", "folder"],
  ...["model.onnx.data", "./model.onnx.data", "sub/../model.onnx.data", "\\\\host\\x", "C:\\x"],
];

/** Element `index`, counted around. */
export const pick = <T>(list: readonly T[], index: number): T | undefined =>
  list[index % list.length];

export const at = <T>(list: readonly T[], index: number, otherwise: T): T =>
  pick(list, index) ?? otherwise;

export const without = <T>(list: readonly T[], index: number): T[] =>
  list.filter((_, i) => i !== index % Math.max(1, list.length));

export function swapped<T>(list: readonly T[], i: number, j: number): T[] {
  const copy = [...list];
  if (copy.length === 0) return copy;
  const [x, y] = [i % copy.length, j % copy.length];
  [copy[x], copy[y]] = [copy[y] as T, copy[x] as T];
  return copy;
}
