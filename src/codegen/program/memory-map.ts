/**
 * Where a cluster's memory holds what. The TCDM has the program's data, stacks, rings, constants, and one stretch that
 * the steps use in turn: a cluster runs one at a time, so what they gather, send and scratch may share it. Launches have
 * another, because the cluster goes on while they are under way, one at a time. What does not
 * fit goes to main memory, the largest first.
 */

import { MAIN_BASE, TCDM_BASE } from "../../artifact/programs.ts";
import type { Area, ClusterPlan, StepPlan } from "./step-plan.ts";
import { padded, type Store } from "./store.ts";
import { DESCRIPTOR_WORDS } from "./transfer.ts";

const WORD = 4;

/** How far the launch is whose vectors are in tiles. */
export const FLIGHT = {
  toQueue: 0,
  toTake: WORD,
  /** Where the next vector that is queued lies, or is listed, and where the next result goes, or is listed. */
  head: 2 * WORD,
  tail: 3 * WORD,
  /** The number of the next vector, where they follow each other. */
  number: 4 * WORD,
  /** Addresses of all vectors and of all results. */
  x: 5 * WORD,
  y: 6 * WORD,
};
const FLIGHT_WORDS = 7;

/** Words that every program has at the same place. */
const DESCRIPTOR = TCDM_BASE + 4 * WORD;
export const FIXED = {
  /** How many inferences the run has: the loader sets it. */
  inferences: TCDM_BASE,
  /** Place of the step that runs; -1 between steps. */
  current: TCDM_BASE + WORD,
  /** The function that all cores call next; 0 when there are no more. */
  command: TCDM_BASE + 2 * WORD,
  /** Steps that have not done all iterations. */
  remaining: TCDM_BASE + 3 * WORD,
  descriptor: DESCRIPTOR,
  /** The number of the piece that a kernel is called for. */
  piece: DESCRIPTOR + DESCRIPTOR_WORDS * WORD,
  /** Addresses of a kernel's operands, results and scratch memory, and how far operands have grown. */
  /** The place of the step whose vectors are in tiles, and 1; 0 where there is none. Then how far it is. */
  flying: DESCRIPTOR + (DESCRIPTOR_WORDS + 1) * WORD,
  flight: DESCRIPTOR + (DESCRIPTOR_WORDS + 2) * WORD,
  parameters: padded(DESCRIPTOR + (DESCRIPTOR_WORDS + 2 + FLIGHT_WORDS) * WORD),
};

/** Words of a step's state; the counts that its guards need follow. */
export const STATE = { number: 0, inference: WORD, batch: 2 * WORD, token: 3 * WORD };
const STATE_BYTES = 4 * WORD;
export const neededAt = (guard: number): number => STATE_BYTES + guard * WORD;

const LEAST_STACK = 1024;
/** What control takes of a core's stack beside the kernels. */
const CONTROL_STACK = 256;

export interface MemoryMap {
  /** Of each step's state. */
  readonly states: readonly number[];
  readonly dataBytes: number;
  /** Bytes of each core's stack; core i has the i-th from the end. */
  readonly stackBytes: number;
  readonly stackTop: number;
  readonly rings: ReadonlyMap<Store, number>;
  readonly constants: ReadonlyMap<Store, number>;
  readonly areas: ReadonlyMap<Area, number>;
  /** Where in the TCDM areas begin, behind what stays. */
  readonly areasAt: number;
  readonly tcdmBytes: number;
  readonly mainBytes: number;
}

export const areasOf = ({ operands, results, launch, scratch }: StepPlan): readonly Area[] => {
  const gathered = [...operands, ...results].flatMap((o) => (o?.area ? [o.area] : []));
  const all = [...gathered, launch?.list ?? null, scratch].filter((a) => a !== null);
  return [...new Set(all)];
};

