/**
 * A kernel with its operands as a bare program in user mode: it calls each phase once for every core, writes the results
 * to standard output, one behind the other, and exits with 0. The same file runs on any RISC-V machine with Linux's
 * system calls, so others can judge a kernel.
 */

import { MAY } from "../riscv/elf.ts";
import { writeElf } from "../riscv/elf-write.ts";
import { assemble, instruction, type Line, label, loadConstant } from "../riscv/listing.ts";
import { bytesPer, sizeOf, type Tensor, toBytes } from "../tensor/tensor.ts";
import { compileKernel } from "./compile-kernel.ts";
import type { Block, KernelRequest } from "./kernel.ts";

const TEXT = 0x10000;
const PAGE = 4096;
/** Values begin at multiples of this, as buffers in a cluster's memory do. */
const ALIGN = 16;
const WORD = 4;
const [RA, A0, A1, A2, A7] = [1, 10, 11, 12, 17];
const [STDOUT, WRITE, EXIT] = [1, 64, 93];

export interface Standalone {
  readonly elf: Buffer;
  readonly lines: readonly Line[];
  /** Of the kernel's text. */
  readonly kernelBytes: number;
  /** Where each result begins in what is written. */
  readonly offsets: readonly number[];
}

/** Operands are tensors of the request's types; `grown` is how many elements growing axes have. Errors: KernelGap. */
export function standalone(
  request: KernelRequest,
  operands: readonly (Tensor | null)[],
  grown = 0,
): Standalone {
  const kernel = compileKernel(request, "kernel");
  const start = (params: number, results: number, bytes: number): readonly Line[] => [
    label("_start"),
    ...kernel.phases.flatMap((phase) =>
      Array.from({ length: request.cores }, (_, core) => call(phase, params, core)).flat(),
    ),
    instruction("addi", A0, 0, STDOUT),
    ...loadConstant(A1, results),
    ...loadConstant(A2, bytes),
    instruction("addi", A7, 0, WRITE),
    instruction("ecall"),
    instruction("addi", A0, 0, 0),
    instruction("addi", A7, 0, EXIT),
    instruction("ecall"),
    ...kernel.lines,
  ];
  // Addresses may take one instruction or two: the text is at most as long as with the longest of them.
  const { bytes: longest } = assemble(start(-1 >>> 1, -1 >>> 1, -1 >>> 1), TEXT);
  const data = Math.ceil((TEXT + longest.length) / PAGE) * PAGE;
  const given = operands.map((t) => (t === null ? 0 : padded(t.data.byteLength)));
  const wanted = request.results.map((r) => padded(bytesOf(r)));
  const words = operands.length + wanted.length + 1;
  const places = running(data + padded((words + 1) * WORD), [
    ...given,
    ...wanted,
    kernel.scratchBytes,
  ]);
  const results = places[given.length] ?? data;
  const lines = start(data, results, sum(wanted));
  const { bytes: text, symbols } = assemble(lines, TEXT);
  const memory = Buffer.alloc(results - data);
  for (const [i, place] of places.slice(0, words).entries()) {
    memory.writeUInt32LE(operands[i] === null ? 0 : place, i * WORD);
    const operand = operands[i];
    if (operand) memory.set(toBytes(operand), place - data);
  }
  memory.writeUInt32LE(grown, words * WORD);
  const size = (places.at(-1) ?? results) - data;
  const elf = writeElf({
    entry: TEXT,
    segments: [
      { name: ".text", address: TEXT, bytes: text, size: text.length, may: MAY.read | MAY.execute },
      { name: ".data", address: data, bytes: memory, size, may: MAY.read | MAY.write },
    ],
    symbols,
  });
  const kernelBytes = WORD * kernel.lines.filter((l) => l.kind === "instruction").length;
  return { elf, lines, kernelBytes, offsets: running(0, wanted).slice(0, -1) };
}

const call = (phase: string, params: number, core: number): readonly Line[] => [
  ...loadConstant(A0, params),
  instruction("addi", A1, 0, core),
  instruction("jal", RA, phase),
];

const padded = (bytes: number): number => Math.ceil(bytes / ALIGN) * ALIGN;
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const bytesOf = ({ elem, shape }: Block): number => bytesPer(elem) * sizeOf(shape);

/** Where things of these sizes begin, one behind the other, and where the last ends. */
function running(start: number, sizes: readonly number[]): readonly number[] {
  const places = [start];
  for (const size of sizes) places.push((places.at(-1) ?? start) + size);
  return places;
}
