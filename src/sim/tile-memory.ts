/**
 * The programmed tiles in memory that all threads share: weights in panels of 8 columns, scales and row distances, one
 * after another in as many WebAssembly memories as they need, and in each memory a place to work for every thread.
 */

import { type Block, blockCount, blocksOf, type MappedWeight } from "../artifact/mapping.ts";
import { giveBack } from "../tensor/storage.ts";
import { newMemory, type SharedMemory, Wasm } from "../wasm/module.ts";
import type { Artifact } from "./load.ts";
import {
  ALONE,
  type Mode,
  modeOf,
  type Programming,
  programTiles,
  type TileState,
  type Turn,
} from "./program-tiles.ts";

/** Vectors that go through a tile at once. */
export const ROWS_AT_ONCE = 128;

/** Weights that one memory holds, in bytes: half of what 32-bit addresses reach. */
const BANK_BYTES = 2 ** 31;

export interface PlacedTile {
  readonly block: Block;
  readonly mode: Mode;
  /** Number for noise: the position over all blocks of mapping.json. */
  readonly number: number;
  /** Index of the memory. */
  readonly bank: number;
  /** Byte addresses of the weights in panels of 8 columns, of the columns' scales, of the rows' distances. */
  readonly weights: number;
  readonly scales: number;
  readonly distance: number;
  readonly rows: number;
  readonly cols: number;
  /** Columns rounded up to a whole group of random words. */
  readonly width: number;
}

export interface Bank {
  readonly memory: SharedMemory;
  /** First byte behind the tiles. Every thread has `workBytes` of its own from there. */
  readonly end: number;
}

/** Where tiles are, and where threads work on them. */
interface Places {
  readonly banks: readonly Bank[];
  readonly workBytes: number;
}

/** All tiles of a machine under one programming. Plain data but for the memories, which threads share. */
export interface TileMemory extends Places {
  readonly tiles: readonly PlacedTile[];
}

/** What products run on. */
export interface Tiles extends Places {
  /** The tiles of a weight, each ready until the next is asked for. */
  of(weight: MappedWeight): Iterable<PlacedTile>;
}

export function heldTiles({ mapping }: Artifact, memory: TileMemory): Tiles {
  const placed = new Map<string, readonly PlacedTile[]>();
  let number = 0;
  for (const weight of mapping.weights) {
    const count = blockCount(weight);
    placed.set(weight.name, memory.tiles.slice(number, number + count));
    number += count;
  }
  return { ...memory, of: ({ name }) => placed.get(name) ?? [] };
}

/** A machine that is not programmed yet, with room for `threads` threads to work in. */
export function emptyTiles(artifact: Artifact, threads: number): TileMemory {
  const workBytes = workOf(artifact);
  const banks: { memory: SharedMemory; end: number }[] = [];
  const tiles: PlacedTile[] = [];
  for (const block of artifact.mapping.weights.flatMap(blocksOf)) {
    const size = sizeOf(block);
    let bank = banks.at(-1);
    if (!bank || bank.end + size.bytes > BANK_BYTES) {
      bank = { memory: newMemory(0), end: firstByte() };
      banks.push(bank);
    }
    const where = { bank: banks.length - 1, number: tiles.length };
    tiles.push({ mode: "ideal", ...where, ...placedAt(bank.end, block, size) });
    bank.end += size.bytes;
  }
  for (const bank of banks) reach(bank.memory, bank.end + threads * workBytes);
  return { banks, tiles, workBytes };
}

/** First byte of a memory that may hold tiles. */
export const firstByte = (): number => Math.ceil(new Wasm().call.heapBase() / 16) * 16;

export function placedAt(at: number, block: Block, size: Size) {
  const { rows, cols, width, weights, distanceAt } = size;
  const places = { weights: at, scales: at + weights, distance: at + distanceAt };
  return { block, ...places, rows, cols, width };
}

