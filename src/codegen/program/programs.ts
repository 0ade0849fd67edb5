/** The programs of all clusters of a machine. */

import { createHash } from "node:crypto";
import { MAIN_BASE, type Programs, TCDM_BASE } from "../../artifact/programs.ts";
import { fail } from "../../diag/diagnostic.ts";
import { type Image, imageOf } from "./image.ts";
import { Kernels } from "./kernels.ts";
import { areasOf, FIXED, type MemoryMap, mapMemory } from "./memory-map.ts";
import { Planner, type Source } from "./plan.ts";
import { farStores, staged } from "./stage.ts";
import type { ClusterPlan } from "./step-plan.ts";
import { type Store, storesOf } from "./store.ts";

export interface MadePrograms {
  readonly programs: Programs;
  /** By the path of the ELF file; clusters with equal programs share one. */
  readonly images: ReadonlyMap<string, Image>;
}

interface Placed {
  readonly plan: ClusterPlan;
  readonly map: MemoryMap;
}

export function programsOf(source: Source): MadePrograms {
  const { schedule } = source;
  const kernels = new Kernels(FIXED.parameters);
  const stores = storesOf(schedule, source.constant);
  const planner = new Planner(source, stores, kernels);
  const numbers = new Set([
    ...schedule.clusters.map((c) => c.cluster),
    ...schedule.buffers.map((b) => b.cluster),
  ]);
  const planned = [...numbers].sort((a, b) => a - b).map((cluster) => planner.plan(cluster));
  const mapped = planned.map((plan) => placed(plan, source, planner));
  const rings = new Map(mapped.flatMap(({ map }) => [...map.rings]));
  const maps = new Map(mapped.map(({ plan, map }) => [reachable(plan, rings), map]));
  const plans = [...maps.keys()];
  const files = new Files();
  const clusters = plans.map((plan) => {
    const map = maps.get(plan) as MemoryMap;
    const elf =
      plan.missing.size > 0 ? null : files.add(plan.cluster, image(plan, map, rings, source));
    return clusterImage(plan, map, elf);
  });
  const missing = plans.flatMap((p) => [...p.missing].map(([step, reason]) => ({ step, reason })));
  const programs = {
    version: 1 as const,
    isa: source.isa.text,
    cores: source.cores,
    clusters,
    missing,
  };
  return { programs, images: files.images };
}

/** What does not fit the TCDM is brought there while it is needed, where kernels can be called piece by piece. */
function placed(plan: ClusterPlan, source: Source, planner: Planner): Placed {
  const map = mappedOf(plan, source);
  if (map.mainBytes === 0) return { plan, map };
  const room = source.tcdmBytes - (map.areasAt - TCDM_BASE);
  const better = staged(plan, map, room, planner);
  if (better === plan) return addressable(plan, map);
  return addressable(better, mappedOf(better, source, farStores(map)));
}

/** Errors: A610 for a TCDM that has no room for what every program needs. */
function mappedOf(
  plan: ClusterPlan,
  { cores, tcdmBytes }: Source,
  far?: ReadonlySet<Store>,
): MemoryMap {
  const map = mapMemory(plan, cores, tcdmBytes, far);
  if (map.tcdmBytes <= tcdmBytes) return map;
  if (map.stackTop - TCDM_BASE <= tcdmBytes) return tooNear(plan, map, tcdmBytes);
  const stacks = cores * map.stackBytes;
  const text =
    `the TCDM of ${tcdmBytes} bytes does not hold the data (${map.dataBytes} bytes) and the stacks ` +
    `(${stacks} bytes for ${cores} cores) of the program of cluster ${plan.cluster}`;
  const least = Math.ceil((map.stackTop - TCDM_BASE) / 1024);
  const hint = `give cluster.tcdmKiB of the target at least ${least}, or fewer cores`;
  return fail("A610", text, { kind: "command" }, hint);
}

/** Errors: A610, always: something has to lie in the TCDM, and there is no room for it. */
function tooNear(plan: ClusterPlan, map: MemoryMap, tcdmBytes: number): never {
  const areas = plan.steps.flatMap(areasOf).filter((a) => a.near);
  const [largest] = areas.toSorted((a, b) => b.bytes - a.bytes);
  const text =
    `the TCDM of ${tcdmBytes} bytes does not hold what the matrix engine of cluster ${plan.cluster} works on: ` +
    `the ${largest?.name ?? "scratch memory"} takes ${largest?.bytes ?? 0} bytes behind ${map.stackTop - TCDM_BASE} of data and stacks`;
  const least = Math.ceil(map.tcdmBytes / 1024);
  const hint = `give cluster.tcdmKiB of the target at least ${least}, or compile without --matrix-engine`;
  return fail("A610", text, { kind: "command" }, hint);
}

