/**
 * How long a cluster takes for a kernel: its machine code is run on the cluster's cores, with operands and results in
 * the TCDM as far as there is room. Values are drawn, so what depends on them (which experts are chosen) is an example.
 */

import { MAIN_BASE, PROGRAM_BASE, TCDM_BASE } from "../artifact/programs.ts";
import { compileKernel } from "../codegen/compile-kernel.ts";
import { isaOf } from "../codegen/isa.ts";
import { type Block, constantBlock, KernelGap, type KernelRequest } from "../codegen/kernel.ts";
import { Cluster, clusterText } from "../iss/cluster.ts";
import { MAY } from "../riscv/elf.ts";
import { assemble, instruction, type Line, loadConstant } from "../riscv/listing.ts";
import { Barrier } from "../sim/isa/barrier.ts";
import { coreTiming } from "../sim/isa/timing.ts";
import type { Target } from "../target/schema.ts";
import { bytesPer, type Elem, sizeOf, type Tensor, toBytes } from "../tensor/tensor.ts";
import { drawn } from "./drawn.ts";

/** A kernel's name, attributes and types, and the constants among its operands that are at hand. */
export interface MeasuredCall {
  readonly kernel: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly operands: readonly ((Sized & { readonly constant?: Tensor }) | null)[];
  readonly results: readonly Sized[];
}

interface Sized {
  readonly elem: Elem;
  readonly shape: readonly number[];
}

const WORD = 4;
const ALIGN = 64;
const STACK_BYTES = 2048;
const [SP, RA, T0, A0, A1, A7] = [2, 1, 5, 10, 11, 17];
const HART = 0xf14;
const EXIT = 93;
/** A kernel that takes longer is not measured: a compiler should not wait for it. */
const MOST_CYCLES = 2e7;
/** Nor one with so many bytes of operands. */
const MOST_BYTES = 2 ** 28;

/** Measures kernels on the cluster of a target, each kind once. Gives null for those that it cannot. */
export function measurerOf(target: Target): (call: MeasuredCall) => number | null {
  const known = new Map<string, number | null>();
  return (call) => {
    const request = requestOf(call, target);
    const key = JSON.stringify([request.kernel, request.attrs, request.operands, request.results]);
    const found = known.get(key);
    if (found !== undefined) return found;
    const cycles = measureKernel(request, call, target);
    known.set(key, cycles);
    return cycles;
  };
}

function requestOf({ kernel, attrs, operands, results }: MeasuredCall, target: Target) {
  const blocks = operands.map((o): Block | null => {
    if (!o) return null;
    const { constant, elem, shape } = o;
    return constant && sizeOf(constant.shape) === sizeOf(shape)
      ? constantBlock(constant, () => constant)
      : { elem, shape };
  });
  const { cores, isa } = target.cluster;
  return { kernel, attrs, operands: blocks, results, isa: isaOf(isa), cores: cores.value };
}

function measureKernel(request: KernelRequest, call: MeasuredCall, target: Target): number | null {
  try {
    const kernel = compileKernel(request, "kernel");
    const map = place(request, kernel.scratchBytes, target);
    if (map.mainBytes > MOST_BYTES) return null;
    const { bytes, symbols } = assemble(
      [...start(kernel.phases, map.parameters), ...kernel.lines],
      PROGRAM_BASE,
    );
    const may = MAY.read | MAY.execute;
    const timing = coreTiming(target);
    const text = { address: PROGRAM_BASE, bytes, size: bytes.length, may };
    const program = { entry: PROGRAM_BASE, segments: [text], symbols };
    const cluster = new Cluster(clusterText(program, timing), {
      cores: request.cores,
      tcdm: { base: TCDM_BASE, bytes: target.cluster.tcdmKiB.value * 1024 },
      main: { base: MAIN_BASE, bytes: map.mainBytes },
      timing,
      checked: false,
    });
    fill(cluster, request, call, map);
    return run(cluster, new Barrier(target, request.cores), request.cores);
  } catch (e) {
    if (e instanceof KernelGap) return null;
    throw e;
  }
}

