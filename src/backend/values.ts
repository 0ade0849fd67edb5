/**
 * The values of an artifact: tiles.safetensors, digital.safetensors and their like. What lies in the model's
 * files is moved by all threads; what passes computed is written by this one.
 */

import { join } from "node:path";
import type { MappedWeight, Mapping } from "../artifact/mapping.ts";
import type { Schedule } from "../artifact/schedule.ts";
import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import { weightAttr } from "../ir/attrs.ts";
import { isTensorAttr, type Module, type Op, type WeightRef } from "../ir/op.ts";
import { bytesPer, type Elem, sizeOf, toBytes } from "../tensor/tensor.ts";
import { Wasm } from "../wasm/module.ts";
import {
  createSafetensors,
  type SafetensorsWriter,
  type TensorSpec,
} from "../weights/safetensors.ts";
import { copyElements, readElements, type WeightStore } from "../weights/store.ts";
import { countOddScales, scalingSpecs, writeScaled } from "./block-images.ts";
import type { Constant } from "./constants.ts";
import { launchesOf } from "./mapping.ts";
import { countOdd, hasOdd, type OddValues, showOdd } from "./odd-values.ts";
import { type Read, takerFor } from "./strips.ts";
import { runJobs } from "./threads.ts";
import {
  type ColumnWays,
  choiceOf,
  type Grid,
  imageSpecs,
  stripCount,
  writeStrip,
} from "./tile-images.ts";
import type { Job } from "./transfer.ts";

/** What there is to write. */
interface Values {
  readonly module: Module;
  readonly schedule: Schedule;
  readonly store: WeightStore;
  readonly mapping: Mapping;
  /** Path of the model, for messages. */
  readonly model: string;
  /** How gamma of each column is chosen. Absent: it is the largest weight. */
  readonly columns?: ColumnWays;
}

/**
 * What is programmed into tiles, and what digital kernels read. Values that lie in the model's files are moved
 * by all threads; what passes computed is written first, by this one. Gives the constants that hold values that
 * are no finite numbers, and no masks. Errors: A209 for weights that no device can hold.
 */
export async function writeValues(
  dir: string,
  given: Values,
  constants: ReadonlyMap<string, Constant>,
): Promise<ReadonlyMap<string, OddValues>> {
  const mapped = mappedGrids(given);
  const tiles = createSafetensors(
    join(dir, "tiles.safetensors"),
    mapped.flatMap(({ grid, weight, op }) => [...imageSpecs(grid), ...scalingSpecs(weight, op)]),
  );
  const digital = createSafetensors(join(dir, "digital.safetensors"), specsOf(constants));
  try {
    const jobs = new Map<Job, Mapped>();
    const computed: Mapped[] = [];
    for (const m of mapped) {
      const job = m.weight.quantised ? null : gridJob(m, given.store, tiles);
      if (job) jobs.set(job, m);
      else computed.push(m);
    }
    const copies = copyConstants(constants, given.store, digital);
    const odd = computed.filter((m) => !writeComputed(m, given, tiles));
    const found = await runJobs([...jobs.keys(), ...copies.jobs.keys()]);
    odd.push(...found.flatMap((job) => jobs.get(job) ?? []));
    const faults = odd.map((m) => unprogrammable(m.weight, oddIn(m, given.store), given.model));
    if (faults.length > 0) throw new InputError(faults);
    tiles.finish();
    digital.finish();
    const names = new Set([...copies.odd, ...found.flatMap((job) => copies.jobs.get(job) ?? [])]);
    return censusOf(new Map([...constants].filter(([name]) => names.has(name))), given.store);
  } finally {
    tiles.close();
    digital.close();
  }
}

interface Mapped {
  readonly weight: MappedWeight;
  readonly grid: Grid;
  readonly op: Op;
  readonly ref: WeightRef;
  /** Number of the matrix's first element in its initializer. */
  readonly first: number;
  readonly read: Read;
}

function mappedGrids({ module, schedule, store, mapping, columns }: Values): readonly Mapped[] {
  const launches = launchesOf(module, schedule);
  return mapping.weights.map((weight) => {
    const op = launches.get(weight.name);
    const ref = op && weightAttr(op, "weight");
    if (!ref || isTensorAttr(ref)) throw new Error(`${weight.name} is not a named matrix`);
    const first = weight.rows * weight.cols * (weight.slice ?? 0);
    const read: Read = (start, into) => readElements(store, ref, first + start, into);
    return { op, ref, weight, first, read, grid: gridOf(weight, columns) };
  });
}

