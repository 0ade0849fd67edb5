/** Which sums of a product are those of the inputs' levels, in 16-bit integers (src/wasm/levels.as.ts), and what that rounds. */

import type { Target } from "../target/schema.ts";
import type { Mode } from "./program-tiles.ts";

/** The largest level of a converter whose square is a 16-bit integer. */
const MOST_LEVEL = 181;

/** Products that are added up as integers, and those with squares; rows whose distances from the converter count as one. */
const RUN = 512;
const SQUARES = 64;
const NEAR = 8;

/** Levels of the inputs' converter a polarity. */
export const mostLevel = ({ tile }: Pick<Target, "tile">): number =>
  2 ** (tile.dac.bits.value - 1) - 1;

/** Two counters read one of the sums: it has to be as exact as they are. */
export function addsLevels(target: Target, mode: Mode): boolean {
  const { analog, tile } = target;
  if (mode !== "noisy" || tile.adc.scheme === "two-counter") return false;
  if (mostLevel(target) > MOST_LEVEL) return false;
  return analog.irDrop.scale.value > 0 || analog.readNoise.value > 0;
}

/** Steps of a column's largest weight: of w and |w| with levels, and of |w| with their squares; fewer rows have more. */
export function stepsOfWeights(target: Target): { fine: number; coarse: number; near: number } {
  const most = mostLevel(target);
  const rows = Math.ceil(target.tile.rows.value / 4) * 4;
  const within = (level: number, products: number): number =>
    Math.min(32767, Math.floor((2 ** 31 - 1) / (level * Math.min(products, rows))));
  return { fine: within(most, RUN), coarse: within(most * most, SQUARES), near: NEAR };
}
