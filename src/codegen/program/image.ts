/** A cluster's program as a file and as a source: tables, kernels, control. */

import { PROGRAM_BASE, TCDM_BASE } from "../../artifact/programs.ts";
import { type ElfSymbol, MAY } from "../../riscv/elf.ts";
import { type NamedSegment, writeElf } from "../../riscv/elf-write.ts";
import { assemble, sourceHead, statements } from "../../riscv/listing.ts";
import { controlLines, START } from "./control.ts";
import type { KernelFunction } from "./kernels.ts";
import { FIXED, type MemoryMap } from "./memory-map.ts";
import type { Setting } from "./step-code.ts";
import type { StepPlan } from "./step-plan.ts";
import { padded } from "./store.ts";

const WORD = 4;

export interface Image {
  readonly elf: Buffer;
  /** A source for GNU as that gives the same text; it includes those of the kernels. */
  readonly assembly: () => string;
  readonly kernels: readonly KernelFunction[];
}

/** `placeOf` says where rings and constants lie, as the cluster sees them. */
export function imageOf(
  steps: readonly StepPlan[],
  map: MemoryMap,
  placeOf: Setting["placeOf"],
  isa: string,
): Image {
  const kernels = [...new Map(steps.flatMap((s) => s.kernels.map((k) => [k.name, k]))).values()];
  const { tables, end } = tablesOf(steps);
  const places = new Map<string, number>();
  let at = padded(end);
  const base = at;
  for (const { name, bytes } of kernels) {
    places.set(name, at);
    at += bytes.length;
  }
  const kernelAt = (name: string): number => places.get(name) ?? 0;
  const lines = controlLines(steps, { map, placeOf, tables, kernelAt });
  const control = assemble(lines, at);
  const text = Buffer.concat([...kernels.map((k) => k.bytes), control.bytes]);
  const words = [...tables].flatMap(([{ kernels: k }]) => k.map(({ name }) => kernelAt(name)));
  const constants = Buffer.from(Uint32Array.from(words).buffer);
  const start = control.symbols.find((s) => s.name === START)?.address ?? at;
  const elf = writeElf({
    entry: start,
    segments: segmentsOf(constants, { base, bytes: text }, map.dataBytes),
    symbols: symbolsOf(kernels, places, control.symbols),
  });
  const assembly = (): string => sourceOf(kernels, statements(lines), { base, end }, words, isa);
  return { elf, assembly, kernels };
}

/** Kernels by token block, for the steps that have different ones. */
function tablesOf(steps: readonly StepPlan[]): {
  readonly tables: ReadonlyMap<StepPlan, number>;
  readonly end: number;
} {
  const tables = new Map<StepPlan, number>();
  let end = PROGRAM_BASE;
  for (const step of steps) {
    if (new Set(step.kernels).size <= 1) continue;
    tables.set(step, end);
    end += step.kernels.length * WORD;
  }
  return { tables, end };
}

function segmentsOf(
  constants: Buffer,
  text: { readonly base: number; readonly bytes: Buffer },
  dataBytes: number,
): readonly NamedSegment[] {
  const of = (name: string, address: number, bytes: Buffer, may: number): NamedSegment[] =>
    bytes.length === 0 ? [] : [{ name, address, bytes, size: bytes.length, may }];
  return [
    ...of(".rodata", PROGRAM_BASE, constants, MAY.read),
    ...of(".text", text.base, text.bytes, MAY.read | MAY.execute),
    {
      name: ".bss",
      address: TCDM_BASE,
      bytes: Buffer.alloc(0),
      size: dataBytes,
      may: MAY.read | MAY.write,
    },
  ];
}

/** Functions, and the words that others look at; not the labels of loops. */
function symbolsOf(
  kernels: readonly KernelFunction[],
  places: ReadonlyMap<string, number>,
  control: readonly ElfSymbol[],
): readonly ElfSymbol[] {
  const functions = kernels.map(({ name, bytes }): ElfSymbol => {
    return { name, address: places.get(name) ?? 0, size: bytes.length, kind: "function" };
  });
  const labels = control.filter(({ name }) => !/\.\d+$/.test(name));
  const words = Object.entries(FIXED).map(([name, address]): ElfSymbol => {
    return { name, address, size: WORD, kind: "object" };
  });
  return [...functions, ...labels.map((s) => ({ ...s, kind: "function" as const })), ...words];
}

/** The source of a kernel, beside those of the programs. */
export const kernelFile = ({ name }: KernelFunction): string => `kernels/${name}.S`;

function sourceOf(
  kernels: readonly KernelFunction[],
  control: string,
  { base, end }: { readonly base: number; readonly end: number },
  words: readonly number[],
  isa: string,
): string {
  const tables = words.map((w) => `  .word ${hex(w)}`);
  return [
    `# .rodata lies at ${hex(PROGRAM_BASE)}, .text at ${hex(base)}, data at ${hex(TCDM_BASE)}.`,
    ...Object.entries(FIXED).map(([name, address]) => `.equ ${name}, ${hex(address)}`),
    ...(end === PROGRAM_BASE ? [] : [".section .rodata", ...tables]),
    ...sourceHead(isa),
    ...kernels.map((k) => `.include "${kernelFile(k)}"`),
    control,
    "",
  ].join("\n");
}

const hex = (n: number): string => `0x${n.toString(16)}`;
