/**
 * The program as processes that wait for each other: one a step, and one for each graph input that the host
 * delivers. All that costs time or energy is looked up here, once.
 */

import { blockCount, type MappedWeight, tileOf } from "../artifact/mapping.ts";
import type { Buffer, Credit, Domain, Step, Wait } from "../artifact/schedule.ts";
import { hops, transferNj, transferNs } from "../target/cost.ts";
import { bytesPer } from "../tensor/tensor.ts";
import { iterations, position, related, volume } from "./domain.ts";
import { HOST, type Links, linksOf, promised } from "./links.ts";
import type { Artifact } from "./load.ts";
import { blockBoxes, isWhole } from "./plan.ts";

/** Something that another process must have done first. */
export interface Guard {
  /** Index of the process that does it. */
  readonly source: number;
  /** Iterations that `source` must have finished before iteration n of the owner, both over the stream. */
  needed(n: number): number;
  /** From the end of an iteration of the source until the owner knows. */
  readonly delayNs: number;
  /** For messages: what is waited for. */
  readonly what: string;
}

export interface Process {
  readonly index: number;
  readonly name: string;
  /** null for the host. */
  readonly step: Step | null;
  /** Buffers that it writes. */
  readonly writes: readonly Buffer[];
  readonly domain: Domain;
  readonly perInference: number;
  /** -1 for the host. */
  readonly cluster: number;
  /** Name of the weight on whose tiles an iteration runs; all of them work at the same time. */
  readonly weight: string | null;
  /** How many tiles an iteration occupies. */
  readonly tiles: number;
  /** Vectors through tiles in a full iteration, each tile counted. */
  readonly mvms: number;
  /** It writes a graph output. */
  readonly leaves: boolean;
  /** Transfers to and from the tiles of other clusters, per iteration. */
  readonly tileTransferNs: number;
  /** Energy of sending what an iteration writes to its readers. */
  readonly sendNj: number;
  readonly guards: readonly Guard[];
}

export function processesOf(artifact: Artifact): readonly Process[] {
  const links = linksOf(artifact.schedule);
  const seeds = [...hostSeeds(artifact, links), ...stepSeeds(artifact, links)];
  const owner = new Map<string, number>();
  for (const [i, seed] of seeds.entries()) {
    for (const { id } of seed.writes) owner.set(id, i);
    if (seed.step) owner.set(stepKey(seed.step.id), i);
  }
  const weights = new Map(artifact.mapping.weights.map((w) => [w.name, w]));
  const fabric = { artifact, links, seeds, owner, weights, nodes: nodeCount(artifact) };
  return seeds.map((seed, index) => ({
    ...seed,
    index,
    perInference: iterations(seed.domain),
    weight: weightOf(fabric, seed.step)?.name ?? null,
    tiles: tileCount(fabric, seed.step),
    mvms: tileCount(fabric, seed.step) * vectors(seed),
    leaves: seed.writes.some((b) => links.outputs.has(b.id)),
    tileTransferNs: tileTransfer(fabric, seed.step),
    sendNj: sendEnergy(fabric, seed),
    guards: [...waitGuards(fabric, seed), ...creditGuards(fabric, seed)],
  }));
}

/** How many nodes there are, each a cluster and a tile. */
export function nodeCount({ mapping, schedule }: Artifact): number {
  const last = schedule.steps.map((s) => s.cluster).concat(mapping.weights.map(lastTile));
  return 1 + last.reduce((most, n) => Math.max(most, n), 0);
}

interface Seed {
  readonly name: string;
  readonly step: Step | null;
  readonly writes: readonly Buffer[];
  readonly credits: readonly Credit[];
  readonly domain: Domain;
  readonly cluster: number;
}

interface Fabric {
  readonly artifact: Artifact;
  readonly links: Links;
  readonly seeds: readonly Seed[];
  /** Index of the process that writes a buffer, by id, and of a step, by `stepKey`. */
  readonly owner: ReadonlyMap<string, number>;
  readonly weights: ReadonlyMap<string, MappedWeight>;
  readonly nodes: number;
}

const lastTile = (w: MappedWeight): number =>
  w.tiles.length === 1
    ? tileOf(w.tiles, blockCount(w) - 1)
    : w.tiles.reduce((most, tile) => Math.max(most, tile), 0);

/** The weight on tiles that a step launches. */
const weightOf = ({ weights }: Fabric, step: Step | null): MappedWeight | undefined =>
  step?.tiles && weights.get(step.weight ?? "");

function tileCount(fabric: Fabric, step: Step | null): number {
  const weight = weightOf(fabric, step);
  return weight ? blockCount(weight) : 0;
}

const stepKey = (id: string): string => `step ${id}`;

const hostSeeds = ({ schedule }: Artifact, { buffers }: Links): Seed[] =>
  schedule.inputs.flatMap(({ name, buffer: id, credits = [] }) => {
    const buffer = buffers.get(id);
    const seed = { name: `${HOST} (input '${name}')`, step: null, credits, cluster: -1 };
    return buffer ? [{ ...seed, writes: [buffer], domain: buffer.domain }] : [];
  });

