/**
 * Writes a model of the shape of a known one, with random weights or, as a sparse file, none:
 *
 *   npx tsx bench/models/write.ts NAME FILE.onnx [--layers N] [--tokens N] [--f16] [--sparse]
 *
 * NAME is bert-base, bert-large, llama-3-8b, olmoe-1b-7b or olmoe-1b-7b-loop. The weights go to FILE.onnx.data.
 */

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { type ModelName, modelFile, NAMES } from "./shapes.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    layers: { type: "string" },
    tokens: { type: "string", default: "128" },
    f16: { type: "boolean", default: false },
    sparse: { type: "boolean", default: false },
  },
});
const [name = "", path = ""] = positionals;
const isName = (text: string): text is ModelName => (NAMES as readonly string[]).includes(text);
if (!isName(name) || path === "") {
  process.stderr.write(`usage: write.ts ${NAMES.join("|")} FILE.onnx [--layers N] [--tokens N]\n`);
  process.exit(2);
}
const file = modelFile(name, {
  ...(values.layers !== undefined && { layers: Number(values.layers) }),
  tokens: Number(values.tokens),
  elem: values.f16 ? "f16" : "f32",
});
mkdirSync(dirname(path), { recursive: true });
file.write(path, values.sparse ? "sparse" : "random");
process.stdout.write(`${path}: ${file.parameters} parameters, ${file.bytes} bytes of weights\n`);
