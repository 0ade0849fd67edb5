/** What each way of choosing full scales costs, layer by layer: `calibration.json` as a table. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type CalibratedWeight,
  CalibrationReport,
  type Effect,
} from "../../artifact/calibration.ts";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { table } from "../terminal.ts";

/** Throws A003 when there is none: the artifact has no weights on tiles, or no samples showed their inputs. */
export function readCalibration(dir: string): CalibrationReport {
  const path = join(dir, "calibration.json");
  if (!existsSync(path)) {
    const hint =
      "compile with --data FOLDER, whose samples calibrate the converters, and a --policy that puts weights on tiles";
    fail("A003", "this artifact says nothing about calibration", inFile(path), hint);
  }
  const found = CalibrationReport.safeParse(parsed(path));
  if (!found.success)
    fail("A401", "it is no calibration report", inFile(path), "compile the model again");
  return found.data;
}

function parsed(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

const HEAD = ["weight", "of", "way", "full scale", "clipped", "SNR dB"];

/** The chosen way first, marked with a star. */
export function describeCalibration(weights: readonly CalibratedWeight[]): string {
  const rows = weights.flatMap((w) => {
    const [first = [], ...more] = (["dac", "adc", "columns"] as const).flatMap((of) => [
      ["", of, ...cells("*", w[of].chosen)],
      ...w[of].others.map((effect) => ["", "", ...cells(" ", effect)]),
    ]);
    return [[w.weight, ...first.slice(1)], ...more];
  });
  return table([HEAD, ...rows], ["left", "left", "left", "right", "right", "right"]);
}

const cells = (mark: string, effect: Effect): readonly string[] => [
  `${mark} ${effect.method}`,
  scaleText(effect),
  `${(100 * effect.clipped).toPrecision(3)} %`,
  effect.snrDb === null ? "-" : effect.snrDb.toFixed(1),
];

function scaleText({ low, high }: Effect): string {
  const short = (n: number): string => String(Number(n.toPrecision(3)));
  return low === high ? short(low) : `${short(low)} to ${short(high)}`;
}
