/**
 * Brings what a kernel would read and write in main memory to the TCDM, where its steps have room left: as a whole, or
 * piece by piece, each piece a call of the kernel. A core waits for main memory with every element; the DMA moves rows.
 */

import { MAIN_BASE } from "../../artifact/programs.ts";
import { bytesPer, sizeOf } from "../../tensor/tensor.ts";
import { Assembler } from "../assembler.ts";
import { type Cut, cutsOf } from "../cuts.ts";
import type { MemoryMap } from "./memory-map.ts";
import { eachPart } from "./parts.ts";
import { type Planner, scratchOf } from "./plan.ts";
import { tokenBlocks } from "./ranges.ts";
import type { Area, ClusterPlan, Operand, Result, StepPlan } from "./step-plan.ts";
import { mostBytes, padded, type Store, shapeAt } from "./store.ts";
import { Calc } from "./value.ts";

/** The plan with steps that stage; `room` is how many bytes of the TCDM their areas may take. */
export function staged(
  plan: ClusterPlan,
  map: MemoryMap,
  room: number,
  planner: Planner,
): ClusterPlan {
  const steps = plan.steps.map((step) => stagedStep(step, map, room, planner));
  return steps.every((s, i) => s === plan.steps[i]) ? plan : { ...plan, steps };
}

/** Rings and constants of the cluster that lie in main memory. */
export const farStores = (map: MemoryMap): ReadonlySet<Store> =>
  new Set([...map.rings, ...map.constants].flatMap(([s, at]) => (at >= MAIN_BASE ? [s] : [])));

/** Smaller pieces are tried so often, each time half as large. */
const TRIES = 4;

function stagedStep(plan: StepPlan, map: MemoryMap, room: number, planner: Planner): StepPlan {
  const isFar = ({ store, area }: Operand | Result): boolean => {
    const at = area ? map.areas.get(area) : (map.rings.get(store) ?? map.constants.get(store));
    return at !== undefined && at >= MAIN_BASE;
  };
  const all = [...plan.operands, ...plan.results].filter((o) => o !== null);
  if (plan.launch || !all.some(isFar)) return plan;
  const cuts = plan.growth ? [] : cutsOf(planner.requestAt(plan, 0));
  for (const cut of cuts) {
    const found = cutStep(plan, cut, isFar, room, planner);
    if (found) return found;
  }
  return READS_LITTLE.has(plan.step.kernel) ? plan : wholeStep(plan, isFar, room);
}

/** Kernels that look at few elements of what they are given. */
const READS_LITTLE: ReadonlySet<string> = new Set([
  ...["nn.embedding", "Gather", "GatherElements", "GatherND", "Slice", "Shape", "Size"],
]);

/** What is read or written in place and fits besides what is gathered anyway, the smallest first, as a whole. */
function wholeStep(
  plan: StepPlan,
  isFar: (o: Operand | Result) => boolean,
  room: number,
): StepPlan {
  const { operands, results, step } = plan;
  const places = [
    ...[...new Set(operands)].flatMap((o) => {
      if (!o || o.area || !isFar(o)) return [];
      const bytes = padded(mostBytes(o.read, o.store.elem));
      return [{ of: o, area: { name: `operand ${operands.indexOf(o)} of ${step.id}`, bytes } }];
    }),
    ...results.flatMap((r, i) => {
      if (r.area || !isFar(r)) return [];
      return [{ of: r, area: { name: `result ${i} of ${step.id}`, bytes: r.store.slotBytes } }];
    }),
  ];
  let used = areaBytes(plan).all;
  const made = new Map<Operand | Result | null, Operand | Result>();
  for (const { of, area } of places.sort((a, b) => a.area.bytes - b.area.bytes)) {
    used += area.bytes;
    if (used <= room) made.set(of, { ...of, area });
  }
  if (made.size === 0) return plan;
  return {
    ...plan,
    operands: operands.map((o) => (made.get(o) as Operand | undefined) ?? o),
    results: results.map((r) => made.get(r) ?? r),
  };
}

