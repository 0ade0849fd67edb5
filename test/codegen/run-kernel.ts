/** Kernels in machine code: run on our simulator and on QEMU, against what the kernels of src/tensor compute. */

import { expect } from "vitest";
import { compileKernel } from "../../src/codegen/compile-kernel.ts";
import { isaOf } from "../../src/codegen/isa.ts";
import { constantBlock, type Growing, type KernelRequest } from "../../src/codegen/kernel.ts";
import { standalone } from "../../src/codegen/standalone.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import {
  bytesPer,
  type Elem,
  fromBytes,
  isFloat,
  sizeOf,
  type Tensor,
  toBytes,
} from "../../src/tensor/tensor.ts";
import { onOurs, onQemu, TRANSLATED } from "../iss/run.ts";

/** The two kinds of cores that targets have: scalar like Snitch, and with vectors. */
export const ISAS = ["rv32imaf", "rv32imaf_zve32f_zba_zbb"] as const;
/** Scalar cores with streams: their code is other than that of those without where products are. */
const STREAMS = "rv32imaf_xssr_xfrep";

/** Text of a kernel, whatever it is made for: loops, not code that grows with values. */
const MOST_TEXT = 16 * 1024;

export interface Call {
  readonly kernel: string;
  readonly attrs?: Readonly<Record<string, unknown>>;
  readonly operands: readonly (Tensor | null)[];
  /** Numbers of the operands that are constants. */
  readonly constants?: readonly number[];
  /** Only the data decides the shapes of the results. */
  readonly isOpen?: boolean;
  /** Where they are left out, those of the kernel of src/tensor. */
  readonly results?: readonly { readonly elem: Elem; readonly shape: readonly number[] }[];
  /** Axes for which code is made that takes up to `most` elements; they are all as long. */
  readonly growing?: { readonly axes: readonly Growing[]; readonly most: number };
}

/** What the kernel of src/tensor gives; it may give more results than are asked for. */
export function expected({ kernel, attrs = {}, operands, results }: Call): readonly Tensor[] {
  const compute = KERNELS.get(kernel);
  if (!compute) throw new Error(`there is no kernel ${kernel}`);
  const outShapes = results?.map((r) => r.shape) ?? null;
  const all = compute({ inputs: operands, attrs, outShapes });
  return results ? all.slice(0, results.length) : all;
}

export function requestOf(call: Call, isa: string, cores: number): KernelRequest {
  const { kernel, attrs = {}, constants = [], growing } = call;
  const operands = roomyOperands(call);
  return {
    kernel,
    attrs,
    operands: operands.map((t, i) =>
      t && constants.includes(i)
        ? constantBlock(t, () => t)
        : t && { elem: t.elem, shape: t.shape },
    ),
    results: call.results ?? expected(call).map(({ elem, shape }) => ({ elem, shape })),
    isa: isaOf(isa),
    cores,
    ...(growing && { growing: growing.axes }),
  };
}

/** Operands with growing axes as they lie in memory: with room for more, which is NaN. */
function roomyOperands({ operands, growing }: Call): readonly (Tensor | null)[] {
  if (!growing) return operands;
  return operands.map((t, i) => {
    const grows = growing.axes.find((g) => g.operand === i);
    if (!t || !grows) return t;
    const { axis } = grows;
    const [has, inner] = [t.shape[axis] ?? 1, sizeOf(t.shape.slice(axis + 1))];
    const values = toNumbers(t);
    const shape = t.shape.with(axis, growing.most);
    const roomy = Array.from({ length: sizeOf(shape) }, (_, at) => {
      const [outer, rest] = [Math.floor(at / (growing.most * inner)), at % (growing.most * inner)];
      return rest < has * inner ? (values[outer * has * inner + rest] ?? 0) : Number.NaN;
    });
    return fromNumbers(t.elem, shape, roomy);
  });
}

function grownOf({ operands, growing }: Call): number {
  const [first] = growing?.axes ?? [];
  return first ? (operands[first.operand]?.shape[first.axis] ?? 0) : 0;
}

