/** Numbers of the instructions for the interpreter, by their place in the table. */

import { INSTRUCTIONS } from "../riscv/table.ts";

/** Orderings of atomic accesses are one instruction here: harts take turns. */
const meant = (name: string): string => name.replace(/\.(?:aq|rl|aqrl)$/, "");

/** 0 is what has not been decoded yet, 1 what is no instruction. */
export const ILLEGAL = 1;

const NUMBERS = new Map(
  [...new Set(INSTRUCTIONS.map((i) => meant(i.name)))].map((n, i) => [n, i + 2]),
);

export const opcodeOf = (name: string): number => NUMBERS.get(meant(name)) ?? ILLEGAL;

/** The numbers as AssemblyScript, for scripts/build-iss.ts. */
export function opcodesSource(): string {
  const lines = [...NUMBERS].map(
    ([name, number]) => `export const ${name.toUpperCase().replaceAll(".", "_")}: i32 = ${number};`,
  );
  return [
    "/** Made from the instruction table by scripts/build-iss.ts; do not edit. */\n",
    ...lines,
    "",
  ].join("\n");
}