interface Places {
  /** Address of the list of addresses; stacks lie below it. */
  readonly parameters: number;
  /** Of operands, results and scratch memory; 0 for what is absent. */
  readonly addresses: readonly number[];
  readonly mainBytes: number;
}

/** What is written and small comes first; what does not fit the TCDM lies in main memory, as in programs. */
function place(
  { operands, results, cores }: KernelRequest,
  scratch: number,
  target: Target,
): Places {
  const bytes = (b: Block | null): number =>
    b === null ? 0 : Math.ceil((bytesPer(b.elem) * sizeOf(b.shape)) / ALIGN) * ALIGN;
  const sizes = [...[...operands, ...results].map(bytes), scratch];
  const parameters = TCDM_BASE + cores * STACK_BYTES;
  let tcdm = parameters + Math.ceil((sizes.length * WORD) / ALIGN) * ALIGN;
  let main = MAIN_BASE;
  const end = TCDM_BASE + target.cluster.tcdmKiB.value * 1024;
  const addresses = sizes.map(() => 0);
  for (const [i, size] of [...sizes.entries()].sort(([, a], [, b]) => a - b)) {
    if (i < operands.length && operands[i] === null) continue;
    const fits = tcdm + size <= end;
    addresses[i] = fits ? tcdm : main;
    if (fits) tcdm += size;
    else main += size;
  }
  return { parameters, addresses, mainBytes: main - MAIN_BASE };
}

/** Each core runs the phases and waits for the others behind each. */
const start = (phases: readonly string[], parameters: number): readonly Line[] => [
  instruction("csrrs", T0, HART, 0),
  instruction("addi", T0, T0, 1),
  ...loadConstant(SP, STACK_BYTES),
  instruction("mul", T0, T0, SP),
  ...loadConstant(SP, TCDM_BASE),
  instruction("add", SP, SP, T0),
  ...phases.flatMap((phase) => [
    ...loadConstant(A0, parameters),
    instruction("csrrs", A1, HART, 0),
    instruction("jal", RA, phase),
    instruction("barrier", 0, 0, 0),
  ]),
  instruction("addi", A7, 0, EXIT),
  instruction("addi", A0, 0, 0),
  instruction("ecall"),
];

function fill(cluster: Cluster, request: KernelRequest, call: MeasuredCall, map: Places): void {
  const words = Buffer.alloc(map.addresses.length * WORD);
  for (const [i, address] of map.addresses.entries()) words.writeUInt32LE(address, i * WORD);
  write(cluster, map.parameters, words);
  for (const [i, block] of request.operands.entries()) {
    if (!block) continue;
    const constant = call.operands[i]?.constant;
    const isWhole = constant && sizeOf(constant.shape) === sizeOf(block.shape);
    const value = isWhole ? constant : drawn(block, i);
    write(cluster, map.addresses[i] ?? 0, toBytes(value));
  }
}

function write(cluster: Cluster, address: number, bytes: Uint8Array): void {
  const room = cluster.room(address, bytes.length);
  if (!(room instanceof Uint8Array)) throw new Error(`no room at ${address}`);
  room.set(bytes);
}

/** Cycles until all cores have ended; null where that takes too long. */
function run(cluster: Cluster, barrier: Barrier, cores: number): number | null {
  for (;;) {
    const opened = phase(cluster, barrier, cores);
    const now = Math.max(...range(cores).map((core) => cluster.cycle(core)));
    if (opened === "late" || now > MOST_CYCLES) return null;
    if (opened === "ended") return now;
    for (const core of range(cores)) cluster.answer(core, 0, opened);
  }
}

/** Lets every core run to the next barrier, and gives when it opens. */
function phase(cluster: Cluster, barrier: Barrier, cores: number): number | "ended" | "late" {
  let opened: number | "ended" = "ended";
  for (const core of range(cores)) {
    const stop = cluster.run(core, MOST_CYCLES);
    if (stop.kind === "budget") return "late";
    if (stop.kind === "exit") continue;
    if (stop.kind !== "service") throw new Error(`a kernel stopped: ${JSON.stringify(stop)}`);
    opened = barrier.arrive(core, cluster.cycle(core), cluster.takeAccesses(core)) ?? opened;
  }
  return opened;
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
