/** What is said of operators that are not supported: all that a file has, why, and what to do. */

import type { Diagnostic } from "../diag/diagnostic.ts";
import { OPS } from "../ir/registry.ts";
import type { GraphNode } from "./graph.ts";

/** Nodes by operator, as `com.example.Wave`; those of ONNX itself have no domain before their name. */
export type Missing = ReadonlyMap<string, readonly string[]>;

/** Versions of the operator sets that a file asks for, by domain; "" is ONNX's own. */
export type Versions = ReadonlyMap<string, number>;

interface Reason {
  readonly of: RegExp;
  readonly why: string;
  readonly hint: string;
}

const REASONS: readonly Reason[] = [
  {
    of: /^(RNN|GRU|LSTM|com\.microsoft\.(AttnLSTM|DynamicQuantizeLSTM))$/,
    why: "a recurrent layer takes one step after the other, and a machine of tiles has no place for its state",
    hint: "export the part of the model without its recurrent layers, and run these outside",
  },
  {
    of: /^(Random(Normal|Uniform)(Like)?|Multinomial|Bernoulli)$/,
    why: "a result that is drawn at random is no function of the inputs",
    hint: "make the random numbers an input of the model, or export it without its sampling",
  },
  {
    of: /^(String\w+|RegexFullMatch|TfIdfVectorizer|com\.microsoft\.(Tokenizer|MurmurHash3))$|^ai\.onnx\.contrib\./,
    why: "no tensor of the machine holds strings",
    hint: "split text into numbers before the model, and export the model from there on",
  },
  {
    of: /^ai\.onnx\.ml\./,
    why: "trees, tables and linear models of ai.onnx.ml are no neural network",
    hint: "run the pipeline's other steps outside, and export the network alone",
  },
  {
    of: /^ai\.onnx\.(preview\.)?training\.|^com\.microsoft\.\w*Grad$|Loss$| in training mode$/,
    why: "it belongs to training",
    hint: "export the model for inference: model.eval() before torch.onnx.export",
  },
  {
    of: /^(STFT|DFT|MelWeightMatrix|(Hann|Hamming|Blackman)Window)$/,
    why: "spectra are computed before the network",
    hint: "compute the spectrum outside, and export the model with the spectrum as its input",
  },
  {
    of: /^com\.microsoft\.nchwc\./,
    why: "its tensors lie in blocks as wide as the vectors of the processor that the file was saved on",
    hint: "save the optimised model at level ORT_ENABLE_EXTENDED instead of ORT_ENABLE_ALL, or compile the model from before that",
  },
  {
    of: /^com\.microsoft\.(Beam|Greedy|WhisperBeam)Search$|^com\.microsoft\.Sampling$/,
    why: "a search for text calls the model as often as its data ask for",
    hint: "export the decoder alone, with its cache as inputs and outputs, and search outside",
  },
  {
    of: /^com\.microsoft\.(Packed(MultiHead)?Attention|RemovePadding|RestorePadding)$/,
    why: "how long its tensors are depends on data, and only GPUs run it",
    hint: "optimise the model for the CPU (use_gpu=False, without packing), or compile the model from before that",
  },
  {
    of: /^com\.microsoft\.(QOrdered\w+|(Quantize|Dequantize)(WithOrder|BFP)|GemmFloat8|MatMulFpQ4|Nhwc(Fused)?Conv|Bitmask\w+|(Gated)?RelativePositionBias|LongformerAttention|EPContext|Snpe)$/,
    why: "it is laid out for one kind of processor",
    hint: "optimise the model for the CPU (use_gpu=False), or compile the model from before it was optimised",
  },
  {
    of: /^com\.microsoft\.(Decoder(Masked(Self|MultiHead))?Attention|SparseAttention)$/,
    why: "its cache is one buffer of past and present, and data decide how much of it is in use",
    hint: "export the model with MultiHeadAttention or GroupQueryAttention, as it is before it is fused for a search",
  },
];

const OTHER: Omit<Reason, "of"> = {
  why: "",
  hint: "see docs/errors/A105.md for what is supported and how to avoid the operator",
};

/** What is not supported of a node, in words: its operator, or this form of it. null where it is supported. */
export function unsupportedForm(node: GraphNode, kind: string): string | null {
  const operator = kind.replace(/^onnx\./, "");
  const isControl = Object.keys(node.subgraphs).length > 0;
  if (!OPS.has(kind) || isControl || kind === "onnx.Constant") return operator;
  return kind === "onnx.BatchNormalization" && learns(node) ? `${operator} in training mode` : null;
}

/** Before opset 14 statistics among the results said that they are to be learned. */
const learns = ({ attrs, outputs }: GraphNode): boolean =>
  outputs.slice(1).some((name) => name !== "") || (attrs["training_mode"] ?? 0) !== 0;

/** One message for each reason, with all operators that it is true of. */
export function unsupported(
  missing: Missing,
  versions: Versions,
  model: string,
): readonly Diagnostic[] {
  const groups = new Map<Omit<Reason, "of">, string[]>();
  for (const operator of missing.keys()) {
    const reason = REASONS.find((r) => r.of.test(operator)) ?? OTHER;
    groups.set(reason, [...(groups.get(reason) ?? []), operator]);
  }
  return [...groups].map(([{ why, hint }, operators]): Diagnostic => {
    const nodes = operators.flatMap((o) => missing.get(o) ?? []);
    const listed = operators.map((o) => described(o, missing.get(o) ?? [], versions)).join(", ");
    const text = `${operators.length === 1 ? "operator" : "operators"} ${listed}`;
    const what = operators.length === 1 ? "is not supported" : "are not supported";
    const because = why === "" ? "" : `: ${why}`;
    return {
      code: "A105",
      text: `${text} ${what}${because}`,
      at: { kind: "node", model, nodes },
      hint,
    };
  });
}

/** `LSTM of opset 14 (2 nodes, the first is 'encoder/rnn')`. */
function described(operator: string, nodes: readonly string[], versions: Versions): string {
  const domain = operator.slice(0, Math.max(0, operator.lastIndexOf(".")));
  const version = versions.get(domain);
  const set = domain === "" ? "opset" : "version";
  const of = version === undefined ? "" : ` of ${set} ${version}`;
  const [first = ""] = nodes;
  const count =
    nodes.length === 1 ? `node '${first}'` : `${nodes.length} nodes, the first is '${first}'`;
  return `${operator}${of} (${count})`;
}
