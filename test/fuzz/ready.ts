/** Good files of every kind that aimcc reads, to be damaged: made once, from small models of the corpus. */

import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "../../src/cli/build.ts";
import { readTensorFile, writeProtoFile } from "../../src/data/tensor-file.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { toBytes } from "../../src/tensor/tensor.ts";

const CLOSED = "test/corpus/deeploy_CCT_1_16_16_8";
const OPEN = "test/corpus/distilbert_dynamic_t113hf433/model.onnx";

const POLICY = `rules:
  - { module: "h.*.mlp.**", place: digital, why: "it is small" }
  - { kind: attention-projection, place: analog }
  - { kind: head, place: digital, why: 'noise' }
`;

/** Fills `folder` where that has not been done. */
export async function makeReady(folder: string): Promise<void> {
  if (existsSync(join(folder, "done"))) return;
  mkdirSync(join(folder, "inputs/data"), { recursive: true });
  const model = join(folder, "model.onnx");
  cpSync(join(CLOSED, "model.onnx"), model);
  cpSync(OPEN, join(folder, "open.onnx"));
  writeFileSync(join(folder, "policy.yaml"), POLICY);
  await build(
    {
      model,
      target: "ahwa-lora",
      output: join(folder, "artifact"),
      dims: {},
      data: undefined,
      policy: loadPolicy("default"),
      lora: { kind: "fresh", rank: 2, alpha: 8 },
      tokens: 4,
      seed: 0,
      dump: "all",
      verifyEach: false,
    },
    () => undefined,
  );
  inputs(folder);
  writeFileSync(join(folder, "done"), "");
}

/** The recorded input, in each format, under the name of the model's input. */
function inputs(folder: string): void {
  const [port] = loadArtifact(join(folder, "artifact")).manifest.model.inputs;
  const [given] = readTensorFile(join(CLOSED, "test_data_set_0/input_0.pb"));
  if (!port || !given) throw new Error(`${CLOSED} has no input`);
  writeFileSync(join(folder, "input-name"), port.name);
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': (${given.value.shape.join(", ")}), }`;
  const header = Buffer.from(dict.padEnd(118, " ").slice(0, 117).concat("\n"), "latin1");
  const start = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length, 0]);
  const npy = Buffer.concat([start, header, toBytes(given.value)]);
  writeFileSync(join(folder, "inputs/x.npy"), npy);
  writeFileSync(join(folder, "inputs/x.npz"), zip(`${port.name}.npy`, npy));
  for (const file of ["x.pb", "data/input_0.pb"]) {
    writeProtoFile(join(folder, "inputs", file), port.name, given.value);
  }
}

/** A ZIP file with one stored entry: PKWARE's APPNOTE 6.3. The checksum is not looked at. */
function zip(name: string, content: Buffer): Buffer {
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  for (const [head, at] of [
    [local, 18],
    [central, 20],
  ] as const) {
    head.writeUInt32LE(content.length, at);
    head.writeUInt32LE(content.length, at + 4);
    head.writeUInt16LE(name.length, at + 8);
  }
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(30 + name.length + content.length, 16);
  return Buffer.concat([local, Buffer.from(name), content, central, Buffer.from(name), end]);
}
