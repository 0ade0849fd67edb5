/** What a kernel in machine code takes on one cluster, with its operands in the TCDM where they fit. */

import { MAIN_BASE, PROGRAM_BASE, TCDM_BASE } from "../../artifact/programs.ts";
import { Cluster } from "../../iss/cluster.ts";
import { clusterText } from "../../iss/cluster-text.ts";
import { MAY } from "../../riscv/elf.ts";
import { assemble, instruction, type Line, label, loadConstant } from "../../riscv/listing.ts";
import type { Target } from "../../target/schema.ts";
import { fromNumbers } from "../../tensor/convert.ts";
import { bytesPer, type Elem, isFloat, sizeOf, toBytes } from "../../tensor/tensor.ts";
import { Bench } from "./bench.ts";
import { coreTiming } from "./timing.ts";

interface Block {
  readonly elem: Elem;
  readonly shape: readonly number[];
  /** Of a constant for whose values the kernel was made. */
  readonly values?: readonly number[];
}

/** A kernel that has been compiled (codegen), and what it was compiled for. */
export interface CompiledRequest {
  /** Labels of its phases, which are called as src/codegen/kernel.ts says. */
  readonly phases: readonly string[];
  readonly lines: readonly Line[];
  readonly scratchBytes: number;
  /** The scratch memory has to lie in the TCDM. */
  readonly near: boolean;
  readonly operands: readonly (Block | null)[];
  readonly results: readonly Block[];
  readonly cores: number;
}

const ALIGN = 16;
const WORD = 4;
const STACK_BYTES = 2048;
const [RA, SP, GP, TP, A0, A1, A7] = [1, 2, 3, 4, 10, 11, 17];
const MHARTID = 0xf14;
const EXIT = 93;

/**
 * Cycles from the call of the first phase until all cores have finished the last, barriers between phases included.
 * Where time depends on values, these are small numbers of both signs; integers are 0 and truths true. null where it
 * takes more than `most` cycles. Errors: A624.
 */
export function measureKernel(
  request: CompiledRequest,
  target: Target,
  most: number,
): number | null {
  return ranKernel(request, target, most)?.cycles ?? null;
}

export interface RanKernel {
  readonly cycles: number;
  readonly results: readonly Uint8Array[];
}

/** The same with its results, and with operands of one's own where they are given. */
export function ranKernel(
  request: CompiledRequest,
  target: Target,
  most: number,
  operands: readonly (Uint8Array | null)[] = request.operands.map((o) => o && valuesOf(o)),
): RanKernel | null {
  const timing = coreTiming(target);
  const { cores } = request;
  const map = placed(request, target.cluster.tcdmKiB.value * 1024);
  const lines = [...callsOf(request, map.parameters), ...request.lines];
  const { bytes, symbols } = assemble(lines, PROGRAM_BASE);
  const text = { address: PROGRAM_BASE, bytes, size: bytes.length, may: MAY.read | MAY.execute };
  const tcdm = { base: TCDM_BASE, bytes: map.tcdmBytes };
  const machine = new Cluster(
    clusterText({ entry: PROGRAM_BASE, segments: [text], symbols }, timing),
    {
      cores,
      tcdm,
      main: { base: MAIN_BASE, bytes: map.mainBytes },
      timing,
      checked: false,
    },
  );
  for (const [i, address] of map.places.entries()) {
    const word = Uint8Array.from(new Uint8Array(Uint32Array.of(address).buffer));
    write(machine, map.parameters + i * WORD, word);
    const operand = operands[i];
    if (operand && address !== 0) write(machine, address, operand);
  }
  const cycles = new Bench(machine, target, cores, tcdm).run(most);
  if (cycles === null) return null;
  const results = request.results.map((block, i) => {
    const found = machine.read(map.places[request.operands.length + i] ?? 0, bytesOf(block));
    return found instanceof Uint8Array ? Uint8Array.from(found) : new Uint8Array();
  });
  return { cycles, results };
}

function callsOf({ phases }: CompiledRequest, parameters: number): readonly Line[] {
  return [
    label("_start"),
    instruction("csrrs", TP, MHARTID, 0),
    ...loadConstant(SP, TCDM_BASE + STACK_BYTES),
    instruction("slli", GP, TP, Math.log2(STACK_BYTES)),
    instruction("add", SP, SP, GP),
    ...loadConstant(GP, parameters),
    instruction("barrier", 0, 0, 0),
    ...phases.flatMap((phase) => [
      instruction("addi", A0, GP, 0),
      instruction("addi", A1, TP, 0),
      instruction("jal", RA, phase),
      instruction("barrier", 0, 0, 0),
    ]),
    instruction("addi", A0, 0, 0),
    instruction("addi", A7, 0, EXIT),
    instruction("ecall"),
  ];
}

/** Stacks, the list of addresses, and what they point at: in the TCDM as long as that holds it. */
function placed(
  { operands, results, scratchBytes, near: inTcdm, cores }: CompiledRequest,
  tcdm: number,
) {
  const parameters = TCDM_BASE + cores * STACK_BYTES;
  const count = operands.length + results.length + 1;
  let near = padded(parameters + count * WORD);
  let far = MAIN_BASE;
  // What has to be near comes first; else what is read first.
  const first = inTcdm ? near : null;
  if (inTcdm) near += padded(scratchBytes);
  const sizes = [...operands, ...results].map((b) => (b ? bytesOf(b) : 0));
  const places = [...sizes, ...(inTcdm ? [] : [scratchBytes])].map((bytes, i) => {
    if (operands[i] === null) return 0;
    const fits = near + padded(bytes) <= TCDM_BASE + tcdm;
    const place = fits ? near : far;
    if (fits) near += padded(bytes);
    else far += padded(bytes);
    return place;
  });
  if (first !== null) places.push(first);
  return { parameters, places, tcdmBytes: near - TCDM_BASE, mainBytes: far - MAIN_BASE };
}

const padded = (bytes: number): number => Math.ceil(bytes / ALIGN) * ALIGN;
const bytesOf = ({ elem, shape }: Block): number => bytesPer(elem) * sizeOf(shape);

function valuesOf({ elem, shape, values }: Block): Uint8Array {
  if (values) return toBytes(fromNumbers(elem, shape, [...values]));
  const value = (i: number): number => ((i % 17) - 8) / 8;
  const of = isFloat(elem) ? value : () => (elem === "i1" ? 1 : 0);
  const numbers = Array.from({ length: sizeOf(shape) }, (_, i) => of(i));
  return toBytes(fromNumbers(elem, shape, numbers));
}

function write(machine: Cluster, address: number, bytes: Uint8Array): void {
  const room = machine.room(address, bytes.length);
  if (room instanceof Uint8Array) room.set(bytes);
}
