/** Where a lowered model has what differs between chips from: out of itself, or with every run. */

import type { Block } from "../artifact/mapping.ts";
import type { Port, Value } from "../ir/op.ts";
import { bends } from "../sim/bends.ts";
import type { Artifact } from "../sim/load.ts";
import { type Programming, programTiles, type TileState } from "../sim/program-tiles.ts";
import type { TensorType } from "../tensor/tensor.ts";
import type { Builder } from "./builder.ts";

export interface Tile {
  readonly block: Block;
  /** Number for noise: the position over all blocks of mapping.json. */
  readonly number: number;
}

export interface ChipSource {
  /** Graph inputs besides those of the model. */
  readonly inputs: readonly Port[];
  /** Normalised weights as the devices hold them, [rows, cols]. */
  weights(b: Builder, tile: Tile): Value;
  /** What a column's normalised result is multiplied with, [cols]. */
  scales(b: Builder, tile: Tile): Value;
  /** zeta of the S-shaped transfer, [cols]. */
  bends(b: Builder, tile: Tile): Value;
  /** Standard gaussians of the shape of y, new with every vector. */
  gaussian(b: Builder, y: Value, tile: Tile, purpose: number): Value;
}

/** Nodes of this name become RandomNormalLike when the model is written: the IR itself is deterministic. */
export const NOISE = "analog-noise";

/** One chip, in constants and random nodes. */
export class ChipInside implements ChipSource {
  readonly inputs = [];
  private readonly artifact: Artifact;
  private readonly states: readonly TileState[];
  private readonly seed: number;

  constructor(artifact: Artifact, how: Programming) {
    this.artifact = artifact;
    this.states = [...programTiles(artifact, how)];
    this.seed = how.seed;
  }

  weights(b: Builder, { block, number }: Tile): Value {
    const size = [block.rows[1] - block.rows[0], block.cols[1] - block.cols[0]];
    return b.floats(size, this.state(number).weights);
  }

  scales(b: Builder, { number }: Tile): Value {
    const { scales } = this.state(number);
    return b.floats([scales.length], scales);
  }

  bends(b: Builder, { block, number }: Tile): Value {
    const cols = block.cols[1] - block.cols[0];
    const { sShape } = this.artifact.target.analog;
    if (!sShape) throw new Error("the target bends nothing");
    return b.floats([cols], bends(sShape, cols, this.seed, number));
  }

  gaussian(b: Builder, y: Value): Value {
    return b.op("Identity", [y], y.type, {}, [`${NOISE}/${this.seed}/${b.ops.length}`]);
  }

  private state(number: number): TileState {
    const found = this.states[number];
    if (!found) throw new Error(`there is no block ${number}`);
    return found;
  }
}

/** What a run is to be given for one input. */
export type Feed =
  | { readonly kind: "weights" | "scales" | "bends"; readonly name: string; readonly tile: Tile }
  | {
      readonly kind: "gaussian";
      readonly name: string;
      readonly tile: Tile;
      readonly purpose: number;
      readonly shape: TensorType["shape"];
    };

/** Any chip: its tiles and its noise are inputs of the graph, each once however often it is used. */
export class ChipFed implements ChipSource {
  readonly inputs: Port[] = [];
  readonly feeds: Feed[] = [];
  private readonly known = new Map<string, Value>();

  weights(_: Builder, tile: Tile): Value {
    const { rows, cols } = tile.block;
    const name = `chip.${tile.number}.weights`;
    return this.input({ kind: "weights", name, tile }, [rows[1] - rows[0], cols[1] - cols[0]]);
  }

  scales(_: Builder, tile: Tile): Value {
    const { cols } = tile.block;
    const name = `chip.${tile.number}.scales`;
    return this.input({ kind: "scales", name, tile }, [cols[1] - cols[0]]);
  }

  bends(_: Builder, tile: Tile): Value {
    const { cols } = tile.block;
    const name = `chip.${tile.number}.bends`;
    return this.input({ kind: "bends", name, tile }, [cols[1] - cols[0]]);
  }

  gaussian(_: Builder, { type: { shape } }: Value, tile: Tile, purpose: number): Value {
    const name = `chip.${tile.number}.noise.${purpose}.${shape.join("x")}`;
    return this.input({ kind: "gaussian", name, tile, purpose, shape }, shape);
  }

  private input(feed: Feed, shape: TensorType["shape"]): Value {
    const known = this.known.get(feed.name);
    if (known) return known;
    const value: Value = { id: feed.name, type: { elem: "f32", shape } };
    this.known.set(feed.name, value);
    this.inputs.push({ name: feed.name, value });
    this.feeds.push(feed);
    return value;
  }
}
