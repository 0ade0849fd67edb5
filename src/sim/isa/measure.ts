/** What a kernel in machine code takes on one cluster, with its operands in the TCDM where they fit. */

import { ENGINE_BASE, ENGINE_EVENT } from "../../artifact/matrix-engine.ts";
import { MAIN_BASE, PROGRAM_BASE, TCDM_BASE } from "../../artifact/programs.ts";
import { Cluster, clusterText, type Stop } from "../../iss/cluster.ts";
import { MAY } from "../../riscv/elf.ts";
import { assemble, instruction, type Line, label, loadConstant } from "../../riscv/listing.ts";
import type { Target } from "../../target/schema.ts";
import { fromNumbers } from "../../tensor/convert.ts";
import { bytesPer, type Elem, isFloat, sizeOf, toBytes } from "../../tensor/tensor.ts";
import { Barrier } from "./barrier.ts";
import { MatrixEngine } from "./matrix-engine.ts";
import { isOfEngine } from "./offload.ts";
import { coreTiming, timingOf } from "./timing.ts";

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
  const timing = coreTiming(target);
  const { cores } = request;
  const map = placed(request, target.cluster.tcdmKiB.value * 1024);
  const lines = [...callsOf(request, map.parameters), ...request.lines];
  const { bytes, symbols } = assemble(lines, PROGRAM_BASE);
  const text = { address: PROGRAM_BASE, bytes, size: bytes.length, may: MAY.read | MAY.execute };
  const machine = new Cluster(
    clusterText({ entry: PROGRAM_BASE, segments: [text], symbols }, timing),
    {
      cores,
      tcdm: { base: TCDM_BASE, bytes: map.tcdmBytes },
      main: { base: MAIN_BASE, bytes: map.mainBytes },
      timing,
      checked: false,
    },
  );
  for (const [i, address] of map.places.entries()) {
    const word = Uint8Array.from(new Uint8Array(Uint32Array.of(address).buffer));
    write(machine, map.parameters + i * WORD, word);
    const operand = request.operands[i];
    if (operand && address !== 0) write(machine, address, valuesOf(operand));
  }
  const { matrixEngine } = target.cluster;
  const tcdm = { base: TCDM_BASE, bytes: map.tcdmBytes };
  const engine = matrixEngine ? new MatrixEngine(matrixEngine, machine, tcdm) : null;
  return run({ machine, engine, target, cores }, most);
}

interface Bench {
  readonly machine: Cluster;
  readonly engine: MatrixEngine | null;
  readonly target: Target;
  readonly cores: number;
}

/** Meets all cores at each barrier; the first one is where the time begins. */
function run(bench: Bench, most: number): number | null {
  const { machine, target, cores } = bench;
  const barrier = new Barrier(target, cores);
  let begin: number | null = null;
  for (let end = 0; ; ) {
    const stops = Array.from({ length: cores }, (_, core) => untilMeeting(bench, core, most));
    if (stops.some((s) => s.kind === "budget")) return null;
    if (stops.every((s) => s.kind === "exit")) return end - (begin ?? 0);
    for (const [core, stop] of stops.entries()) {
      if (stop.kind !== "service" || stop.name !== "barrier") {
        throw new Error(`a kernel that is measured stopped with ${JSON.stringify(stop)}`);
      }
      end = barrier.arrive(core, machine.cycle(core), machine.takeAccesses(core)) ?? end;
    }
    for (const core of stops.keys()) machine.answer(core, 0, end);
    begin ??= end;
  }
}

/** Runs a core until it stops for something other than the matrix engine. */
function untilMeeting(bench: Bench, core: number, most: number): Stop {
  for (;;) {
    const stop = bench.machine.run(core, most);
    if (!bench.engine || !answered(bench, bench.engine, core, stop)) return stop;
  }
}

/** Whether it was the engine that the core asked. */
function answered({ machine, target }: Bench, engine: MatrixEngine, core: number, stop: Stop) {
  const now = machine.cycle(core);
  if (stop.kind === "service" && stop.name === "event.wait" && stop.a === ENGINE_EVENT) {
    const done = engine.doneAt(stop.b);
    if (done === null) return false;
    engine.settle(Math.max(now, done));
    machine.answer(core, engine.finished, Math.max(now, done) + 1);
    return true;
  }
  if ((stop.kind !== "read" && stop.kind !== "write") || !isOfEngine(stop.address)) return false;
  const offset = stop.address - ENGINE_BASE;
  if (stop.kind === "read") {
    const value = engine.read(offset, now);
    machine.answer(core, value, now + timingOf(target).loadLatency.value);
  } else {
    engine.write(offset, stop.value, now);
    machine.answer(core, 0, now + 1);
  }
  return true;
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
function placed({ operands, results, scratchBytes, cores }: CompiledRequest, tcdm: number) {
  const parameters = TCDM_BASE + cores * STACK_BYTES;
  const count = operands.length + results.length + 1;
  let near = padded(parameters + count * WORD);
  let far = MAIN_BASE;
  const sizes = [...[...operands, ...results].map((b) => (b ? bytesOf(b) : 0)), scratchBytes];
  const places = sizes.map((bytes, i) => {
    if (operands[i] === null) return 0;
    const fits = near + padded(bytes) <= TCDM_BASE + tcdm;
    const place = fits ? near : far;
    if (fits) near += padded(bytes);
    else far += padded(bytes);
    return place;
  });
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
