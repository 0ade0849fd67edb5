/**
 * Tiles that are programmed when a product needs them, in a memory that holds few of them at once. Devices draw from
 * addresses, so a tile is the same however often it is programmed.
 */

import { type Block, blockCount, blocksOf, type MappedWeight } from "../artifact/mapping.ts";
import { newMemory, type SharedMemory, Wasm } from "../wasm/module.ts";
import type { Artifact } from "./load.ts";
import { modeOf, Programmer, type Programming } from "./program-tiles.ts";
import {
  type Bank,
  fill,
  firstByte,
  type PlacedTile,
  packBytes,
  placedAt,
  reach,
  sizeOf,
  type Tiles,
  workOf,
} from "./tile-memory.ts";

export class TileWindow implements Tiles {
  readonly banks: readonly Bank[];
  /** One thread works here. */
  readonly workBytes = 0;
  private readonly how: Programming;
  private readonly programmer: Programmer;
  private readonly wasm: Wasm;
  /** Number of the first block of each weight. */
  private readonly first = new Map<string, number>();
  /** Number of the block that each slot holds. A block has always the same slot. */
  private readonly held: (number | undefined)[];
  private readonly slotBytes: number;
  private readonly start = firstByte();

  /** The slots take at most so many bytes, unless that is too few for a single one. */
  constructor(artifact: Artifact, how: Programming, bytes: number) {
    this.how = how;
    this.programmer = new Programmer(artifact, how);
    let count = 0;
    let largest = 16;
    for (const weight of artifact.mapping.weights) {
      this.first.set(weight.name, count);
      count += blockCount(weight);
      for (const block of blocksOf(weight)) largest = Math.max(largest, sizeOf(block).bytes);
    }
    this.slotBytes = largest;
    const slots = Math.max(1, Math.min(count, Math.floor(bytes / largest)));
    this.held = new Array<number | undefined>(slots);
    const memory: SharedMemory = newMemory(0);
    // Tiles are packed in a place of its own: what products work with stays as it is between two tiles.
    const packing = this.start + slots * largest;
    const end = packing + packBytes(artifact);
    reach(memory, end + workOf(artifact));
    this.banks = [{ memory, end }];
    this.wasm = new Wasm(memory, packing);
  }

  *of(weight: MappedWeight): Generator<PlacedTile> {
    const first = this.first.get(weight.name) ?? 0;
    for (const [i, block] of blocksOf(weight).entries()) yield this.tile(weight, block, first + i);
  }

  private tile(weight: MappedWeight, block: Block, number: number): PlacedTile {
    const slot = number % this.held.length;
    const place = placedAt(this.start + slot * this.slotBytes, block, sizeOf(block));
    const tile = { ...place, mode: modeOf(weight, this.how), number, bank: 0 };
    if (this.held[slot] !== number) {
      fill(this.wasm, tile, this.programmer.program(weight, block, number));
      this.held[slot] = number;
    }
    return tile;
  }
}