/** The same memory, programmed; what it held before is gone. */
export function programmed(memory: TileMemory, artifact: Artifact, how: Programming): TileMemory {
  programTurn(memory, artifact, how, ALONE);
  return withModes(memory, artifact, how);
}

/** Programs the blocks of one thread, in the place where it works. */
export function programTurn(
  { banks, workBytes, tiles }: TileMemory,
  artifact: Artifact,
  how: Programming,
  turn: Turn,
): void {
  const own = banks.map((bank) => new Wasm(bank.memory, bank.end + turn.thread * workBytes));
  for (const state of programTiles(artifact, how, turn)) {
    const tile = tiles[state.number] as PlacedTile;
    fill(own[tile.bank] as Wasm, tile, state);
  }
}

/** What is known about a memory that was programmed so. */
export function withModes(memory: TileMemory, artifact: Artifact, how: Programming): TileMemory {
  const modes = artifact.mapping.weights.flatMap((weight) =>
    new Array<Mode>(blockCount(weight)).fill(modeOf(weight, how)),
  );
  const tiles = memory.tiles.map((tile) => ({ ...tile, mode: modes[tile.number] as Mode }));
  return { ...memory, tiles };
}

export interface Size {
  readonly rows: number;
  readonly cols: number;
  readonly width: number;
  /** Bytes of the weights, of everything before the distances, and in all. */
  readonly weights: number;
  readonly distanceAt: number;
  readonly bytes: number;
}

export function sizeOf(block: Block): Size {
  const rows = block.rows[1] - block.rows[0];
  const cols = block.cols[1] - block.cols[0];
  const width = Math.ceil(cols / 16) * 16;
  const weights = rows * width * 4;
  const distanceAt = weights + width * 4;
  return { rows, cols, width, weights, distanceAt, bytes: distanceAt + Math.ceil(rows / 4) * 16 };
}

/** Bytes that one thread works in: vectors in and out of the largest block, and one panel. */
export function workOf({ mapping }: Artifact): number {
  const sizes = mapping.weights.flatMap((w) => blocksOf(w).map(sizeOf));
  const most = (of: (s: Size) => number) => sizes.reduce((m, s) => Math.max(m, of(s)), 16);
  const rows = Math.ceil(most((s) => s.rows) / 4) * 4;
  const width = most((s) => s.width);
  // Seven areas of results, four of inputs, the ranges, a panel of weights and the bends of columns; see conversion.ts.
  return 4 * (ROWS_AT_ONCE * (7 * width + 4 * rows + 1) + 16 * rows + width) + 1024;
}

export function reach(memory: SharedMemory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536));
}

/** Rows that are packed at once. */
const LINES = 16;

/** Bytes that `fill` works with. */
export const packBytes = ({ mapping }: Artifact): number =>
  mapping.weights.reduce(
    (most, { colSplits }) => Math.max(most, LINES * 4 * widest(colSplits)),
    16,
  );

const widest = (splits: readonly number[]): number =>
  splits.slice(1).reduce((most, to, i) => Math.max(most, to - (splits[i] ?? 0)), 0);

/** Puts a block into its place; the storage of disturbed weights is given back. */
export function fill(wasm: Wasm, tile: PlacedTile, state: TileState): void {
  const { rows, cols, width } = tile;
  const [from = 0] = wasm.scratch([LINES * cols]);
  for (let first = 0; first < rows; first += LINES) {
    const lines = state.weights.subarray(first * cols, (first + LINES) * cols);
    wasm.view(from, lines.length).set(lines);
    wasm.call.pack(from, tile.weights, first, lines.length / cols, rows, cols);
  }
  if (state.mode !== "ideal") giveBack(state.weights.buffer);
  wasm.view(tile.scales, width).set(state.scales);
  const far = wasm.view(tile.distance, rows);
  for (let j = 0; j < rows; j++) far[j] = 1 - (1 - j / rows) ** 2;
}