/** What a cluster can address of main memory. */
const MAIN_BYTES = 2 ** 32 - MAIN_BASE;

/** A cluster that would need more memory than it can address runs nothing, and holds nothing. */
function addressable(plan: ClusterPlan, map: MemoryMap): Placed {
  if (map.mainBytes <= MAIN_BYTES) return { plan, map };
  const places = [...map.rings.keys(), ...map.constants.keys()];
  const bytes = (s: Store): number => s.capacity * s.slotBytes;
  const [largest] = places.toSorted((a, b) => bytes(b) - bytes(a));
  const reason =
    `its cluster would need ${map.mainBytes} bytes of main memory and can address ${MAIN_BYTES}` +
    (largest
      ? `; the largest is the ${largest.kind} '${largest.name}' with ${bytes(largest)}`
      : "");
  const missing = new Map(plan.ids.map((id) => [id, plan.missing.get(id) ?? reason]));
  const nothing = { rings: new Map(), constants: new Map(), areas: new Map(), mainBytes: 0 };
  return { plan: { ...plan, steps: [], missing }, map: { ...map, ...nothing } };
}

/** Steps that pass values to or from a cluster that holds nothing have no program either. */
function reachable(plan: ClusterPlan, rings: ReadonlyMap<Store, number>): ClusterPlan {
  const missing = new Map(plan.missing);
  for (const { step, operands, results } of plan.steps) {
    const stores = [...operands, ...results].flatMap((o) => (o ? [o.store] : []));
    const lost = stores.find((s) => s.kind === "ring" && !rings.has(s));
    if (lost) missing.set(step.id, `'${lost.name}' lies on a cluster without memory for it`);
  }
  return missing.size === plan.missing.size ? plan : { ...plan, missing };
}

function image(
  plan: ClusterPlan,
  map: MemoryMap,
  rings: ReadonlyMap<Store, number>,
  { isa }: Source,
): Image {
  const placeOf = (store: Store) => {
    const address = map.constants.get(store) ?? rings.get(store);
    if (address === undefined) throw new Error(`${store.name} has no address`);
    const own = store.cluster === null || store.cluster === plan.cluster;
    return { cluster: own ? OWN : (store.cluster ?? OWN), address };
  };
  return imageOf(plan.steps, map, placeOf, isa.text);
}

const OWN = -1;

/** Files by what they hold: equal ones are there once. */
class Files {
  readonly images = new Map<string, Image>();
  private readonly paths = new Map<string, string>();

  add(cluster: number, made: Image): string {
    const content = createHash("sha256").update(made.elf).digest("hex");
    const path = this.paths.get(content) ?? `programs/cluster${cluster}.elf`;
    this.paths.set(content, path);
    if (!this.images.has(path)) this.images.set(path, made);
    return path;
  }
}

function clusterImage(
  plan: ClusterPlan,
  map: MemoryMap,
  elf: string | null,
): Programs["clusters"][number] {
  const last = Math.max(0, plan.ids.length - 1);
  const areas = plan.steps.flatMap((step) =>
    areasOf(step).map((area) => ({
      name: area.name,
      address: map.areas.get(area) ?? MAIN_BASE,
      bytes: area.bytes,
      from: step.place,
      to: step.place,
    })),
  );
  const stacks = map.stackTop - FIXED.inferences - map.dataBytes;
  const fixed = [
    { name: "data", address: FIXED.inferences, bytes: map.dataBytes, from: 0, to: last },
    { name: "stacks", address: map.stackTop - stacks, bytes: stacks, from: 0, to: last },
  ];
  return {
    cluster: plan.cluster,
    ...(elf !== null && { elf }),
    steps: [...plan.ids],
    events: [...plan.events],
    constants: [...map.constants].map(([{ name }, address]) => ({ constant: name, address })),
    rings: [...map.rings].map(([{ name, slotBytes, capacity }, address]) => ({
      buffer: name,
      address,
      slotBytes,
      capacity,
    })),
    areas: [...fixed, ...areas],
    tcdmBytes: map.tcdmBytes,
    mainBytes: map.mainBytes,
  };
}
