/**
 * Compiles the instruction-set simulator's interpreter, src/iss/hart.as.ts, and writes it into src/iss/hart.gen.ts as
 * text, which is committed: neither a checkout nor the package needs this step. The numbers of its opcodes come from
 * the instruction table. `npm run build:iss`
 */

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { opcodesSource } from "../src/iss/opcodes.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The text of hart.gen.ts. */
export async function generate(): Promise<string> {
  const flags = ["--runtime", "stub", "--enable", "simd", "-O3", "--noAssert", "--importTable"];
  const files = new Map<string, Uint8Array>();
  const { error, stderr } = await asc.main(
    ["src/iss/hart.as.ts", "--baseDir", root, "--outFile", "hart.wasm", ...flags],
    { writeFile: (name, contents) => void files.set(name, Buffer.from(contents)) },
  );
  const wasm = files.get("hart.wasm");
  if (error || !wasm) throw new Error(`${error?.message}\n${stderr.toString()}`);
  const lines = (
    Buffer.from(wasm)
      .toString("base64")
      .match(/.{1,96}/g) ?? []
  ).map((l) => `  "${l}"`);
  return [
    "/** Made from hart.as.ts by scripts/build-iss.ts; do not edit. */\n",
    `export const HART_WASM =\n${lines.join(" +\n")};\n`,
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(`${root}/src/iss/opcodes.as.ts`, opcodesSource());
  writeFileSync(`${root}/src/iss/hart.gen.ts`, await generate());
}
