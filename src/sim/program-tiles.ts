/**
 * What is in the crossbars: the weights of every block as its devices hold them, with the digital scales that
 * undo the normalisation. In `ideal` nothing is disturbed; in `quantized` only conductance levels are.
 */

import { type Block, blocksOf, type MappedWeight } from "../artifact/mapping.ts";
import { type BlockScales, realNumbers } from "../tensor/block-scales.ts";
import { toF32 } from "../tensor/convert.ts";
import { float32s, type Tensor, type TensorData } from "../tensor/tensor.ts";
import { Wasm } from "../wasm/module.ts";
import { elementsOf, giveBackElements } from "../weights/tensor-file.ts";
import { Devices, type Instance } from "./devices.ts";
import { placeOf, refuse } from "./faults.ts";
import type { Artifact } from "./load.ts";

export const MODES = ["ideal", "quantized", "noisy"] as const;
export type Mode = (typeof MODES)[number];

export interface Programming extends Instance {
  readonly mode: Mode;
  /** Names of weights that are `ideal` whatever the mode is: what the others do shows. */
  readonly exact?: ReadonlySet<string>;
}

/** A block ready to run. */
export interface TileState {
  readonly block: Block;
  readonly mode: Mode;
  /** Number for noise: the position over all blocks of mapping.json. */
  readonly number: number;
  /** Row-major [rows, cols]: the file's weights in `ideal`, normalised ones otherwise. */
  readonly weights: Float32Array;
  /** Per column: what a normalised result is multiplied with after the ADC; 1 in `ideal`. */
  readonly scales: Float32Array;
}

/** One of several threads that take the blocks in turns. */
export interface Turn {
  /** From 0. */
  readonly thread: number;
  readonly of: number;
}

export const ALONE: Turn = { thread: 0, of: 1 };

/** All blocks of all weights in the order of mapping.json, one at a time, so that few are held at once. */
export function* programTiles(
  artifact: Artifact,
  how: Programming,
  { thread, of }: Turn = ALONE,
): Generator<TileState> {
  const programmer = new Programmer(artifact, how);
  let number = 0;
  for (const weight of artifact.mapping.weights) {
    for (const block of blocksOf(weight)) {
      if (number % of === thread) yield programmer.program(weight, block, number);
      number++;
    }
  }
}

/** Programs blocks in any order. Throws A415 where what leaves the converters is beyond single precision. */
export class Programmer {
  private readonly artifact: Artifact;
  private readonly how: Programming;
  private readonly devices: Devices;
  /** Of the weight that was asked for last. */
  private stored: (Stored & { readonly of: MappedWeight }) | undefined;

  constructor(artifact: Artifact, how: Programming) {
    this.artifact = artifact;
    this.how = how;
    this.devices = new Devices(artifact.target.device, new Wasm());
  }

  /** `number` is the position over all blocks of mapping.json. */
  program(weight: MappedWeight, block: Block, number: number): TileState {
    const { artifact, how, devices } = this;
    if (this.stored?.of !== weight) {
      this.stored = { ...storedValues(artifact, weight), of: weight };
    }
    const one = { ...how, mode: modeOf(weight, how) };
    const tile = programBlock(artifact, { ...this.stored, block, number }, one, devices);
    if (!isInReach(tile)) tooLarge(artifact, weight, this.stored.largest);
    return tile;
  }
}

export const modeOf = ({ name }: MappedWeight, { mode, exact }: Programming): Mode =>
  exact?.has(name) ? "ideal" : mode;

/** Whether the largest result that the converters can give is a number of single precision. */
function isInReach({ mode, block, scales }: TileState): boolean {
  if (mode === "ideal") return true;
  const most = Math.max(1, block.adcBound) * block.inputRange;
  return scales.every((s) => Number.isFinite(Math.fround(s * most)));
}

function tooLarge(artifact: Artifact, { name, nodes }: MappedWeight, largest: number): never {
  const text =
    `weight '${name}' reaches ${largest.toPrecision(3)}: behind the converters its products are beyond ` +
    "single precision, which ends at 3.4e38";
  return refuse("A415", text, placeOf(artifact, nodes, "mapping.json"));
}