const stepSeeds = ({ schedule }: Artifact, { buffers }: Links): Seed[] =>
  schedule.steps.map((step) => ({
    name: `step '${step.id}'`,
    step,
    writes: step.writes.flatMap((w) => buffers.get(w.buffer ?? "") ?? []),
    credits: step.credits,
    domain: step.domain,
    cluster: step.cluster,
  }));

function waitGuards(fabric: Fabric, seed: Seed): Guard[] {
  return (seed.step?.waits ?? []).flatMap((wait) => {
    const source = fabric.owner.get(wait.buffer);
    const buffer = fabric.links.buffers.get(wait.buffer);
    if (source === undefined || !buffer) return [];
    const writer = fabric.seeds[source] as Seed;
    // A writer that does not signal leaves its readers waiting, which the machine then reports.
    const signals = !writer.step || writer.step.signals.includes(wait.buffer);
    return [
      {
        source,
        needed: signals
          ? neededBy(wait, seed.domain, buffer.domain)
          : () => Number.POSITIVE_INFINITY,
        delayNs: deliveryNs(fabric, writer, buffer, seed.cluster),
        what: `for '${wait.buffer}' of ${writer.name}`,
      },
    ];
  });
}

function neededBy(wait: Wait, own: Domain, writer: Domain): (n: number) => number {
  const [mine, theirs] = [iterations(own), iterations(writer)];
  const newest = Array.from({ length: mine }, (_, i) => {
    const { b, t } = position(own, i);
    return related(wait.newest, writer, b, t);
  });
  return (n) => Math.floor(n / mine) * theirs + (newest[n % mine] ?? 0) + 1;
}

function creditGuards(fabric: Fabric, seed: Seed): Guard[] {
  return seed.credits.flatMap((credit) => {
    const source = fabric.owner.get(stepKey(credit.reader));
    // The host takes each block as it is written, so its credits are always there.
    if (source === undefined) return [];
    const reader = fabric.seeds[source] as Seed;
    return [
      {
        source,
        needed: (n: number) => promised(credit, seed.domain, reader.domain, n) + 1,
        delayNs: transferNs(fabric.artifact.target, 0, links(fabric, reader.cluster, seed.cluster)),
        what: `for ${reader.name} to read '${credit.buffer}'`,
      },
    ];
  });
}

/** Links between two clusters; the host is next to every cluster. */
const links = ({ artifact, nodes }: Fabric, from: number, to: number): number =>
  from < 0 || to < 0 ? 0 : hops(artifact.target, nodes, from, to);

/** Bytes of the largest block. */
function blockBytes(buffer: Buffer): number {
  if (isWhole(buffer)) return 0;
  return (
    bytesPer(buffer.elem) * Math.max(0, ...blockBoxes(buffer).map((box) => volume(box.ranges)))
  );
}

/** From the writer into the memory that holds the buffer, and from there to the reader. */
function deliveryNs(fabric: Fabric, writer: Seed, buffer: Buffer, reader: number): number {
  const { target } = fabric.artifact;
  const bytes = blockBytes(buffer);
  const there = transferNs(target, bytes, links(fabric, writer.cluster, buffer.cluster));
  return there + transferNs(target, bytes, links(fabric, buffer.cluster, reader));
}

function sendEnergy(fabric: Fabric, seed: Seed): number {
  const { target } = fabric.artifact;
  let energy = 0;
  for (const buffer of seed.writes) {
    const readers = new Set((fabric.links.uses.get(buffer.id) ?? []).map((u) => u.step.cluster));
    const ways = [...readers].map((cluster) => links(fabric, buffer.cluster, cluster));
    const crossed = links(fabric, seed.cluster, buffer.cluster) + ways.reduce((a, b) => a + b, 0);
    energy += transferNj(target, blockBytes(buffer), crossed);
  }
  return energy;
}

/** Vectors of a launch: the tokens of its block, in all of the rows that its result has for a token. */
function vectors({ step, writes: [result], domain }: Seed): number {
  if (!result) return 0;
  const partials = (step?.reads[0]?.select.length ?? 0) < result.shape.length ? 1 : 0;
  const rows = result.shape.slice(partials, -1).reduce<number>((n, d) => n * (d ?? 1), 1);
  return (rows / (domain.batch * domain.tokens)) * domain.block;
}

/** Values travel as f32, as the buffers hold them. */
const BYTES_PER_VALUE = 4;

/** A launch sends each tile its rows of the input and collects its columns, all tiles at once. */
function tileTransfer(fabric: Fabric, step: Step | null): number {
  const weight = weightOf(fabric, step);
  if (!step?.tiles || !weight) return 0;
  const { target } = fabric.artifact;
  const bytes = BYTES_PER_VALUE * step.domain.block;
  const { rowSplits, colSplits } = weight;
  let longest = 0;
  for (let i = 0; i < blockCount(weight); i++) {
    const [r, c] = [Math.floor(i / (colSplits.length - 1)), i % (colSplits.length - 1)];
    const way = links(fabric, step.cluster, tileOf(step.tiles, i));
    const there = transferNs(target, bytes * part(rowSplits, r), way);
    longest = Math.max(longest, there + transferNs(target, bytes * part(colSplits, c), way));
  }
  return longest;
}

const part = (splits: readonly number[], i: number): number =>
  (splits[i + 1] ?? 0) - (splits[i] ?? 0);
