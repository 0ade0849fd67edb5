/**
 * What schedule.json must say, beyond its schema:
 * 1. everything that is named exists, once, and the two ends of each name agree;
 * 2. each read of a buffer has its wait, each reader of a written buffer its credit;
 * 3. the tiles of a launch are those that mapping.json gives the weight's blocks;
 * 4. waits and credits exclude every wrong order of reads and writes (check-hazards.ts).
 */

import { attributeConstants } from "../artifact/attribute-constants.ts";
import { blockCount, type MappedWeight, tileOf } from "../artifact/mapping.ts";
import type { Buffer, Credit, Region, Schedule, Step } from "../artifact/schedule.ts";
import type { Diagnostic } from "../diag/diagnostic.ts";
import { KERNELS } from "../tensor/kernels/index.ts";
import { checkHazards } from "./check-hazards.ts";
import { fault, placeOf, refuseAll, showBuffer, showStep } from "./faults.ts";
import { HOST, type Links, linksOf, readersOf } from "./links.ts";
import type { Artifact } from "./load.ts";

export function checkSchedule(artifact: Artifact): void {
  const links = linksOf(artifact.schedule);
  const faults: Diagnostic[] = [];
  const report = (nodes: readonly string[], text: string) =>
    void faults.push(fault("A405", text, placeOf(artifact, nodes, "schedule.json")));
  for (const text of tableFaults(artifact.schedule, links)) report([], text);
  for (const buffer of artifact.schedule.buffers) {
    for (const text of bufferFaults(buffer, links)) {
      report(buffer.nodes, `${showBuffer(buffer)}: ${text}`);
    }
  }
  const weights = new Map(artifact.mapping.weights.map((w) => [w.name, w]));
  for (const step of artifact.schedule.steps) {
    for (const text of stepFaults(step, links, artifact, weights)) {
      report(step.nodes, `${showStep(step)}: ${text}`);
    }
  }
  refuseAll(faults);
  checkHazards(artifact, links);
}

function* tableFaults(schedule: Schedule, links: Links): Iterable<string> {
  if (links.steps.size < schedule.steps.length) yield "two steps have the same id";
  if (links.buffers.size < schedule.buffers.length) yield "two buffers have the same id";
  const listed = new Map<string, number>();
  for (const { cluster, steps } of schedule.clusters) {
    for (const id of steps) {
      if (listed.has(id)) yield `step '${id}' is in two lists of clusters`;
      listed.set(id, cluster);
      if (!links.steps.has(id)) yield `cluster ${cluster} lists step '${id}', which does not exist`;
    }
  }
  for (const { id, cluster } of schedule.steps) {
    if (listed.get(id) !== cluster)
      yield `step '${id}' is not in the list of its cluster ${cluster}`;
  }
  yield* portFaults(schedule, links);
}

function* portFaults(schedule: Schedule, links: Links): Iterable<string> {
  for (const { name, buffer, credits = [] } of schedule.inputs) {
    if (links.buffers.get(buffer)?.writer !== HOST) {
      yield `input '${name}' is delivered to '${buffer}', which is no buffer of the host`;
    }
    for (const text of creditFaults(new Set([buffer]), credits, links)) {
      yield `input '${name}': ${text}`;
    }
  }
  for (const { name, buffer, constant } of schedule.outputs) {
    if (constant === undefined && !links.buffers.has(buffer ?? "")) {
      yield `output '${name}' is taken from '${buffer}', which does not exist`;
    }
  }
}