/** The matrix as a run of bytes of the model's files, and where it goes; null when it was computed. */
function gridJob({ grid, ref, first }: Mapped, store: WeightStore, file: SafetensorsWriter) {
  const slice = store.sliceOf?.(ref);
  if (!slice) return null;
  const { elem, stored } = grid;
  const offset = slice.offset + first * bytesPer(elem);
  const place = (name: string) => ({ path: file.path, offset: file.handOver(name) });
  return {
    grid,
    from: { path: slice.path, offset, length: sizeOf(stored) * bytesPer(elem) },
    values: place(grid.values),
    scales: place(grid.scales),
  };
}

/** False when there are infinite weights or NaN in it. */
function writeComputed(m: Mapped, { store, columns }: Values, file: SafetensorsWriter): boolean {
  const { grid, read } = m;
  if (m.weight.quantised)
    return writeScaled(m.weight, m.op, store, file, columns && choiceOf(columns));
  const taker = takerFor(grid.elem, new Wasm());
  const sink = {
    values: (start: number, bytes: Uint8Array) => file.write(grid.values, start, bytes),
    scales: (start: number, bytes: Uint8Array) => file.write(grid.scales, start, bytes),
  };
  let finite = true;
  for (let strip = 0; strip < stripCount(grid); strip++) {
    finite = writeStrip(grid, strip, read, sink, taker) && finite;
  }
  return finite;
}

/** Numbers that no device can hold: integers have none, but their scales may. */
const oddIn = ({ weight, op, grid, read }: Mapped, store: WeightStore) =>
  weight.quantised ? countOddScales(op, store) : countOdd(grid.elem, sizeOf(grid.stored), read);

function unprogrammable({ name, nodes }: MappedWeight, odd: OddValues, model: string): Diagnostic {
  return {
    code: "A209",
    text: `weight '${name}' has ${showOdd(odd)}, which no tile can hold`,
    at: { kind: "node", model, nodes },
    hint: "training went wrong, or a half float overflowed; --policy all-digital takes the model as it is",
  };
}

function gridOf(weight: MappedWeight, columns: ColumnWays | undefined): Grid {
  const { rows, cols, transposed, elem, rowSplits, colSplits, values, scales } = weight;
  return {
    elem: elem as Elem,
    stored: transposed ? [cols, rows] : [rows, cols],
    transposed,
    rowSplits,
    colSplits,
    values,
    scales,
    ...(columns && { columns }),
  };
}

const specsOf = (constants: ReadonlyMap<string, Constant>): readonly TensorSpec[] =>
  [...constants].map(([name, c]): TensorSpec => {
    const { elem, shape } = isTensorAttr(c) ? c : c.type;
    return { name, elem, shape };
  });

/** Constants that are no masks, with what they hold besides finite numbers. */
function censusOf(
  constants: ReadonlyMap<string, Constant>,
  store: WeightStore,
): ReadonlyMap<string, OddValues> {
  const found = new Map<string, OddValues>();
  for (const [name, c] of constants) {
    const read: Read = isTensorAttr(c)
      ? (start, into) => copyElements(c.data, start, into)
      : (start, into) => readElements(store, c, start, into);
    const { elem, shape } = isTensorAttr(c) ? c : c.type;
    const elements = sizeOf(shape.map((d) => d ?? 0));
    const { isMask, ...odd } = countOdd(elem, elements, read);
    if (!isMask) found.set(name, odd);
  }
  return found;
}

interface Copies {
  /** Each with the name of its constant. */
  readonly jobs: ReadonlyMap<Job, string>;
  /** Those that hold infinite values or NaN, among what is written already. */
  readonly odd: readonly string[];
}

/** Writes what is in memory; gives jobs for what lies in the model's files. */
function copyConstants(
  constants: ReadonlyMap<string, Constant>,
  store: WeightStore,
  file: SafetensorsWriter,
): Copies {
  const jobs = new Map<Job, string>();
  const odd: string[] = [];
  for (const [name, value] of constants) {
    const slice = isTensorAttr(value) ? null : store.sliceOf?.(value);
    if (slice) {
      const { elem } = isTensorAttr(value) ? value : value.type;
      jobs.set({ elem, from: slice, to: { path: file.path, offset: file.handOver(name) } }, name);
      continue;
    }
    const whole = isTensorAttr(value) ? value : store.load(value);
    const bytes = toBytes(whole);
    file.write(name, 0, bytes);
    if (hasOdd(whole.elem, bytes)) odd.push(name);
  }
  return { jobs, odd };
}

export async function writeTensors(
  path: string,
  constants: ReadonlyMap<string, Constant>,
  store: WeightStore,
): Promise<void> {
  const file = createSafetensors(path, specsOf(constants));
  try {
    await runJobs([...copyConstants(constants, store, file).jobs.keys()]);
    file.finish();
  } finally {
    file.close();
  }
}
