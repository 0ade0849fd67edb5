/** What the cores of a cluster understand, from the ISA string of their target. */

import { EXTENSIONS } from "../riscv/table.ts";

export interface Isa {
  /** As the target has it. */
  readonly text: string;
  /** F: kernels compute in single precision. */
  readonly float: boolean;
  /** Zve32f, with registers of 128 bits. */
  readonly vector: boolean;
  /** Zba: addresses of elements in one instruction. */
  readonly zba: boolean;
  readonly zbb: boolean;
  readonly zfh: boolean;
  /** Xssr and Xfrep: operands of floats come from streams, and what computes on them is repeated. */
  readonly streams: boolean;
}

/** Extensions that say nothing about instructions, or that others contain. */
const ALSO = [
  "zicsr",
  "zifencei",
  "zicntr",
  "zve32x",
  "zvl32b",
  "zvl64b",
  "zvl128b",
  "zfhmin",
  "c",
];
const KNOWN = new Set([...EXTENSIONS.map(({ name }) => name.toLowerCase()), ...ALSO]);

/** What is wrong with an ISA string, as the end of a sentence; null where kernels can be made for it. */
export function isaFault(text: string): string | null {
  const names = extensionsIn(text);
  if (names === null) return "is not one of RV32I: it has to begin with rv32i";
  const unknown = names.find((n) => !KNOWN.has(n));
  if (unknown !== undefined) return `names the extension ${unknown}, which is not known`;
  if (!names.includes("f")) return "has no F: kernels compute in single precision";
  if (!names.includes("m")) return "has no M: kernels multiply addresses";
  return null;
}

/** Errors: one that isaFault finds a fault in is a fault of the caller. */
export function isaOf(text: string): Isa {
  const fault = isaFault(text);
  if (fault !== null) throw new Error(`the ISA string ${text} ${fault}`);
  const names = new Set(extensionsIn(text));
  return {
    text,
    float: true,
    vector: names.has("zve32f"),
    zba: names.has("zba"),
    zbb: names.has("zbb"),
    zfh: names.has("zfh"),
    streams: names.has("xssr") && names.has("xfrep"),
  };
}

/** Names of the extensions, `i` first; null where it is no such string. Versions are not read. */
function extensionsIn(text: string): readonly string[] | null {
  const match = /^rv32(i[a-y]*)((?:_?[zx][a-z0-9]+)?(?:_[zx]?[a-z0-9]+)*)$/.exec(
    text.toLowerCase(),
  );
  if (!match) return null;
  const [, letters = "", longer = ""] = match;
  return [...letters, ...longer.split("_").filter((n) => n !== "")];
}
