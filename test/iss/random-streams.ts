/**
 * Random streams and repetitions as programs, and the same as plain instructions, element by element: those QEMU runs
 * too. Both write the memory and the registers to standard output.
 */

import { MAY } from "../../src/riscv/elf.ts";
import { writeElf } from "../../src/riscv/elf-write.ts";
import { assemble, instruction, type Line, label, loadConstant } from "../../src/riscv/listing.ts";
import { INSTRUCTIONS } from "../../src/riscv/table.ts";

/** A whole number below another one. */
type Draw = (below: number) => number;

const TEXT = 0x10000;
const DATA = 0x100000;
const WORDS = 1024;
const [ZERO, T0, T1, S0, S1] = [0, 5, 6, 8, 9];
const SSR = 0x7c0;
const [REPEAT, BOUNDS, STRIDES, READ, WRITE] = [1, 2, 6, 24, 28];
/** Registers for floats that are no streams. */
const FREE = { from: 3, count: 8 };
/** Where the plain program has what the streams hand over. */
const STAND_IN = 20;

export interface Stream {
  readonly number: number;
  readonly writes: boolean;
  readonly base: number;
  /** Elements of each dimension, the innermost first. */
  readonly counts: readonly number[];
  /** From an element to the next, beyond the last of the dimensions within. */
  readonly strides: readonly number[];
  readonly times: number;
}

/** The addresses of all elements, by the definition. */
export function addressesOf({ base, counts, strides, times, writes }: Stream): readonly number[] {
  const found: number[] = [];
  /** Walks a dimension from an address and gives the last. */
  const walk = (d: number, from: number): number => {
    if (d < 0) {
      found.push(...Array.from({ length: writes ? 1 : times }, () => from));
      return from;
    }
    let at = walk(d - 1, from);
    for (let i = 1; i < (counts[d] ?? 1); i++) at = walk(d - 1, at + (strides[d] ?? 0));
    return at;
  };
  walk(counts.length - 1, base);
  return found;
}

/** A stream of at least `least` elements within the data. */
export function randomStream(draw: Draw, number: number, writes: boolean, least: number): Stream {
  for (;;) {
    const counts = Array.from({ length: 1 + draw(4) }, () => 1 + draw(draw(3) === 0 ? 12 : 4));
    const strides = counts.map(() => 4 * (draw(draw(4) === 0 ? 60 : 9) - 3));
    const times = draw(2) === 0 ? 1 : 1 + draw(5);
    const stream = { number, writes, base: DATA + 4 * draw(WORDS), counts, strides, times };
    const all = addressesOf(stream);
    const fits = all.every((a) => a >= DATA && a < DATA + 4 * WORDS);
    if (fits && all.length >= least && all.length < 4000) return stream;
  }
}

const set = (stream: number, word: number, value: number): readonly Line[] => [
  ...loadConstant(T0, value),
  instruction("scfgwi", T0, (word << 5) | stream),
];

/** Configures and starts a stream. */
export const started = (s: Stream): readonly Line[] => [
  ...s.counts.flatMap((count, d) => set(s.number, BOUNDS + d, count - 1)),
  ...s.strides.flatMap((stride, d) => set(s.number, STRIDES + d, stride)),
  ...set(s.number, REPEAT, s.times - 1),
  ...set(s.number, (s.writes ? WRITE : READ) + s.counts.length - 1, s.base),
];

export const enabled = (yes: boolean): Line => instruction(yes ? "csrrsi" : "csrrci", ZERO, SSR, 1);

/** Instructions that compute on floats alone. */
const COMPUTING = INSTRUCTIONS.filter(
  (i) =>
    (i.extension === "F" || i.extension === "Zfh") &&
    i.fields.every((f) => f === "rm" || f.startsWith("f")) &&
    !/^f[ls][hw]$/.test(i.name),
);
const COMMON = COMPUTING.filter((i) => /^f(?:madd|add|mul|nmsub|min|sgnj)\.s$/.test(i.name));

interface Computing {
  readonly name: string;
  readonly fields: readonly string[];
  readonly operands: readonly number[];
}

function computing(draw: Draw, reads: readonly number[], writes: readonly number[]): Computing {
  const from = draw(3) === 0 ? COMPUTING : COMMON;
  const i = from[draw(from.length)];
  if (!i) throw new Error("no instruction");
  const operands = i.fields.map((field) => {
    if (field === "rm") return [7, 7, 7, 0, 1][draw(5)] ?? 7;
    const streams = field === "fd" ? writes : reads;
    if (streams.length > 0 && draw(2) === 0) return streams[draw(streams.length)] ?? 0;
    return FREE.from + draw(FREE.count);
  });
  return { name: i.name, fields: i.fields, operands };
}

interface Both {
  readonly streamed: Buffer;
  readonly plain: Buffer;
}

