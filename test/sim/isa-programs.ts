/**
 * Programs of clusters made by hand: cluster 0 doubles blocks of a graph input on eight cores and sends them to
 * cluster 1 by DMA, which takes what is above zero. Rings have two slots.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MAIN_BASE, PROGRAM_BASE, type Programs, TCDM_BASE } from "../../src/artifact/programs.ts";
import type { Schedule } from "../../src/artifact/schedule.ts";
import { MAY } from "../../src/riscv/elf.ts";
import { writeElf } from "../../src/riscv/elf-write.ts";
import {
  assemble,
  instruction as i,
  type Line,
  label,
  loadConstant,
} from "../../src/riscv/listing.ts";
import { type Parts, smallParts, writeParts } from "./small-artifact.ts";

const CORES = 8;
const [TOKENS, WIDTH, BLOCK] = [4, 8, 2];
const BLOCK_BYTES = BLOCK * WIDTH * 4;
const PER_INFERENCE = TOKENS / BLOCK;
const [RA, T0, T1, S0, S1, A0, A1, A2, A7, S2, S3] = [1, 5, 6, 8, 9, 10, 11, 12, 17, 18, 19];
const MHARTID = 0xf14;
/** Words of a program's data. */
const DATA = { current: 0, inferences: 4, stop: 8, from: 12, to: 16, descriptor: 32 };
const DATA_BYTES = 128;
/** Rings and areas behind the data. */
export const RING = TCDM_BASE + 0x100;
const RESULT = TCDM_BASE + 0x200;
const INPUTS = MAIN_BASE + 0x40;

export interface Stage {
  /** The instruction on each element, from f1 to f2; f0 is 0. */
  readonly work: readonly Line[];
  /** Where its blocks are, and where they go. */
  readonly from: number;
  readonly to: number;
  /** Done by the first core with the result, before it signals. */
  readonly send: readonly Line[];
  /** Numbers of the event that brings blocks, and of that which makes room. */
  readonly events: readonly [number, number];
  /** In front of everything: for programs that go wrong. */
  readonly first?: readonly Line[];
}

const wait = (event: number, past: number): readonly Line[] => [
  i("addi", T0, 0, event),
  i("addi", T1, S1, past),
  i("event.wait", 0, T0, T1),
];
const barrier = i("barrier", 0, 0, 0);
const word = (at: number): readonly Line[] => [i("sw", T0, at, S3)];

/** The address of this iteration's slot of a ring. */
const slot = (ring: number): readonly Line[] => [
  i("andi", T1, S1, 1),
  i("slli", T1, T1, Math.log2(BLOCK_BYTES)),
  ...loadConstant(T0, ring),
  i("add", T0, T0, T1),
];

/** Core 0 sends the result into a ring of cluster 1. */
export const sendTo = (cluster: number, ring: number): readonly Line[] => [
  ...[-1, RESULT, cluster, 0, BLOCK_BYTES, 1, 0, 0, 1, 0, 0].flatMap((value, n) => [
    ...(n === 3 ? slot(ring) : loadConstant(T0, value)),
    ...word(DATA.descriptor + 4 * n),
  ]),
  i("addi", T0, S3, DATA.descriptor),
  i("dma.start", T0, T0, 0),
  i("dma.wait", 0, T0, 0),
];

const linesOf = ({ work, from, to, send, events, first = [] }: Stage): readonly Line[] => [
  label("_start"),
  i("csrrs", S0, MHARTID, 0),
  ...loadConstant(S3, TCDM_BASE),
  i("fmv.w.x", 0, 0),
  ...first,
  i("bne", S0, 0, "worker"),
  i("lw", S2, DATA.inferences, S3),
  i("addi", T0, 0, PER_INFERENCE),
  i("mul", S2, S2, T0),
  i("addi", S1, 0, 0),
  label("control"),
  i("bge", S1, S2, "finish"),
  ...wait(events[0], 1),
  ...wait(events[1], -1),
  i("sw", 0, DATA.current, S3),
  ...slot(from),
  ...word(DATA.from),
  ...(to === RESULT ? loadConstant(T0, to) : slot(to)),
  ...word(DATA.to),
  barrier,
  i("jal", RA, "kernel"),
  barrier,
  ...send,
  i("addi", T1, 0, 1),
  i("event.signal", 0, 0, T1),
  i("addi", S1, S1, 1),
  i("jal", 0, "control"),
  label("finish"),
  i("addi", T0, 0, 1),
  ...word(DATA.stop),
  barrier,
  label("exit"),
  i("addi", A0, 0, 0),
  i("addi", A7, 0, 93),
  i("ecall"),
  label("worker"),
  barrier,
  i("lw", T0, DATA.stop, S3),
  i("bne", T0, 0, "exit"),
  i("jal", RA, "kernel"),
  barrier,
  i("jal", 0, "worker"),
  label("kernel"),
  i("slli", T0, S0, Math.log2(BLOCK_BYTES / CORES)),
  i("lw", A0, DATA.from, S3),
  i("add", A0, A0, T0),
  i("lw", A1, DATA.to, S3),
  i("add", A1, A1, T0),
  i("addi", A2, A0, BLOCK_BYTES / CORES),
  label("element"),
  i("flw", 1, 0, A0),
  ...work,
  i("fsw", 2, 0, A1),
  i("addi", A0, A0, 4),
  i("addi", A1, A1, 4),
  i("blt", A0, A2, "element"),
  i("jalr", 0, 0, RA),
];

