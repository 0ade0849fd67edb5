/** Operators that are not supported: one message for all of a kind, with what can be done about them. */

import { expect, test } from "vitest";
import { InputError } from "../../src/diag/diagnostic.ts";
import type { NodeProto } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { node, port, ramp, write } from "./small-model.ts";

const STATISTICS = ["scale", "bias", "mean", "variance"];

function refusal(nodes: readonly NodeProto[], opset = 17): InputError["diagnostics"] {
  const path = write(
    {
      input: [port("x", [2, 3])],
      output: [{ name: "y" }],
      node: [...nodes],
      initializer: STATISTICS.map((name) => toProto(name, ramp([3]))),
    },
    opset,
  );
  try {
    readModel(path, { dims: {} });
  } catch (e) {
    if (e instanceof InputError) return e.diagnostics;
    throw e;
  }
  throw new Error("the model was accepted");
}

const chained = (...operators: readonly (readonly [string, string?])[]): NodeProto[] =>
  operators.map(([op, domain = ""], i) => {
    const last = i === operators.length - 1;
    return { ...node(op, [i === 0 ? "x" : `t${i}`], [last ? "y" : `t${i + 1}`]), domain };
  });

test.each([
  [["LSTM"], /LSTM of opset 17 \(node 'lstm_of_y'\) is not supported: a recurrent layer/],
  [["RandomNormalLike"], /drawn at random/],
  [["Bernoulli"], /drawn at random/],
  [["StringNormalizer"], /no tensor of the machine holds strings/],
  [["TreeEnsemble", "ai.onnx.ml"], /ai\.onnx\.ml\.TreeEnsemble \(node .*no neural network/],
  [["Gradient", "ai.onnx.preview.training"], /belongs to training/],
  [["STFT"], /spectra/],
  [
    ["Conv", "com.microsoft.nchwc"],
    /com\.microsoft\.nchwc\.Conv \(node .*vectors of the processor/,
  ],
  [["BeamSearch", "com.microsoft"], /search for text/],
  [["PackedMultiHeadAttention", "com.microsoft"], /depends on data, and only GPUs/],
  [["RemovePadding", "com.microsoft"], /depends on data, and only GPUs/],
  [["QOrderedMatMul", "com.microsoft"], /one kind of processor/],
  [["DecoderMaskedSelfAttention", "com.microsoft"], /one buffer of past and present/],
  [["SparseAttention", "com.microsoft"], /one buffer of past and present/],
] as const)("%j says why", (operator, text) => {
  const [fault] = refusal(chained(operator));
  expect(fault?.code).toBe("A105");
  expect(fault?.text).toMatch(text);
  expect(fault?.hint).not.toContain("docs/errors");
});

test("operators of one kind are one message, of several kinds several", () => {
  const faults = refusal(chained(["LSTM"], ["Relu"], ["GRU"], ["Wave", "com.example"], ["GRU"]));
  expect(faults.map((f) => f.text)).toEqual([
    expect.stringMatching(
      /^operators LSTM of opset 17 \(node 'lstm_of_t1'\), GRU of opset 17 \(2 nodes, the first is 'gru_of_t3'\) are/,
    ),
    "operator com.example.Wave (node 'wave_of_t4') is not supported",
  ]);
});

test.each([
  ["an attribute", 15, ["y"], { training_mode: 1 }],
  ["statistics among its results", 9, ["y", "m", "v"], {}],
] as const)("a batch norm that learns, as %s says, is refused", (_, opset, outputs, attrs) => {
  const made = node("BatchNormalization", ["x", ...STATISTICS], outputs, attrs);
  const [fault] = refusal([made], opset);
  expect(fault?.text).toMatch(/BatchNormalization in training mode of opset/);
  expect(fault?.hint).toMatch(/model\.eval/);
});
