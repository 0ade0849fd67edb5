/**
 * What mapping.json and tiles.safetensors must say:
 * 1. the blocks of a weight cover each of its elements exactly once;
 * 2. the stored values and scales of a block have its size;
 * 3. no block is larger than a tile, and no tile holds two blocks.
 */

import type { Block, MappedWeight } from "../artifact/mapping.ts";
import type { Diagnostic } from "../diag/diagnostic.ts";
import { fault, placeOf, refuseAll, type SimCode } from "./faults.ts";
import type { Artifact } from "./load.ts";

export function checkWeights(artifact: Artifact): void {
  const faults: Diagnostic[] = [];
  const tiles = new Map<string, string>();
  const names = new Set<string>();
  for (const weight of artifact.mapping.weights) {
    const at = placeOf(artifact, weight.nodes, "mapping.json");
    const report = (code: SimCode, text: string) =>
      void faults.push(fault(code, `weight '${weight.name}': ${text}`, at));
    if (names.has(weight.name)) report("A403", "it is mapped twice");
    names.add(weight.name);
    const uncovered = coverage(weight);
    if (uncovered) report("A403", uncovered);
    for (const [i, block] of weight.blocks.entries()) {
      const size = stored(artifact, block);
      if (size) report("A403", `block ${i}: ${size}`);
      const tile = placed(artifact, block, `block ${i} of '${weight.name}'`, tiles);
      if (tile) report("A404", `block ${i}: ${tile}`);
    }
  }
  refuseAll(faults);
}

const show = ({ rows, cols }: Block): string =>
  `rows ${rows[0]}..${rows[1]} and columns ${cols[0]}..${cols[1]}`;

/** Why the blocks are no partition of the weight, or null. */
function coverage(weight: MappedWeight): string | null {
  let covered = 0;
  for (const [i, block] of weight.blocks.entries()) {
    const { rows, cols } = block;
    if (rows[0] >= rows[1] || cols[0] >= cols[1]) return `block ${i} is empty (${show(block)})`;
    if (rows[1] > weight.rows || cols[1] > weight.cols) {
      return `block ${i} (${show(block)}) lies outside ${weight.rows} x ${weight.cols}`;
    }
    covered += (rows[1] - rows[0]) * (cols[1] - cols[0]);
  }
  const overlap = overlapOf(weight.blocks);
  if (overlap) return overlap;
  const missing = weight.rows * weight.cols - covered;
  return missing === 0 ? null : `${missing} elements are in no block`;
}

/**
 * Two blocks that share an element, or null. Blocks come from top to bottom; each is only held against those
 * that reach below its first row, which in a grid are the blocks beside it.
 */
function overlapOf(blocks: readonly Block[]): string | null {
  const order = blocks.map((block, i) => ({ block, i }));
  order.sort((a, b) => a.block.rows[0] - b.block.rows[0] || a.block.cols[0] - b.block.cols[0]);
  let open: typeof order = [];
  let top = -1;
  for (const next of order) {
    const { rows } = next.block;
    if (rows[0] > top) open = open.filter(({ block }) => block.rows[1] > rows[0]);
    top = rows[0];
    const other = open.find(({ block }) => meet(block, next.block));
    if (other) {
      const [first, second] = other.i < next.i ? [other, next] : [next, other];
      return `blocks ${first.i} and ${second.i} overlap (${show(second.block)})`;
    }
    open.push(next);
  }
  return null;
}

const meet = (a: Block, b: Block): boolean =>
  a.rows[0] < b.rows[1] && b.rows[0] < a.rows[1] && a.cols[0] < b.cols[1] && b.cols[0] < a.cols[1];

function stored({ tiles, images }: Artifact, block: Block): string | null {
  if (!images) return null;
  const { rows, cols, values, scales } = block;
  const size = [rows[1] - rows[0], cols[1] - cols[0]];
  const held = tiles.get(values);
  if (!held) return `tiles.safetensors has no '${values}'`;
  if (String(held.shape) !== String(size)) {
    return `'${values}' has shape ${held.shape.join("x")}, not ${size.join("x")}`;
  }
  const gamma = tiles.get(scales);
  if (!gamma) return `tiles.safetensors has no '${scales}'`;
  if (gamma.elem !== "f32" || String(gamma.shape) !== String(size[1])) {
    return `'${scales}' is ${gamma.shape.join("x")} ${gamma.elem}, not ${size[1]} f32`;
  }
  return (gamma.data as Float32Array).every((g) => g > 0) ? null : `'${scales}' is not positive`;
}

function placed(
  { target }: Artifact,
  { rows, cols, node, tile }: Block,
  name: string,
  taken: Map<string, string>,
): string | null {
  const key = `tile ${tile} of node ${node}`;
  const owner = taken.get(key);
  taken.set(key, name);
  if (owner !== undefined) return `${key} already holds ${owner}`;
  if (target.nodes.count !== "as-needed" && node >= target.nodes.count) {
    return `node ${node} does not exist: ${target.name} has ${target.nodes.count}`;
  }
  const size = [rows[1] - rows[0], cols[1] - cols[0]] as const;
  const most = [target.tile.rows.value, target.tile.cols.value] as const;
  if (size[0] <= most[0] && size[1] <= most[1]) return null;
  return `it has ${size.join(" x ")} elements, a tile ${most.join(" x ")}`;
}
