/**
 * The programmed tiles in memory that all threads share: weights in panels of 8 columns, scales and row distances, one
 * after another in as many WebAssembly memories as they need, and in each memory a place to work for every thread.
 */

import { type Block, blocksOf } from "../artifact/mapping.ts";
import { newMemory, type SharedMemory, Wasm } from "../wasm/module.ts";
import type { Artifact } from "./load.ts";
import { type Mode, type Programming, programTiles, type TileState } from "./program-tiles.ts";

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

/** All tiles of a machine under one programming. Plain data but for the memories, which threads share. */
export interface TileMemory {
  readonly banks: readonly Bank[];
  readonly tiles: readonly PlacedTile[];
  readonly workBytes: number;
}

/** A machine that is not programmed yet, with room for `threads` threads to work in. */
export function emptyTiles(artifact: Artifact, threads: number): TileMemory {
  const workBytes = workOf(artifact);
  const heap = new Wasm().call.heapBase();
  const banks: { memory: SharedMemory; end: number }[] = [];
  const tiles: PlacedTile[] = [];
  for (const block of artifact.mapping.weights.flatMap(blocksOf)) {
    const { rows, cols, width, weights, distanceAt, bytes } = sizeOf(block);
    let bank = banks.at(-1);
    if (!bank || bank.end + bytes > BANK_BYTES) {
      bank = { memory: newMemory(0), end: Math.ceil(heap / 16) * 16 };
      banks.push(bank);
    }
    const { end } = bank;
    const place = { weights: end, scales: end + weights, distance: end + distanceAt };
    bank.end += bytes;
    const where = { bank: banks.length - 1, ...place, rows, cols, width };
    tiles.push({ block, mode: "ideal", number: tiles.length, ...where });
  }
  for (const bank of banks) reach(bank.memory, bank.end + threads * workBytes);
  return { banks, tiles, workBytes };
}

/** The same memory, programmed; what it held before is gone. */
export function programmed(memory: TileMemory, artifact: Artifact, how: Programming): TileMemory {
  const tiles = memory.tiles.slice();
  const banks = memory.banks.map((bank) => new Wasm(bank.memory, bank.end));
  for (const state of programTiles(artifact, how)) {
    const tile = memory.tiles[state.number] as PlacedTile;
    fill(banks[tile.bank] as Wasm, tile, state);
    tiles[state.number] = { ...tile, mode: state.mode };
  }
  return { ...memory, tiles };
}

interface Size {
  readonly rows: number;
  readonly cols: number;
  readonly width: number;
  /** Bytes of the weights, of everything before the distances, and in all. */
  readonly weights: number;
  readonly distanceAt: number;
  readonly bytes: number;
}

function sizeOf(block: Block): Size {
  const rows = block.rows[1] - block.rows[0];
  const cols = block.cols[1] - block.cols[0];
  const width = Math.ceil(cols / 16) * 16;
  const weights = rows * width * 4;
  const distanceAt = weights + width * 4;
  return { rows, cols, width, weights, distanceAt, bytes: distanceAt + Math.ceil(rows / 4) * 16 };
}

/** Bytes that one thread works in: vectors in and out of the largest block, and one panel. */
function workOf({ mapping }: Artifact): number {
  const sizes = mapping.weights.flatMap((w) => blocksOf(w).map(sizeOf));
  const most = (of: (s: Size) => number) => sizes.reduce((m, s) => Math.max(m, of(s)), 16);
  const rows = Math.ceil(most((s) => s.rows) / 4) * 4;
  // Six areas of results, four of inputs, a panel of weights and the ranges; see crossbar.ts.
  return 4 * (ROWS_AT_ONCE * (6 * most((s) => s.width) + 4 * rows + 1) + 16 * rows) + 1024;
}

function reach(memory: SharedMemory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536));
}

/** Rows that are packed at once. */
const LINES = 16;

function fill(wasm: Wasm, tile: PlacedTile, state: TileState): void {
  const { rows, cols, width } = tile;
  const [from = 0] = wasm.scratch([LINES * cols]);
  for (let first = 0; first < rows; first += LINES) {
    const lines = state.weights.subarray(first * cols, (first + LINES) * cols);
    wasm.view(from, lines.length).set(lines);
    wasm.call.pack(from, tile.weights, first, lines.length / cols, rows, cols);
  }
  wasm.view(tile.scales, width).set(state.scales);
  const far = wasm.view(tile.distance, rows);
  for (let j = 0; j < rows; j++) far[j] = 1 - (1 - j / rows) ** 2;
}
