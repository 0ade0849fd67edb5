/** The program: operations with their modules and nodes, and what each cluster runs in which order. */

import { blockCount, tileOf } from "../../artifact/mapping.ts";
import type { Buffer, Credit, Schedule, Step, Wait } from "../../artifact/schedule.ts";
import { time } from "../../report/units.ts";
import type { Artifact } from "../../sim/load.ts";
import { table } from "../terminal.ts";

export const opsFacts = (a: Artifact) =>
  a.schedule.steps.map((step) => {
    const { id, kernel, cluster, weight, module, nodes, cost } = step;
    const mapped = weight === undefined ? {} : { weight };
    return { step: id, kernel, cluster, ...mapped, tiles: tilesOf(a, step), module, nodes, cost };
  });

/** The tiles of a launch, one by one. */
function tilesOf({ mapping }: Artifact, { weight, tiles }: Step): number[] {
  const mapped = mapping.weights.find((w) => w.name === weight);
  if (!mapped || !tiles) return [];
  return Array.from({ length: blockCount(mapped) }, (_, i) => tileOf(tiles, i));
}

export function describeOps(a: Artifact): string {
  const rows = opsFacts(a).map((s) => [
    s.step,
    s.kernel,
    String(s.cluster),
    s.tiles.length > 0 ? ranges(s.tiles) : "-",
    time(s.cost.digitalNs + s.cost.tileNs),
    s.module === "" ? "-" : s.module,
    s.nodes.join(", "),
  ]);
  return table(
    [["step", "kernel", "cluster", "tiles", "time", "module", "ONNX nodes"], ...rows],
    ["left", "left", "right", "left", "right"],
  );
}

/** `0-3,7` for 0, 1, 2, 3, 7. */
function ranges(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const n of sorted) {
    const last = runs.at(-1);
    if (last && n === last[1] + 1) last[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(",");
}

export function describeSchedule(a: Artifact): string {
  const { schedule } = a;
  const steps = new Map(schedule.steps.map((s) => [s.id, s]));
  const buffers = buffersById(schedule);
  return schedule.clusters
    .map(({ cluster, steps: ids }) => {
      const own = ids.flatMap((id) => describeStep(a, steps.get(id), buffers));
      return [`cluster ${cluster}`, ...own].join("\n");
    })
    .join("\n\n");
}

export function describeStep(
  a: Artifact,
  step: Step | undefined,
  buffers: ReadonlyMap<string, Buffer>,
): string[] {
  if (!step) return [];
  const { batch, tokens, block } = step.domain;
  const held = tilesOf(a, step);
  const tiles = held.length > 0 ? ` on tiles ${ranges(held)}` : "";
  const name = step.module === "" ? "" : ` of ${step.module}`;
  return [
    `  ${step.id}: ${step.kernel}${name}${tiles}, ${batch} x ${tokens} tokens by ${block}`,
    ...step.waits.map((w) => `    wait   ${w.buffer} from ${w.step} ${showWait(w)}`),
    ...step.credits.map((c) => `    credit ${c.buffer} from ${c.reader} ${showCredit(c)}`),
    ...step.writes.map((w) => `    write  ${showBuffer(buffers.get(w.buffer ?? ""))}`),
  ];
}

const showWait = ({ newest }: Wait): string => `up to ${showRelation(newest)}`;
const showCredit = ({ distance, release }: Credit): string =>
  `${distance} behind, released by ${showRelation(release)}`;

function showRelation({ batch, token }: Wait["newest"]): string {
  const b = batch === "same" ? "b" : batch;
  if (typeof token === "string") return `(${b}, ${token})`;
  const { mul, add, div } = token;
  const scaled = mul === 1 ? "t" : `${mul}t`;
  const shifted = add === 0 ? scaled : `${scaled}${add < 0 ? "-" : "+"}${Math.abs(add)}`;
  return `(${b}, ${div === 1 ? shifted : `floor((${shifted})/${div})`})`;
}

function showBuffer(buffer: Buffer | undefined): string {
  if (!buffer) return "";
  const shape = buffer.shape.map((d) => d ?? "?").join("x");
  const tensor = buffer.tensor === undefined ? "" : ` = ${buffer.tensor}`;
  return `${buffer.id} ${shape}x${buffer.elem}, ring of ${buffer.capacity}${tensor}`;
}

export const buffersById = (s: Schedule): ReadonlyMap<string, Buffer> =>
  new Map(s.buffers.map((b) => [b.id, b]));