const residentBytes = (s: Store): number => padded(s.capacity * s.slotBytes);
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Errors: a TCDM that does not even hold data and stacks is told by `tcdmBytes`, which is then larger than `limit`. */
export function mapMemory(
  plan: ClusterPlan,
  cores: number,
  limit: number,
  distant: ReadonlySet<Store> = new Set(),
): MemoryMap {
  const { states, end } = statesOf(plan);
  const dataBytes = end - TCDM_BASE;
  const kernels = plan.steps.flatMap((s) => s.kernels.map((k) => k.stackBytes));
  const deepest = kernels.reduce((a, b) => Math.max(a, b), 0);
  const stackBytes = padded(Math.max(LEAST_STACK, deepest + CONTROL_STACK));
  const stackTop = padded(end) + cores * stackBytes;
  const outside = outsideOf(plan, limit - (stackTop - TCDM_BASE), distant);
  const inside = (place: Store | Area): boolean => !outside.has(place);
  const rings = new Map<Store, number>();
  const constants = new Map<Store, number>();
  const areas = new Map<Area, number>();
  let [tcdm, main] = [stackTop, MAIN_BASE];
  for (const ring of plan.rings.filter(inside)) {
    rings.set(ring, tcdm);
    tcdm += residentBytes(ring);
  }
  for (const constant of plan.constants.filter(inside)) {
    constants.set(constant, tcdm);
    tcdm += residentBytes(constant);
  }
  for (const constant of plan.constants.filter((c) => !inside(c))) {
    constants.set(constant, main);
    main += residentBytes(constant);
  }
  for (const ring of plan.rings.filter((r) => !inside(r))) {
    rings.set(ring, main);
    main += residentBytes(ring);
  }
  const near = layAreas(plan, areas, inside, tcdm);
  const far = layAreas(plan, areas, (a) => !inside(a), main);
  return {
    states,
    dataBytes,
    stackBytes,
    stackTop,
    rings,
    constants,
    areas,
    areasAt: near.others,
    tcdmBytes: near.end - TCDM_BASE,
    mainBytes: far.end - MAIN_BASE,
  };
}

function statesOf({ steps }: ClusterPlan): { states: readonly number[]; end: number } {
  const words = steps.map((s) => s.operands.length + s.results.length + 2);
  let end = padded(FIXED.parameters + words.reduce((a, b) => Math.max(a, b), 0) * WORD);
  const states = steps.map(({ guards }) => {
    const at = end;
    end += neededAt(guards.length);
    return at;
  });
  return { states, end };
}

/** Areas of launches, and behind them those of others, which run meanwhile. */
function layAreas(
  { steps }: ClusterPlan,
  areas: Map<Area, number>,
  here: (a: Area) => boolean,
  start: number,
): { readonly others: number; readonly end: number } {
  const others = layTogether(steps.filter(flies), areas, here, start);
  return {
    others,
    end: layTogether(
      steps.filter((s) => !flies(s)),
      areas,
      here,
      others,
    ),
  };
}

/** The cluster has other things to do while vectors are in tiles. */
const flies = ({ launch }: StepPlan): boolean => launch !== null;

/** The areas of every step begin at the same place. Gives where the last ends. */
function layTogether(
  steps: readonly StepPlan[],
  areas: Map<Area, number>,
  here: (a: Area) => boolean,
  start: number,
): number {
  let most = start;
  for (const step of steps) {
    let end = start;
    for (const area of areasOf(step).filter(here)) {
      areas.set(area, end);
      end += area.bytes;
    }
    most = Math.max(most, end);
  }
  return most;
}

/** What the TCDM has no room for, beside the inputs that lie outside of it in any case. */
function outsideOf(
  { rings, constants, steps }: ClusterPlan,
  room: number,
  far: ReadonlySet<Store>,
): ReadonlySet<Store | Area> {
  const outside = new Set<Store | Area>([...far, ...rings.filter((r) => r.input)]);
  const stay = [...rings, ...constants].filter((s) => !outside.has(s));
  stay.sort((a, b) => residentBytes(a) - residentBytes(b));
  const works = steps.map((step) => {
    const all = areasOf(step);
    const areas = all.filter((a) => !a.near).toSorted((a, b) => a.bytes - b.bytes);
    return { areas, bytes: sum(all.map((a) => a.bytes)), flies: flies(step) };
  });
  const none = { areas: [], bytes: 0, flies: false };
  const widestOf = (list: readonly Work[]): Work =>
    list.reduce((a, b) => (b.bytes > a.bytes ? b : a), none);
  const kinds = [works.filter((w) => w.flies), works.filter((w) => !w.flies)];
  let used = sum(stay.map(residentBytes));
  for (;;) {
    const both = kinds.map(widestOf);
    if (used + sum(both.map((w) => w.bytes)) <= room) return outside;
    const widest = both.reduce((a, b) => (lastBytes(b) > lastBytes(a) ? b : a));
    const [largest, area] = [stay.at(-1), widest.areas.at(-1)];
    if (largest && (!area || residentBytes(largest) >= area.bytes)) {
      outside.add(largest);
      used -= residentBytes(largest);
      stay.pop();
    } else if (area) {
      outside.add(area);
      widest.bytes -= area.bytes;
      widest.areas.pop();
    } else return outside;
  }
}

/** Areas of a step in the TCDM, the largest last. */
interface Work {
  readonly areas: Area[];
  bytes: number;
  readonly flies: boolean;
}

const lastBytes = ({ areas }: Work): number => areas.at(-1)?.bytes ?? 0;