/** Cluster 0's stage and cluster 1's. */
export const STAGES: readonly Stage[] = [
  {
    work: [i("fadd.s", 2, 1, 1, 0)],
    from: INPUTS,
    to: RESULT,
    send: sendTo(1, RING),
    events: [0, 1],
  },
  { work: [i("fmax.s", 2, 1, 0)], from: RING, to: INPUTS, send: [], events: [0, 1] },
];

function elfOf(lines: readonly Line[]): Buffer {
  const { bytes, symbols } = assemble(lines, PROGRAM_BASE);
  const data = Object.entries(DATA).map(([name, at]) => ({
    name,
    address: TCDM_BASE + at,
    size: 4,
    kind: "object" as const,
  }));
  const text = { address: PROGRAM_BASE, bytes, size: bytes.length, may: MAY.read | MAY.execute };
  const zeros = { address: TCDM_BASE, bytes: Buffer.alloc(0), size: DATA_BYTES };
  return writeElf({
    entry: PROGRAM_BASE,
    segments: [
      { name: ".text", ...text },
      { name: ".bss", ...zeros, may: MAY.read | MAY.write },
    ],
    symbols: [...symbols, ...data],
  });
}

const domain = { batch: 1, tokens: TOKENS, block: BLOCK };
const value = ["all", "token", "all"] as const;
const SAME = { batch: "same", token: { mul: 1, add: 0, div: 1 } } as const;
const region = (buffer: string) => ({ buffer, select: [...value] });

function stagesSchedule(): Schedule {
  const step = (id: string, kernel: string, cluster: number, reads: string[], to: string) => ({
    id,
    kernel,
    attrs: {},
    cluster,
    domain,
    reads: reads.map(region),
    writes: [region(to)],
    waits: reads.map((b) => ({ buffer: b, step: b === "x" ? "host" : "double", newest: SAME })),
    credits: [
      {
        buffer: to,
        reader: to === "out" ? "host" : "positive",
        distance: 2,
        release: SAME,
      },
    ],
    signals: [to],
    module: `net.${id}`,
    nodes: [`/${id}`],
    cost: { digitalNs: 30, tileNs: 0, energyNj: 1 },
  });
  const buffer = (id: string, writer: string, cluster: number) => ({
    id,
    elem: "f32" as const,
    shape: [1, TOKENS, WIDTH],
    writer,
    domain,
    select: [...value],
    capacity: 2,
    cluster,
    tensor: `t_${id}`,
    nodes: [],
  });
  return {
    version: 1,
    inputs: [
      {
        name: "x",
        buffer: "x",
        credits: [{ buffer: "x", reader: "double", distance: 2, release: SAME }],
      },
    ],
    outputs: [{ name: "out", buffer: "out" }],
    buffers: [buffer("x", "host", 0), buffer("y", "double", 1), buffer("out", "positive", 1)],
    steps: [step("double", "Add", 0, ["x", "x"], "y"), step("positive", "Relu", 1, ["y"], "out")],
    clusters: [
      { cluster: 0, steps: ["double"] },
      { cluster: 1, steps: ["positive"] },
    ],
  };
}

const image = (cluster: number, step: string, events: string[], rings: [string, number][]) => ({
  cluster,
  elf: `programs/${cluster}.elf`,
  steps: [step],
  events,
  constants: [],
  rings: rings.map(([buffer, address]) => ({
    buffer,
    address,
    slotBytes: BLOCK_BYTES,
    capacity: 2,
  })),
  areas: [{ name: `result of ${step}`, address: RESULT, bytes: BLOCK_BYTES, from: 0, to: 0 }],
  tcdmBytes: 0x300,
  mainBytes: 0x400,
});

/** The directory of an artifact with the programs of these stages. */
export function stagesArtifact(stages: readonly Stage[] = STAGES): string {
  const parts: Parts = smallParts();
  const port = {
    name: "x",
    elem: "f32" as const,
    shape: [1, TOKENS, WIDTH],
    dims: [null, null, null],
  };
  parts.schedule = stagesSchedule();
  parts.mapping = { version: 1, weights: [], digital: [], lora: [] };
  parts.manifest["model"] = {
    ...(parts.manifest["model"] as object),
    inputs: [port],
    outputs: [{ ...port, name: "out" }],
  };
  const directory = writeParts(parts);
  const programs: Programs = {
    version: 1,
    isa: "rv32imaf",
    cores: CORES,
    clusters: [
      image(0, "double", ["host:x", "positive"], [["x", INPUTS]]),
      image(
        1,
        "positive",
        ["double", "out:out"],
        [
          ["y", RING],
          ["out", INPUTS],
        ],
      ),
    ],
    missing: [],
  };
  writeFileSync(join(directory, "programs.json"), JSON.stringify(programs));
  mkdirSync(join(directory, "programs"));
  for (const [n, stage] of stages.entries()) {
    writeFileSync(join(directory, "programs", `${n}.elf`), elfOf(linesOf(stage)));
  }
  return directory;
}