/** The results of the machine code; with `qemu`, those of QEMU, which have to be the same bits. */
export function run(call: Call, isa: string, cores: number, qemu = false): readonly Tensor[] {
  const request = requestOf(call, isa, cores);
  const { elf, offsets, kernelBytes } = standalone(request, roomyOperands(call), grownOf(call));
  expect(kernelBytes, `bytes of text of ${call.kernel}`).toBeLessThanOrEqual(MOST_TEXT);
  const ours = onOurs(elf);
  expect(ours.status, "exit status").toBe(0);
  if (qemu) {
    const theirs = onQemu(elf);
    expect(theirs.status, "QEMU's exit status").toBe(0);
    expect(ours.stdout.equals(theirs.stdout), "the same bits as QEMU").toBe(true);
  }
  return resultsOf(request, offsets, ours.stdout);
}

const resultsOf = (
  { results }: KernelRequest,
  offsets: readonly number[],
  written: Buffer,
): readonly Tensor[] =>
  results.map(({ elem, shape }, i) => {
    const at = offsets[i] ?? 0;
    return fromBytes(elem, shape, written.subarray(at, at + sizeOf(shape) * bytesPer(elem)));
  });

/**
 * Holds machine code against the kernel of src/tensor, on all kinds of cores and for one core and eight: the same
 * bits where `within` is 0; otherwise floats within so much of the largest magnitude of the result.
 */
export function agrees(call: Call, within = 0, qemu = false): void {
  const wanted = expected(call);
  const holds = (isa: string, cores: number, results: readonly Tensor[]): void => {
    for (const [i, found] of results.entries()) {
      const what = `${call.kernel} on ${cores} x ${isa}, result ${i}`;
      compare(found, wanted[i] as Tensor, within, what);
    }
  };
  for (const isa of ISAS) {
    for (const cores of [1, 8]) {
      holds(isa, cores, run(call, isa, cores, qemu));
    }
  }
  // QEMU knows no streams.
  if (usesStreams(call)) holds(STREAMS, 8, run(call, STREAMS, 8));
}

function usesStreams(call: Call): boolean {
  const { lines } = compileKernel(requestOf(call, STREAMS, 8), "kernel");
  return lines.some((l) => l.kind === "instruction" && l.name === "frep.o");
}

/** The same on one core, without QEMU, of code that is not worth a translation. Errors: KernelGap. */
export function isClose(call: Call, isa: string, within: number): void {
  const request = requestOf(call, isa, 1);
  const { elf, offsets } = standalone(request, call.operands);
  const { stdout } = onOurs(elf, [], LIMIT, TRANSLATED.never);
  const wanted = expected(call);
  for (const [i, found] of resultsOf(request, offsets, stdout).entries()) {
    compare(found, wanted[i] as Tensor, within, `${call.kernel}, result ${i}`);
  }
}

/** More instructions than a test's kernel takes. */
const LIMIT = 2e9;

type Floats = Float64Array;

/** Halves may fall on either side of where they are rounded. */
const unitOf = (elem: Elem): number => (elem === "f16" ? 2 ** -10 : elem === "bf16" ? 2 ** -7 : 0);

function compare(found: Tensor, wanted: Tensor, within: number, what: string): void {
  if (within === 0 || !isFloat(wanted.elem)) {
    const same = Buffer.from(toBytes(found)).equals(Buffer.from(toBytes(wanted)));
    // All NaN count as one: which bits an operation gives is the processor's choice.
    if (!same) expect([...found.data], `${what}: bits`).toEqual([...wanted.data]);
    return;
  }
  const [a, b] = [found, wanted].map((t) => new Float64Array(toNumbers(t))) as [Floats, Floats];
  const scale = b.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0);
  let worst = 0;
  for (const [i, v] of b.entries()) {
    const u = a[i] ?? Number.NaN;
    if (Object.is(u, v) || u === v || (Number.isNaN(u) && Number.isNaN(v))) continue;
    const off = Math.abs(u - v);
    worst = Math.max(worst, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
  }
  expect(worst, `${what}: largest error, of ${scale}`).toBeLessThanOrEqual(
    (within + unitOf(wanted.elem)) * scale,
  );
}
