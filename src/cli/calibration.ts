/** `--calibrate dac=percentile:99.9,adc=mse,columns=sigma:2.5`: how full scales are chosen. */

import type { Calibration } from "../../passes/options.ts";
import { fail } from "../diag/diagnostic.ts";
import { type Choice, LARGEST, showChoice } from "../tensor/full-scale.ts";

const PLACES = ["dac", "adc", "columns"] as const;
type PlaceName = (typeof PLACES)[number];

/** What is not named is chosen by its largest value. Throws A004. */
export function calibrationOf(text: string): Calibration {
  const chosen = new Map<PlaceName, Choice>();
  for (const part of text.split(",")) {
    const [name = "", way = ""] = part.split("=");
    const place = PLACES.find((p) => p === name);
    if (!place || chosen.has(place)) wrong(part, place ? "is there twice" : "names no converter");
    chosen.set(place, choiceFrom(part, way));
  }
  const of = (place: PlaceName): Choice => chosen.get(place) ?? LARGEST;
  return { dac: of("dac"), adc: of("adc"), columns: of("columns") };
}

function choiceFrom(part: string, way: string): Choice {
  const [method, number] = way.split(":");
  const n = Number(number);
  if (number === undefined && method === "max") return LARGEST;
  if (number === undefined && method === "mse") return { method };
  if (method === "percentile" && n > 0 && n <= 100) return { method, percent: n };
  if (method === "sigma" && n > 0 && n < Infinity) return { method, count: n };
  return wrong(part, "is no way to choose a full scale");
}

function wrong(part: string, why: string): never {
  const hint =
    "name dac, adc or columns, and one of max, percentile:P with P above 0 up to 100, sigma:N with N above 0, mse; " +
    "for example --calibrate dac=percentile:99.995,adc=mse";
  return fail("A004", `--calibrate: '${part}' ${why}`, { kind: "command" }, hint);
}

export const showCalibration = (c: Calibration): string =>
  PLACES.map((place) => `${place}=${showChoice(c[place])}`).join(",");
