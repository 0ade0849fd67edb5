/**
 * The tiles of a machine as programs see them: vectors are queued, processed in order, and their sums dequeued, group
 * by group of rows. What a vector gives is what crossbar.ts computes; when it does is from the target.
 */

import { blockCount, blocksOf, type MappedWeight, tileOf } from "../../artifact/mapping.ts";
import type { Buffer, Step } from "../../artifact/schedule.ts";
import { hops, mvmNj, transferNs } from "../../target/cost.ts";
import type { Target } from "../../target/schema.ts";
import { fromNumbers, toF32 } from "../../tensor/convert.ts";
import { bytesPer, fromBytes, type Tensor } from "../../tensor/tensor.ts";
import { type Crossbars, rowStarts } from "../crossbar.ts";
import type { Artifact } from "../load.ts";
import { cyclesOf } from "./timing.ts";

/** Vectors that tiles hold between queue and dequeue. */
const MOST_QUEUED = 2;

interface Vector {
  readonly x: Float32Array;
  readonly queuedAt: number;
  /** Sums of all groups, when it has been processed. */
  sums: Float32Array | null;
  readyAt: number;
  /** Groups that have been dequeued. */
  taken: number;
}

/** A launch that makes no sense, in words. */
export class TileMisuse extends Error {}

/** The tiles of one step. */
class Unit {
  readonly weight: MappedWeight;
  readonly input: Buffer;
  readonly output: Buffer;
  readonly groups: number;
  readonly vectors: Vector[] = [];
  /** Cycles until a vector has reached the farthest tile, and from there back; of an analog product, and between two. */
  readonly there: number;
  readonly back: number;
  readonly product: number;
  readonly pace: number;

  constructor(artifact: Artifact, step: Step, buffers: ReadonlyMap<string, Buffer>, nodes: number) {
    const { mapping, target } = artifact;
    const weight = mapping.weights.find((w) => w.name === step.weight);
    const input = buffers.get(step.reads[0]?.buffer ?? "");
    const output = buffers.get(step.writes[0]?.buffer ?? "");
    if (!weight || !input || !output) throw new TileMisuse(`step '${step.id}' starts no tiles`);
    this.weight = weight;
    this.input = input;
    this.output = output;
    this.groups = rowStarts(weight).length;
    const cols = blocksOf(weight).reduce((most, b) => Math.max(most, b.cols[1] - b.cols[0]), 0);
    const integrate = target.tile.mvmNs.value;
    const affine = cols * target.tile.affineNsPerColumn.value;
    this.product = cyclesOf(target, integrate + affine);
    this.pace = cyclesOf(target, Math.max(integrate, affine));
    [this.there, this.back] = ways(target, step, weight, nodes);
  }
}

/** Cycles to the farthest tile and back, as processes.ts has them for one vector. */
function ways(target: Target, step: Step, weight: MappedWeight, nodes: number): [number, number] {
  let longest = [0, 0];
  for (const [i, { rows, cols }] of blocksOf(weight).entries()) {
    const links = hops(target, nodes, step.cluster, tileOf(step.tiles ?? [], i));
    const there = transferNs(target, 4 * (rows[1] - rows[0]), links);
    const back = transferNs(target, 4 * (cols[1] - cols[0]), links);
    if (there + back > (longest[0] ?? 0) + (longest[1] ?? 0)) longest = [there, back];
  }
  return [cyclesOf(target, longest[0] ?? 0), cyclesOf(target, longest[1] ?? 0)];
}

export class Tiles {
  private readonly artifact: Artifact;
  private readonly crossbars: Crossbars;
  private readonly buffers: ReadonlyMap<string, Buffer>;
  private readonly nodes: number;
  private readonly units = new Map<string, Unit>();
  /** By weight: when its tiles take the next vector, and how long they have worked. */
  private readonly freeAt = new Map<string, number>();
  readonly busy = new Map<string, number>();
  mvms = 0;
  energyNj = 0;

  /** `nodes` is how many clusters and tiles there are. */
  constructor(artifact: Artifact, crossbars: Crossbars, nodes: number) {
    this.artifact = artifact;
    this.crossbars = crossbars;
    this.buffers = new Map(artifact.schedule.buffers.map((b) => [b.id, b]));
    this.nodes = nodes;
  }

  /** Bytes of a vector that goes in, and of a group of sums that comes out. */
  inputBytes(step: Step): number {
    const { weight, input } = this.unit(step);
    return weight.rows * bytesPer(input.elem);
  }
  outputBytes(step: Step): number {
    const { weight, output } = this.unit(step);
    return weight.cols * bytesPer(output.elem);
  }

  /** Gives how many vectors are queued. */
  queue(step: Step, bytes: Uint8Array, now: number): number {
    const { vectors, weight, input } = this.unit(step);
    if (vectors.length === MOST_QUEUED) {
      throw new TileMisuse(`${MOST_QUEUED} vectors are queued already, and none has been dequeued`);
    }
    const x = toF32(fromBytes(input.elem, [weight.rows], bytes.slice()));
    vectors.push({ x: Float32Array.from(x), queuedAt: now, sums: null, readyAt: 0, taken: 0 });
    return vectors.length;
  }

  process(step: Step, row: number, inference: number, now: number): void {
    const unit = this.unit(step);
    const { weight, vectors } = unit;
    const vector = vectors.find((v) => v.sums === null);
    if (!vector) throw new TileMisuse("no vector is queued that has not been processed");
    vector.sums = this.crossbars.run(weight, { x: vector.x, rows: [row], inference });
    const start = Math.max(now, vector.queuedAt + unit.there, this.freeAt.get(weight.name) ?? 0);
    vector.readyAt = start + unit.product + unit.back;
    this.freeAt.set(weight.name, start + unit.pace);
    this.busy.set(weight.name, (this.busy.get(weight.name) ?? 0) + unit.pace);
    const blocks = blockCount(weight);
    this.mvms += blocks;
    this.energyNj += mvmNj(this.artifact.target, 1, blocks);
  }

  /** The sums of the next group of the oldest vector, when they are there, and how many groups are left. */
  dequeue(step: Step): { readonly sums: Tensor; readonly readyAt: number; readonly left: number } {
    const { vectors, weight, output, groups } = this.unit(step);
    const [vector] = vectors;
    if (!vector?.sums) throw new TileMisuse("no vector has been processed");
    const from = vector.taken++ * weight.cols;
    const data = vector.sums.subarray(from, from + weight.cols);
    const left = groups - vector.taken;
    if (left === 0) vectors.shift();
    const sums: Tensor =
      output.elem === "f32"
        ? { elem: "f32", shape: [weight.cols], data }
        : fromNumbers(output.elem, [weight.cols], data);
    return { sums, readyAt: vector.readyAt, left };
  }

  private unit(step: Step): Unit {
    const known = this.units.get(step.id);
    if (known) return known;
    const made = new Unit(this.artifact, step, this.buffers, this.nodes);
    this.units.set(step.id, made);
    return made;
  }
}