/** A program with streams and repetitions, in a loop, and one without. */
export function randomStreams(draw: Draw): Both {
  const turns = 1 + draw(4);
  const roles = [draw(2) === 0, draw(3) === 0].map((w, number) => ({ number, writes: w }));
  const all = [...roles, { number: 2, writes: draw(2) === 0 }];
  const reads = all.filter((s) => !s.writes).map((s) => s.number);
  const writes = all.filter((s) => s.writes).map((s) => s.number);
  const parts = Array.from({ length: 1 + draw(3) }, () => ({
    times: draw(3) === 0 ? 1 : 1 + draw(20),
    body: Array.from({ length: 1 + draw(6) }, () => computing(draw, reads, writes)),
  }));
  const streams = all.map(({ number, writes: w }) => {
    const least = parts.reduce(
      (n, p) => n + p.times * p.body.filter((c) => uses(c, number)).length,
      0,
    );
    return randomStream(draw, number, w, turns * least);
  });
  const places = streams.map(addressesOf);
  const next = streams.map(() => 0);
  const plain = Array.from({ length: turns }, () =>
    parts.flatMap(({ times, body }) =>
      Array.from({ length: times }, () => body.flatMap((c) => plainly(c, places, next))).flat(),
    ),
  ).flat();
  const streamed = [
    ...streams.flatMap(started),
    enabled(true),
    ...loadConstant(S1, turns),
    label("again"),
    ...parts.flatMap(({ times, body }) => [
      ...loadConstant(T1, times - 1),
      instruction("frep.o", T1, body.length - 1),
      ...body.map(({ name, operands }) => instruction(name, ...operands)),
    ]),
    instruction("addi", S1, S1, -1),
    instruction("bne", S1, ZERO, "again"),
    enabled(false),
  ];
  const data = dataOf(draw);
  const fast = draw(4) > 0;
  return { streamed: programOf(streamed, data, fast), plain: programOf(plain, data, fast) };
}

const uses = ({ operands, fields }: Computing, stream: number): boolean =>
  operands.some((o, i) => fields[i] !== "rm" && o === stream);

/** One instruction with its loads before it and its store behind it. */
function plainly(
  { name, fields, operands }: Computing,
  places: readonly (readonly number[])[],
  next: number[],
): readonly Line[] {
  const before: Line[] = [];
  const behind: Line[] = [];
  const isStream = (i: number): boolean => fields[i] !== "rm" && (operands[i] ?? 9) < 3;
  for (const stream of new Set(operands.filter((_, i) => isStream(i)))) {
    const writes = fields[0] === "fd" && operands[0] === stream;
    const at = places[stream]?.[next[stream] ?? 0] ?? 0;
    next[stream] = (next[stream] ?? 0) + 1;
    const access = instruction(writes ? "fsw" : "flw", STAND_IN + stream, 0, T0);
    (writes ? behind : before).push(...loadConstant(T0, at), access);
  }
  const replaced = operands.map((o, i) => (isStream(i) ? STAND_IN + o : o));
  return [...before, instruction(name, ...replaced), ...behind];
}

function dataOf(draw: Draw): Buffer {
  const data = Buffer.alloc(WORDS * 4 + 64);
  for (let at = 0; at < WORDS * 4; at += 4) {
    if (draw(10) === 0) data.writeUInt32LE(draw(0x10000) * 0x10000 + draw(0x10000), at);
    else data.writeFloatLE((draw(2) * 2 - 1) * (0.5 + draw(1000) / 1000), at);
  }
  return data;
}

/** Registers are loaded, and at the end written behind the data, which goes to standard output. */
export function programOf(body: readonly Line[], data: Buffer, fast = true): Buffer {
  const floats = Array.from({ length: FREE.count + FREE.from }, (_, i) => i);
  const end = DATA + WORDS * 4;
  const lines = [
    label("_start"),
    ...loadConstant(S0, DATA),
    ...floats.map((f) => instruction("flw", f, f * 4, S0)),
    ...(fast ? [instruction("csrrwi", ZERO, 1, 1)] : []),
    ...body,
    ...loadConstant(S0, end),
    ...floats.map((f) => instruction("fsw", f, f * 4, S0)),
    instruction("csrrs", T0, 3, ZERO),
    instruction("sw", T0, 60, S0),
    ...loadConstant(10, 1),
    ...loadConstant(11, DATA),
    ...loadConstant(12, data.length),
    ...loadConstant(17, 64),
    instruction("ecall"),
    ...loadConstant(10, 0),
    ...loadConstant(17, 93),
    instruction("ecall"),
  ];
  const { bytes, symbols } = assemble(lines, TEXT);
  return writeElf({
    entry: TEXT,
    segments: [
      { name: ".text", address: TEXT, bytes, size: bytes.length, may: MAY.read | MAY.execute },
      { name: ".data", address: DATA, bytes: data, size: data.length, may: MAY.read | MAY.write },
    ],
    symbols,
  });
}
