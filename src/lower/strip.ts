/** Tiles side by side: they take the same inputs, so that their columns are those of one matrix. */

import { type Block, blocksOf, type MappedWeight } from "../artifact/mapping.ts";
import type { Target } from "../target/schema.ts";

export interface Tile {
  readonly weight: MappedWeight;
  readonly block: Block;
  /** Number for noise: the position over all blocks of mapping.json. */
  readonly number: number;
  /** Its first column of the strip's. */
  readonly at: number;
}

export interface Strip {
  readonly tiles: readonly [Tile, ...Tile[]];
  /** Rows of the weights, half open, that all tiles hold. */
  readonly rows: readonly [number, number];
  readonly cols: number;
}

/** A weight and the number of its first tile. */
export interface Placed {
  readonly weight: MappedWeight;
  readonly first: number;
}

/** One strip for each row of blocks of weights that are cut into the same rows; their columns follow one another. */
export function stripsOf(weights: readonly Placed[]): readonly Strip[] {
  const tiles: Tile[] = [];
  let cols = 0;
  for (const { weight, first } of weights) {
    const start = cols;
    tiles.push(
      ...blocksOf(weight).map((block, i) => {
        return { weight, block, number: first + i, at: start + block.cols[0] };
      }),
    );
    cols += weight.cols;
  }
  return rowsAlike(tiles).map((row) => ({ tiles: row, rows: row[0].block.rows, cols }));
}

/** Tiles by the rows that they hold. */
function rowsAlike(tiles: readonly Tile[]): readonly Strip["tiles"][] {
  const rows = new Map<number, Tile[]>();
  for (const tile of tiles) {
    const [start] = tile.block.rows;
    rows.set(start, [...(rows.get(start) ?? []), tile]);
  }
  return [...rows.values()] as unknown as Strip["tiles"][];
}

/** Different for strips of different tiles. */
export function nameOf({ tiles }: Strip): string {
  return tiles.map(({ number }) => number).join("-");
}

/** How many rows of the weights a strip holds. */
export function rowsOf({ rows: [from, to] }: Strip): number {
  return to - from;
}

/** One step of the DAC, inputs in units of the input range. */
export function inputStep({ tile: { dac } }: Target): number {
  return dac.bound.value / mostLevel(dac.bits.value);
}

/** The largest level of a converter for both signs. */
export function mostLevel(bits: number): number {
  return 2 ** (bits - 1) - 1;
}

/** Steps of the ADC from 0 to its full scale. */
export function adcLevels({ tile: { adc } }: Target): number {
  return adc.scheme === "symmetric" ? mostLevel(adc.bits.value) : 2 ** adc.bits.value - 1;
}

/** A number for each column. */
export function eachColumn(strip: Strip, of: (block: Block) => number): Float32Array {
  const columns = new Float32Array(strip.cols);
  for (const { block, at } of strip.tiles) columns.fill(of(block), at, at + widthOf(block));
  return columns;
}

export function widthOf({ cols: [from, to] }: Block): number {
  return to - from;
}

/** How many steps of its converter a column's normalised 1 is. */
export function perStep(strip: Strip, target: Target): Float32Array {
  return eachColumn(strip, ({ adcBound }) => adcLevels(target) / adcBound);
}
