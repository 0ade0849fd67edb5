/** Operators that are not supported, and why. What the page says of each is asked of the reader, too. */

import { InputError } from "../../src/diag/diagnostic.ts";
import { readModel } from "../../src/onnx/read.ts";
import { node, port, write } from "../onnx/small-model.ts";

interface Group {
  readonly why: string;
  readonly operators: readonly string[];
}

const MICROSOFT = "com.microsoft.";
const inMicrosoft = (...names: readonly string[]): string[] => names.map((n) => MICROSOFT + n);

/** ONNX's operators up to opset 24, and those of com.microsoft that its optimisers write into transformers. */
export const UNSUPPORTED_GROUPS: readonly Group[] = [
  {
    why: "recurrent networks: no operator of a transformer",
    operators: ["RNN", "GRU", "LSTM", ...inMicrosoft("AttnLSTM", "DynamicQuantizeLSTM")],
  },
  {
    why: "strings: no tensor of the machine holds them; tokenize before the model",
    operators: [
      "StringConcat",
      "StringNormalizer",
      "StringSplit",
      "RegexFullMatch",
      "TfIdfVectorizer",
      ...inMicrosoft("Tokenizer", "MurmurHash3", "WordConvEmbedding"),
    ],
  },
  {
    why: "random numbers: the answer would be no function of the inputs",
    operators: [
      "Bernoulli",
      "Multinomial",
      "RandomNormal",
      "RandomNormalLike",
      "RandomUniform",
      "RandomUniformLike",
    ],
  },
  {
    why: "generation loops: they call whole models; compile the model that they call",
    operators: inMicrosoft("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"),
  },
  {
    why: "sizes of results that depend on data",
    operators: ["NonMaxSuppression", ...inMicrosoft("RemovePadding", "RestorePadding", "Unique")],
  },
  {
    why: "training and losses: a model for inference has none",
    operators: ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"],
  },
  {
    why: "signals: compute the spectrum before the model",
    operators: [
      "BlackmanWindow",
      "DFT",
      "HammingWindow",
      "HannWindow",
      "MelWeightMatrix",
      "STFT",
      ...inMicrosoft("Rfft", "Irfft"),
    ],
  },
  {
    why: "images: resampling and pooling that transformers do before or after the network",
    operators: [
      "AffineGrid",
      "CenterCropPad",
      "Col2Im",
      "DeformConv",
      "GridSample",
      "ImageDecoder",
      "LRN",
      "MaxRoiPool",
      "MaxUnpool",
      "RoiAlign",
      ...inMicrosoft("CropAndResize", "GridSample", "GroupNorm", "SkipGroupNorm", "BiasSplitGelu"),
    ],
  },
  {
    why: "layouts that only CUDA kernels read: optimise the model for the CPU",
    operators: inMicrosoft(
      "DecoderMaskedMultiHeadAttention",
      "DecoderMaskedSelfAttention",
      "GemmFloat8",
      "PackedAttention",
      "PackedMultiHeadAttention",
      "PagedAttention",
      "QOrderedAttention",
      "QOrderedGelu",
      "QOrderedLayerNormalization",
      "QOrderedMatMul",
      "SparseAttention",
    ),
  },
  {
    why: "quantised activations in ONNX Runtime's own form: quantise to QDQ instead",
    operators: inMicrosoft("MatMulInteger16"),
  },
  {
    why: "weights in number formats that no tile and no reference holds",
    operators: inMicrosoft("MatMulFpQ4", "QuantizeBFP", "DequantizeBFP"),
  },
  {
    why: "attention of older model families in ONNX Runtime's own form: compile the model from before its optimiser",
    operators: inMicrosoft(
      "DecoderAttention",
      "GatedRelativePositionBias",
      "LongformerAttention",
      "RelativePositionBias",
    ),
  },
  {
    why: "not met in a transformer yet",
    operators: [
      "Det",
      ...inMicrosoft("BiasSoftmax", "BiasAdd", "NGramRepeatBlock"),
      ...inMicrosoft("MulInteger"),
    ],
  },
];

/** Whether the reader knows an operator: it is the first thing that it says of a file. */
export function isKnown(operator: string): boolean {
  const domain = operator.startsWith(MICROSOFT) ? "com.microsoft" : "";
  const opType = operator.slice(domain === "" ? 0 : MICROSOFT.length);
  const only = { ...node(opType, ["x"], ["y"]), domain };
  const graph = { input: [port("x", [2, 2])], output: [port("y", [2, 2])], node: [only] };
  try {
    readModel(write(graph, 23), { dims: {} });
    return true;
  } catch (e) {
    if (!(e instanceof InputError)) throw e;
    return !e.diagnostics.some((d) => d.code === "A105");
  }
}
