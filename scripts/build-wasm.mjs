/**
 * Compiles src/wasm/kernels.as.ts and writes it into src/wasm/kernels.gen.ts as text, which is committed:
 * neither a checkout nor the package needs this step. `node scripts/build-wasm.mjs`
 */

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = "src/wasm/kernels.as.ts";

/** The text of kernels.gen.ts. */
export async function generate() {
  const flags = [
    "--runtime",
    "stub",
    "--enable",
    "simd",
    "--enable",
    "threads",
    "--importMemory",
    "--sharedMemory",
    "--maximumMemory",
    "65536",
    "-O3",
    "--noAssert",
  ];
  const files = new Map();
  const { error, stderr } = await asc.main(
    [source, "--baseDir", root, "--outFile", "kernels.wasm", ...flags],
    { writeFile: (name, contents) => void files.set(name, contents) },
  );
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  const base64 = Buffer.from(files.get("kernels.wasm")).toString("base64");
  const lines = base64.match(/.{1,96}/g).map((line) => `  "${line}"`);
  return [
    "/** Made from kernels.as.ts by scripts/build-wasm.mjs; do not edit. */\n",
    `export const KERNELS_WASM =\n${lines.join(" +\n")};\n`,
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(`${root}/src/wasm/kernels.gen.ts`, await generate());
}
