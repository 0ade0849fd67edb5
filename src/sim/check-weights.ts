/**
 * What mapping.json and tiles.safetensors must say:
 * 1. a weight is cut from its first to its last row and column, so that its blocks cover each element once;
 * 2. lists by block have an entry for each, or one for all;
 * 3. the stored values and scales of a weight have its size;
 * 4. no block is larger than a tile, and no tile holds two blocks.
 * Nothing here takes longer for more tiles where one entry stands for all.
 */

import { blockCount, gridOf, type MappedWeight } from "../artifact/mapping.ts";
import type { Diagnostic } from "../diag/diagnostic.ts";
import { elemRead } from "../weights/safetensors.ts";
import { fault, placeOf, refuseAll, type SimCode } from "./faults.ts";
import type { Artifact } from "./load.ts";

export function checkWeights(artifact: Artifact): void {
  const faults: Diagnostic[] = [];
  const names = new Set<string>();
  for (const weight of artifact.mapping.weights) {
    const report = (code: SimCode, text: string) =>
      void faults.push(about(artifact, weight, code, text));
    if (names.has(weight.name)) report("A403", "it is mapped twice");
    names.add(weight.name);
    for (const text of [...cutFaults(weight), ...listFaults(weight)]) report("A403", text);
    for (const text of storedFaults(artifact, weight)) report("A403", text);
    for (const text of sizeFaults(artifact, weight)) report("A404", text);
  }
  faults.push(...tileFaults(artifact));
  refuseAll(faults);
}

const about = (artifact: Artifact, { name, nodes }: MappedWeight, code: SimCode, text: string) =>
  fault(code, `weight '${name}': ${text}`, placeOf(artifact, nodes, "mapping.json"));

function* cutFaults({ rows, cols, rowSplits, colSplits }: MappedWeight): Iterable<string> {
  for (const [axis, splits, end] of [
    ["rows", rowSplits, rows],
    ["columns", colSplits, cols],
  ] as const) {
    const rising = splits.every((s, i) => i === 0 || s > (splits[i - 1] ?? 0));
    if (splits[0] !== 0 || splits.at(-1) !== end || !rising) {
      yield `its ${axis} are cut at ${splits.join(", ")}, which must rise from 0 to ${end}`;
    }
  }
}

function* listFaults(weight: MappedWeight): Iterable<string> {
  const [rows] = gridOf(weight);
  const blocks = blockCount(weight);
  for (const [name, length] of [
    ["tiles", blocks],
    ["inputRange", rows],
    ["adcBound", blocks],
  ] as const) {
    const found = weight[name].length;
    if (found !== 1 && found !== length) {
      yield `'${name}' has ${found} entries, not ${length} or 1 for all`;
    }
  }
}

function* storedFaults({ tiles, images }: Artifact, weight: MappedWeight): Iterable<string> {
  if (!images) return;
  const { rows, cols, values, scales, elem } = weight;
  const held = tiles.get(values);
  if (!held) yield `tiles.safetensors has no '${values}'`;
  else if (String(held.shape) !== String(rows * cols) || held.elem !== elemRead(elem)) {
    yield `'${values}' is ${held.shape.join("x")} ${held.elem}, not ${rows * cols} ${elem}`;
  }
  yield* scalingFaults(tiles, weight);
  const [groups] = gridOf(weight);
  const gamma = tiles.get(scales);
  if (!gamma) yield `tiles.safetensors has no '${scales}'`;
  else if (gamma.elem !== "f32" || String(gamma.shape) !== String([groups, cols])) {
    yield `'${scales}' is ${gamma.shape.join("x")} ${gamma.elem}, not ${groups}x${cols} f32`;
  } else if (!(gamma.data as Float32Array).every((g) => g > 0)) yield `'${scales}' is not positive`;
}

function* scalingFaults(
  tiles: Artifact["tiles"],
  { quantised, rows, cols }: MappedWeight,
): Iterable<string> {
  if (!quantised) return;
  const size = [Math.ceil(rows / quantised.block), cols];
  for (const name of [quantised.scales, quantised.zeros]) {
    if (name === undefined) continue;
    const held = tiles.get(name);
    if (!held) yield `tiles.safetensors has no '${name}'`;
    else if (String(held.shape) !== String(size)) {
      yield `'${name}' is ${held.shape.join("x")}, not ${size.join("x")}`;
    }
  }
}

function* sizeFaults({ target }: Artifact, weight: MappedWeight): Iterable<string> {
  const { rows, cols } = target.tile;
  const size = [largestPart(weight.rowSplits), largestPart(weight.colSplits)];
  if ((size[0] ?? 0) <= rows.value && (size[1] ?? 0) <= cols.value) return;
  yield `a block has ${size.join(" x ")} elements, a tile ${rows.value} x ${cols.value}`;
}

const largestPart = (splits: readonly number[]): number =>
  splits.slice(1).reduce((most, to, i) => Math.max(most, to - (splits[i] ?? 0)), 0);

/** Tiles that follow one another and hold blocks of one weight. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly weight: MappedWeight;
  /** Number of the block on tile `from`. */
  readonly block: number;
}

/** Errors: A404 for the first tile that two blocks are on, and for nodes that the target does not have. */
function* tileFaults(artifact: Artifact): Iterable<Diagnostic> {
  const { count } = artifact.target.nodes;
  const runs = artifact.mapping.weights.flatMap(runsOf).sort((a, b) => a.from - b.from);
  const reach = count === "as-needed" ? Number.POSITIVE_INFINITY : count;
  let last: Run | undefined;
  for (const run of runs) {
    const at = (tile: number, { block, from }: Run): number => block + tile - from;
    if (last && run.from < last.to) {
      const other = `block ${at(run.from, last)} of '${last.weight.name}'`;
      const text = `block ${run.block}: tile ${run.from} already holds ${other}`;
      yield about(artifact, run.weight, "A404", text);
    }
    if (run.to > reach) {
      const tile = Math.max(run.from, reach);
      const text = `block ${at(tile, run)}: node ${tile} does not exist: ${artifact.target.name} has ${count}`;
      yield about(artifact, run.weight, "A404", text);
    }
    if (!last || run.to > last.to) last = run;
  }
}

function runsOf(weight: MappedWeight): Run[] {
  const [first = 0, ...more] = weight.tiles;
  if (more.length === 0) return [{ from: first, to: first + blockCount(weight), weight, block: 0 }];
  return weight.tiles.map((tile, block) => ({ from: tile, to: tile + 1, weight, block }));
}
