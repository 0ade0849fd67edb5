/** What a program of a machine did that it may not do, or waits for in vain, in words. */

import { ENGINE_EVENT } from "../../artifact/matrix-engine.ts";
import { EVENTS_BASE } from "../../artifact/programs.ts";
import { type Diagnostic, InputError } from "../../diag/diagnostic.ts";
import type { Fault } from "../../iss/cluster-memory.ts";
import { STOP } from "../../iss/interpreter.ts";
import { placeInText, streamFault } from "../../iss/trap.ts";
import { disassemble } from "../../riscv/disassemble.ts";
import { placeOf, type Source, showStep } from "../faults.ts";
import type { Process } from "../processes.ts";
import type { Host } from "./host.ts";
import type { Node } from "./node.ts";

/** Lines that a message has at most. */
const SHOWN = 12;
/** An area is near an address that is so many bytes from it. */
const NEAR = 4096;

const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;

/** Errors: A621, always. */
export function stopAt(
  source: Source,
  node: Node,
  core: number,
  what: string,
  address?: number,
): never {
  const pc = node.machine.pc(core);
  const found = node.machine.instructionAt(pc);
  const code = found ? ` (${disassemble(found.word, pc)})` : "";
  const place = placeInText(pc, node.machine.text.program.symbols);
  const step = node.current;
  const during = step ? `, in ${showStep(step)}` : "";
  const text = `cluster ${node.number}, core ${core}${during}: ${what}, at ${place}${code}`;
  throw failure(source, step?.nodes ?? [], {
    code: "A621",
    text,
    details: address === undefined ? [] : neighbours(node, address),
    hint: `the program is ${node.program.file}; compile the model again, and report it if that does not help`,
  });
}

/** What a core's access did wrong. */
export function faultText({ cause, address }: Fault): string {
  switch (cause) {
    case STOP.load:
      return `it read at ${hex(address)}, where no memory is`;
    case STOP.store:
      return `it wrote at ${hex(address)}, where nothing may be written`;
    case STOP.unwritten:
      return `it read at ${hex(address)}, where nothing has been written yet`;
    case STOP.fetch:
      return `it jumped to ${hex(address)}, where no instructions are`;
    case STOP.misaligned:
      return `an atomic access or a stream at ${hex(address)} is not aligned`;
    case STOP.stream:
      return `it ${streamFault(address)}`;
    case STOP.breakpoint:
      return "it hit a breakpoint";
    default:
      return "it has an instruction that its core does not know";
  }
}

/** What lies at an address or near it: areas, rings and constants. */
function neighbours(node: Node, address: number): readonly string[] {
  const { rings, areas, constants, events } = node.image;
  if (address >= EVENTS_BASE && address < EVENTS_BASE + 4 * events.length) {
    return [`${hex(address)} is the count of event '${events[(address - EVENTS_BASE) >> 2]}'`];
  }
  const named = [
    ...rings.map((r) => ({
      name: `ring of '${r.buffer}'`,
      address: r.address,
      bytes: r.slotBytes * r.capacity,
    })),
    ...areas.map((a) => ({ name: a.name, address: a.address, bytes: a.bytes })),
    ...constants.map((c) => ({ name: `constant '${c.constant}'`, address: c.address, bytes: 1 })),
  ];
  const distance = (a: { address: number; bytes: number }): number =>
    Math.max(0, a.address - address, address - (a.address + a.bytes - 1));
  return named
    .filter((a) => distance(a) < NEAR)
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, 3)
    .map((a) => {
      const end = a.address + a.bytes;
      const where = distance(a) === 0 ? "in" : `${distance(a)} bytes from`;
      return `${where} ${a.name}: ${hex(a.address)} to ${hex(end - 1)}`;
    });
}

/** Errors: A622, always. */
export function stuck(
  source: Source,
  nodes: Iterable<Node>,
  processes: readonly Process[],
  host: Host,
): never {
  const lines: string[] = [];
  for (const node of nodes) {
    for (const core of waiting(node)) lines.push(core);
    for (const p of processes.filter((q) => q.cluster === node.number)) {
      const done = host.finished[p.index] ?? 0;
      if (done === host.total(p)) continue;
      const missing = host.missing(p).join(" and ") || "for its program, though nothing is missing";
      lines.push(`${p.step ? showStep(p.step) : p.name}, iteration ${done}, waits ${missing}`);
    }
  }
  const more = lines.length > SHOWN ? [`and ${lines.length - SHOWN} more`] : [];
  throw failure(source, [], {
    code: "A622",
    text: "the programs of the clusters wait for each other for ever:",
    details: [...lines.slice(0, SHOWN), ...more],
    hint: "compile the model again, with larger buffers; report it if that does not help",
  });
}

function waiting(node: Node): readonly string[] {
  const { events } = node.image;
  const awaited = (event: number, count: number): string => {
    if (event === ENGINE_EVENT) return `job ${count} of its matrix engine, which has no such job`;
    return event < 0 ? "any event" : `'${events[event]}' to count to ${count}`;
  };
  const asleep = node.sleepers.map(
    ({ core, event, count }) =>
      `cluster ${node.number}, core ${core}, waits for ${awaited(event, count)}`,
  );
  const held = node.barrier.waiting.join(", ");
  if (held !== "") asleep.push(`cluster ${node.number}, core ${held}: at the barrier`);
  return asleep;
}

function failure(
  source: Source,
  nodes: readonly string[],
  rest: Omit<Diagnostic, "at">,
): InputError {
  return new InputError([{ ...rest, at: placeOf(source, nodes, "programs.json") }]);
}