/** What the artifact has of a weight, read once for all its blocks but for its values. */
interface Stored {
  /** Values of the weight, block after block. */
  readonly codes: Tensor;
  /** What makes them real where they are quantised by blocks. */
  readonly scaling: Scaling | null;
  /** gamma of the weight's columns, row of blocks after row of blocks. */
  readonly gamma: Float32Array;
  /** The largest of them. */
  readonly largest: number;
}

function storedValues({ tiles }: Artifact, weight: MappedWeight): Stored {
  const gamma = toF32(tiles.get(weight.scales) as Tensor);
  const codes = tiles.get(weight.values) as Tensor;
  const largest = gamma.reduce((a, b) => Math.max(a, b), 0);
  return { codes, scaling: scalesOf(tiles, weight), gamma, largest };
}

/**
 * How much larger than a column's own scale noise can be that is relative to the layer's: more than any converter
 * takes, and far from the ends of single precision.
 */
export const MOST_LAYER_SCALE = 2 ** 20;

interface StoredBlock extends Stored {
  readonly block: Block;
  readonly number: number;
}

function programBlock(
  { target }: Artifact,
  { block, number, codes, scaling, gamma: scales, largest }: StoredBlock,
  how: Programming,
  devices: Devices,
): TileState {
  const [rows, cols] = [block.rows[1] - block.rows[0], block.cols[1] - block.cols[0]];
  const data = elementsOf(codes, block.firstValue, block.firstValue + rows * cols);
  const values = scaling
    ? scaling.real(data, block)
    : toF32({ elem: codes.elem, shape: [rows, cols], data });
  const { mode } = how;
  if (mode === "ideal") {
    return { block, mode, number, weights: values, scales: new Float32Array(cols).fill(1) };
  }
  const gamma = scales.slice(block.firstScale, block.firstScale + cols);
  const weights = normalised(devices.wasm, values, gamma, target.device.levels?.value);
  giveBackElements(codes, data);
  if (mode === "quantized") return { block, mode, number, weights, scales: gamma };
  const layerScale = gamma.map((g) => Math.min(MOST_LAYER_SCALE, largest / g));
  const gain = devices.disturb({ weights, cols, layerScale, number }, how);
  return { block, mode, number, weights, scales: gamma.map((g) => g * gain) };
}

interface Scaling {
  real(codes: TensorData, block: Block): Float32Array;
}

function scalesOf(tiles: Artifact["tiles"], { quantised, cols }: MappedWeight): Scaling | null {
  if (!quantised) return null;
  const held = (name: string) => toF32(tiles.get(name) as Tensor);
  const { block, scales, zeros } = quantised;
  const all: BlockScales = {
    block,
    axis: 0,
    scales: held(scales),
    zeros: zeros === undefined ? null : held(zeros),
  };
  return {
    real: (codes, { rows: [firstRow], cols: [firstColumn, end] }) =>
      realNumbers(codes, all, {
        firstRow,
        firstColumn,
        columns: end - firstColumn,
        allColumns: cols,
      }),
  };
}

/** Rows that are normalised at once. */
const LINES = 16;

/** w / gamma of the column, clipped to [-1, 1]; with levels, on a grid of that many steps a polarity. */
function normalised(
  wasm: Wasm,
  values: Float32Array,
  gamma: Float32Array,
  levels: number | undefined,
): Float32Array {
  const cols = gamma.length;
  const out = float32s(values.length);
  const [scales = 0, from = 0, to = 0] = wasm.scratch([cols, LINES * cols, LINES * cols]);
  wasm.view(scales, cols).set(gamma);
  for (let first = 0; first < values.length; first += LINES * cols) {
    const part = values.subarray(first, first + LINES * cols);
    wasm.view(from, part.length).set(part);
    wasm.call.normalise(from, scales, to, part.length / cols, cols);
    out.set(wasm.view(to, part.length), first);
  }
  return levels === undefined ? out : out.map((w) => Math.round(w * levels) / levels);
}