function* bufferFaults(buffer: Buffer, { steps }: Links): Iterable<string> {
  if (buffer.select.length !== buffer.shape.length) yield "it does not select every axis";
  if (buffer.writer === HOST) return;
  const writer = steps.get(buffer.writer);
  if (!writer) return yield `its writer '${buffer.writer}' does not exist`;
  if (!same(writer.domain, buffer.domain)) yield `its domain is not that of ${showStep(writer)}`;
  if (!writer.writes.some((w) => w.buffer === buffer.id))
    yield `${showStep(writer)} does not write it`;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

type Weights = ReadonlyMap<string, MappedWeight>;

function* stepFaults(
  step: Step,
  links: Links,
  artifact: Artifact,
  weights: Weights,
): Iterable<string> {
  const regions = [...step.reads.filter((r) => r !== null), ...step.writes];
  for (const region of regions) yield* regionFaults(region, links, artifact);
  for (const { buffer: id, select } of step.writes) {
    const buffer = links.buffers.get(id ?? "");
    if (!buffer) yield "a result goes to no buffer";
    else if (buffer.writer !== step.id) yield `it writes '${id}', which '${buffer.writer}' writes`;
    else if (!same(buffer.select, select))
      yield `it writes other elements of '${id}' than its blocks`;
  }
  for (const { name } of attributeConstants(step)) {
    if (!artifact.constants.has(name)) yield `constant '${name}' does not exist`;
  }
  yield* waitFaults(step, links);
  yield* creditFaults(new Set(step.writes.map((w) => w.buffer ?? "")), step.credits, links);
  if (step.kernel === "mvm") yield* tileFaults(step, weights);
  else if (!KERNELS.has(step.kernel)) yield "there is no kernel of this name";
}

function* regionFaults(
  { buffer, constant, select }: Region,
  { buffers }: Links,
  { constants, images }: Artifact,
): Iterable<string> {
  if ((buffer === undefined) === (constant === undefined)) {
    return yield "a region names neither or both of a buffer and a constant";
  }
  if (constant !== undefined && !images) return;
  const shape =
    buffer === undefined ? constants.get(constant ?? "")?.shape : buffers.get(buffer)?.shape;
  if (!shape)
    yield `${buffer === undefined ? "constant" : "buffer"} '${buffer ?? constant}' does not exist`;
  else if (shape.length !== select.length) {
    yield `it selects ${select.length} axes of '${buffer ?? constant}', which has ${shape.length}`;
  }
}

function* waitFaults(step: Step, { buffers, steps }: Links): Iterable<string> {
  const reads = step.reads.flatMap((r) => (r?.buffer === undefined ? [] : [r.buffer]));
  if (reads.length !== step.waits.length) {
    return yield `it reads ${reads.length} buffers and has ${step.waits.length} waits`;
  }
  for (const [k, wait] of step.waits.entries()) {
    if (wait.buffer !== reads[k]) {
      yield `wait ${k} is for '${wait.buffer}', the read that it guards is of '${reads[k]}'`;
    }
    const writer = buffers.get(wait.buffer)?.writer;
    if (wait.step !== writer)
      yield `wait ${k} is for '${wait.step}'; '${writer}' writes '${wait.buffer}'`;
    const domain = steps.get(wait.step)?.domain ?? buffers.get(wait.buffer)?.domain;
    if (domain && wait.newest.batch === "same" && domain.batch < step.domain.batch) {
      yield `wait ${k} names batches that '${wait.step}' does not have`;
    }
  }
}

function* creditFaults(
  written: ReadonlySet<string>,
  credits: readonly Credit[],
  links: Links,
): Iterable<string> {
  for (const { buffer } of credits) {
    if (!written.has(buffer)) yield `it has a credit for '${buffer}', which it does not write`;
  }
  for (const id of written) {
    const readers = readersOf(id, links);
    const givers = new Set(credits.filter((c) => c.buffer === id).map((c) => c.reader));
    for (const reader of without(readers, givers)) {
      yield `it writes '${id}' without a credit of its reader '${reader}'`;
    }
    for (const giver of without(givers, readers)) {
      yield `'${giver}' gives credit for '${id}' and does not read it`;
    }
  }
}

const without = (a: ReadonlySet<string>, b: ReadonlySet<string>): string[] =>
  [...a].filter((x) => !b.has(x));

function* tileFaults(step: Step, weights: Weights): Iterable<string> {
  const weight = weights.get(step.weight ?? "");
  if (!weight) return yield `its weight '${step.weight}' is not in mapping.json`;
  const tiles = step.tiles ?? [];
  const count = blockCount(weight);
  if (tiles.length !== 1 && tiles.length !== count) {
    yield `it launches ${tiles.length} tiles for the ${count} blocks of '${weight.name}'`;
  }
  const listed = Math.max(tiles.length, weight.tiles.length);
  for (let block = 0; block < listed; block++) {
    const [launched, holds] = [tileOf(tiles, block), tileOf(weight.tiles, block)];
    if (launched !== holds) {
      yield `block ${block} is on tile ${holds}, and tile ${launched} is launched`;
    }
  }
}
