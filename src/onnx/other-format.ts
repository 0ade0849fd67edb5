/** What a file is that was given for a model and is none, by its first bytes. */

import { fail, inFile } from "../diag/diagnostic.ts";

interface Format {
  readonly what: string;
  readonly hint: string;
  readonly matches: (head: Buffer) => boolean;
}

const starts =
  (bytes: string, at = 0) =>
  (head: Buffer): boolean =>
    head.toString("latin1", at, at + bytes.length) === bytes;

const EXPORT = "export the model: torch.onnx.export, or optimum-cli export onnx";
const UNPACK = "unpack it, and give the .onnx file in it";

/** A header's length in 8 bytes, then a JSON object. */
const isSafetensors = (head: Buffer): boolean =>
  head.length > 9 && head.readBigUInt64LE(0) < 100_000_000n && starts('{"', 8)(head);

/** Printable all through: no model is, as its messages have lengths and tags. */
const isText = (head: Buffer): boolean =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what tells text from other bytes.
  head.length > 0 && !/[\u0000-\u0008\u000e-\u001f\u007f]/.test(head.toString("latin1"));

const FORMATS: readonly Format[] = [
  {
    what: "an empty file",
    hint: "its export or download was cut short: get it again",
    matches: (head) => head.length === 0,
  },
  {
    what: "a Git LFS pointer: it stands for a model that was not fetched",
    hint: "fetch it with git lfs pull, or download the file itself",
    matches: starts("version https://git-lfs"),
  },
  { what: "a safetensors file: weights without a graph", hint: EXPORT, matches: isSafetensors },
  {
    what: "a ZIP archive, as PyTorch's checkpoints are",
    hint: `${UNPACK}; from a checkpoint ${EXPORT}`,
    matches: starts("PK\u0003\u0004"),
  },
  { what: "an empty ZIP archive", hint: UNPACK, matches: starts("PK\u0005\u0006") },
  {
    what: "a Python pickle, as old PyTorch checkpoints are",
    hint: EXPORT,
    matches: (head) => starts("\u0080")(head) && (head[1] ?? 0) >= 2 && (head[1] ?? 9) <= 5,
  },
  { what: "a TensorFlow Lite model", hint: "convert it with tf2onnx", matches: starts("TFL3", 4) },
  {
    what: "a model in ONNX Runtime's own format",
    hint: "give the .onnx file that it was made from",
    matches: starts("ORTM", 4),
  },
  { what: "a GGUF file: weights without a graph", hint: EXPORT, matches: starts("GGUF") },
  {
    what: "an HDF5 file, as Keras writes them",
    hint: "convert it with tf2onnx",
    matches: starts("\u0089HDF"),
  },
  { what: "a compressed file", hint: UNPACK, matches: starts("\u001f\u008b") },
  { what: "a tar archive", hint: UNPACK, matches: starts("ustar", 257) },
  {
    what: "a web page",
    hint: "the download gave a page instead of the file: use the link to the file itself",
    matches: (head) => /^\s*<(!doctype html|html|head)/i.test(head.toString("latin1")),
  },
  { what: "a text file", hint: "give a binary .onnx file", matches: isText },
];

/** Bytes that are looked at. */
const HEAD = 512;

/** Errors: A131 where the file, of which these are the first bytes, is something that is known. */
export function refuseOtherFormat(bytes: Uint8Array, path: string): void {
  const head = Buffer.from(bytes.subarray(0, HEAD));
  const format = FORMATS.find((f) => f.matches(head));
  if (format) fail("A131", `this is ${format.what}`, inFile(path), format.hint);
}