function cutStep(
  plan: StepPlan,
  cut: Cut,
  isFar: (o: Operand | Result) => boolean,
  room: number,
  planner: Planner,
): StepPlan | null {
  if (!plan.operands.every((o, i) => !o || canCut(o, cut.operands[i] ?? null))) return null;
  const most = leastOf(plan, cut);
  let size = most;
  for (let i = 0; i < TRIES && size >= 1; i++) {
    const made = cutInto(plan, cut, size, isFar, planner);
    const bytes = areaBytes(made);
    if (bytes.all <= room) return made;
    const fits = Math.floor((room - bytes.whole) / (bytes.cut / size));
    size = Math.min(Math.floor(size / 2), fits);
  }
  return null;
}

/** Parts can be taken of a region that always lies in one block, or along an axis that has nothing to do with blocks. */
function canCut({ read }: Operand, axis: number | null): boolean {
  if (axis === null) return true;
  if (read.select[axis] === "all" && read.blocks.select[axis] === "all") return true;
  const k = new Assembler("trial");
  return eachPart(new Calc(k), read, { b: k.newX(), t: k.newX() }, () => {});
}

/** The fewest elements that an iteration has along the axis. */
function leastOf({ step, results }: StepPlan, { axis }: Cut): number {
  const sizes = results.flatMap(({ store }) => {
    const { select, domain } = store;
    const last = tokenBlocks(step.domain) - 1;
    return [0, last].map((t) => shapeAt({ blocks: store, select, domain }, t)[axis] ?? 0);
  });
  return Math.min(...sizes);
}

function cutInto(
  plan: StepPlan,
  { axis, operands }: Cut,
  size: number,
  isFar: (o: Operand | Result) => boolean,
  planner: Planner,
): StepPlan {
  const { step } = plan;
  const made = new Map<string, Operand>();
  const own = plan.operands.map((o, i): Operand | null => {
    const cut = operands[i] ?? null;
    if (!o || (cut === null && !o.area && !isFar(o))) return o;
    const key = `${plan.operands.indexOf(o)} ${cut}`;
    const area = { name: `operand ${i} of ${step.id}`, bytes: padded(partBytes(o, cut, size)) };
    const operand = made.get(key) ?? { ...o, cut, area };
    made.set(key, operand);
    return operand;
  });
  const results = plan.results.map(({ store }, i): Result => {
    const { select, domain } = store;
    const shape = shapeAt({ blocks: store, select, domain }, 0).with(axis, size);
    const bytes = padded(bytesPer(store.elem) * sizeOf(shape));
    return { store, area: { name: `result ${i} of ${step.id}`, bytes } };
  });
  const pieces = { axis, size };
  const kernels = planner.kernelsOf({ ...plan, operands: own, results, pieces });
  const scratch = scratchOf(step, kernels);
  return { ...plan, operands: own, results, pieces, kernels, scratch };
}

function partBytes({ read, store }: Operand, cut: number | null, size: number): number {
  if (cut === null) return mostBytes(read, store.elem);
  return bytesPer(store.elem) * sizeOf(shapeAt(read, 0).with(cut, size));
}

/** Bytes of what every piece needs as a whole, and of what grows with pieces. */
function areaBytes({ operands, results, scratch }: StepPlan) {
  const sum = (areas: Iterable<Area>): number =>
    [...new Set(areas)].reduce((n, a) => n + a.bytes, 0);
  const areas = (list: readonly (Operand | null)[]): Area[] =>
    list.flatMap((o) => (o?.area ? [o.area] : []));
  const whole = sum(areas(operands.filter((o) => o?.cut === null)));
  const parts = areas(operands.filter((o) => o?.cut !== null));
  const cut = sum([
    ...parts,
    ...results.flatMap((r) => (r.area ? [r.area] : [])),
    ...(scratch ? [scratch] : []),
  ]);
  return { whole, cut, all: whole + cut };
}
