/**
 * Kernels of halves: operands are widened into the scratch memory, computed there in single precision, and results
 * rounded to halves once, at the end.
 */

import { type Elem, sizeOf } from "../tensor/tensor.ts";
import type {
  Block,
  Generate,
  GeneratorTable,
  KernelCode,
  KernelRequest,
  Phase,
  PhaseAssembler,
} from "./kernel.ts";
import type { X } from "./register.ts";
import { alongRow } from "./row.ts";

const WORD = 4;
/** Shares of cores are multiples of it: they write no word together. */
const GRAIN = 16;

const isHalf = (block: Block | null): block is Block =>
  block !== null && (block.elem === "f16" || block.elem === "bf16");

/** A half that is computed as words somewhere in the scratch memory. */
interface Widened {
  /** Its place in the kernel's list of addresses. */
  readonly parameter: number;
  readonly block: Block;
  /** From the beginning of the scratch memory. */
  readonly offset: number;
}

/** The same generator, also for halves; of operands only for those with these numbers, where they are given. */
export const inSingle =
  (generate: Generate, only: readonly number[] | null = null): Generate =>
  (request) => {
    const { results } = request;
    const operands = request.operands.map((o, i) => (!only || only.includes(i) ? o : null));
    const blocks = [...operands, ...results];
    if (!blocks.some(isHalf)) return generate(request);
    const code = generate(widenedRequest(request, operands));
    let offset = padded(code.scratchBytes ?? 0);
    const moved = blocks.flatMap((block, parameter): Widened[] => {
      if (!isHalf(block)) return [];
      const at = offset;
      offset += padded(sizeOf(block.shape) * WORD);
      return [{ parameter, block, offset: at }];
    });
    return { phases: phasesOf(code, moved, operands.length), scratchBytes: offset };
  };

/** A whole family, also for halves. */
export const allInSingle = (table: GeneratorTable): GeneratorTable =>
  Object.fromEntries(Object.entries(table).map(([name, generate]) => [name, inSingle(generate)]));

const padded = (bytes: number): number => Math.ceil(bytes / GRAIN) * GRAIN;

function widenedRequest(request: KernelRequest, chosen: readonly (Block | null)[]): KernelRequest {
  const wide = (block: Block): Block => (isHalf(block) ? { ...block, elem: "f32" } : block);
  return {
    ...request,
    operands: request.operands.map((o, i) => (o && chosen[i] ? wide(o) : o)),
    results: request.results.map(wide),
  };
}

function phasesOf(
  { phases }: KernelCode,
  moved: readonly Widened[],
  operands: number,
): readonly Phase[] {
  const places = new Map(moved.map(({ parameter, offset }) => [parameter, offset]));
  const [read, written] = [true, false].map((isRead) =>
    moved.filter(({ parameter }) => parameter < operands === isRead),
  );
  const all = (
    list: readonly Widened[] | undefined,
    one: (k: PhaseAssembler, w: Widened) => void,
  ) => {
    if (!list?.length) return [];
    return [
      (k: PhaseAssembler) => {
        for (const w of list) one(k, w);
      },
    ];
  };
  return [
    ...all(read, (k, w) => convert(k, w, "wider")),
    ...phases.map((phase) => (k: PhaseAssembler) => k.elsewhere(places, () => phase(k))),
    ...all(written, (k, w) => convert(k, w, "narrower")),
  ];
}

function convert(k: PhaseAssembler, w: Widened, to: string): void {
  const { parameter, block, offset } = w;
  const grows = k.request.growing?.find((g) => g.operand === parameter);
  if (grows) {
    widenGrowing(k, w, grows.axis);
    return;
  }
  const { from, end } = k.share(sizeOf(block.shape), GRAIN);
  const [half, word] = [k.parameter(parameter), k.add(k.scratch(), offset)];
  convertRow(k, block.elem, { half, word, from, count: k.sub(end, from) }, to);
}

/** What is there of an operand that grows: a stretch for every index of the axes before. */
function widenGrowing(
  k: PhaseAssembler,
  { parameter, block, offset }: Widened,
  axis: number,
): void {
  const { shape, elem } = block;
  const inner = sizeOf(shape.slice(axis + 1));
  const count = k.mul(k.grown(), inner);
  const [half, word] = [k.parameter(parameter), k.add(k.scratch(), offset)];
  const { from, end } = k.share(sizeOf(shape.slice(0, axis)));
  k.range(from, end, 1, (i) => {
    const first = k.mul(i, (shape[axis] ?? 1) * inner);
    convertRow(k, elem, { half, word, from: first, count }, "wider");
  });
}

/** Elements from `from` on. */
function convertRow(
  k: PhaseAssembler,
  elem: Elem,
  { half, word, from, count }: Record<"half" | "word" | "from" | "count", X>,
  to: string,
): void {
  const narrow = { at: k.add(half, k.mul(from, 2)), bytes: 2 };
  const wide = k.add(word, k.mul(from, WORD));
  alongRow(k, k.request.isa, { count, pointers: [narrow, wide] }, () => (part) => {
    if (to === "wider") part.store(part.loadAs(elem, narrow.at), wide);
    else part.storeAs(elem, part.load(wide), narrow.at);
  });
}
