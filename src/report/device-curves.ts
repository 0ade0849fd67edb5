/** The curves of a device model, drawn with characters: what a user of `aimcc targets show` looks at. */

import { evaluateCurve } from "../target/curve.ts";
import type { Device } from "../target/device.ts";

const WIDTH = 61;
const HEIGHT = 12;

interface Series {
  readonly mark: string;
  readonly of: (x: number) => number;
}

/** Programming noise, drift exponent and 1/f noise over conductance, and conductance over time. */
export function drawDevice(device: Device): string[] {
  const { programming, drift, flicker, gMax } = device;
  const share = (x: number) => (100 * evaluateCurve(programming.sigma, x)) / gMax.value;
  const of =
    programming.relativeTo === "column" ? "of g_max" : "of the matrix's largest weight as g_max";
  const overX = ["g / g_max", "0", "0.5", "1"] as const;
  const lines = plot(`programming noise, % ${of}`, [{ mark: "*", of: share }], overX);
  if (flicker) {
    const q = (x: number) => 100 * evaluateCurve(flicker.q, x);
    lines.push(...plot("1/f read noise Q, %", [{ mark: "*", of: q }], overX));
  }
  if (!drift) return lines;
  const mean = (x: number) => evaluateCurve(drift.mean, x);
  const spread = (x: number) => evaluateCurve(drift.deviation, x);
  const exponent = [
    { mark: ".", of: (x: number) => mean(x) + spread(x) },
    { mark: ".", of: (x: number) => Math.max(0, mean(x) - spread(x)) },
    { mark: "*", of: mean },
  ];
  lines.push(...plot("drift exponent nu (*), one deviation around it (.)", exponent, overX));
  const left = (nu: number) => (u: number) =>
    100 * ((timeAt(u) + drift.t0Seconds.value) / drift.t0Seconds.value) ** -nu;
  const held = [
    { mark: "o", of: left(mean(0.1)) },
    { mark: "*", of: left(mean(1)) },
  ];
  const overTime = ["time", "1 s", "", "10 years"] as const;
  lines.push(...plot("conductance left, %: g_max (*), a tenth of it (o)", held, overTime));
  return lines;
}

const YEARS = 315_360_000;

/** From a second to ten years in equal ratios, for u in [0, 1]. */
const timeAt = (u: number): number => YEARS ** u;

function plot(
  title: string,
  series: readonly Series[],
  [axis, start, middle, end]: readonly [string, string, string, string],
): string[] {
  const us = Array.from({ length: WIDTH }, (_, i) => i / (WIDTH - 1));
  const values = series.map(({ of }) => us.map(of));
  const top = Math.max(...values.flat()) || 1;
  const grid = Array.from({ length: HEIGHT }, () => new Array<string>(WIDTH).fill(" "));
  for (const [s, list] of values.entries()) {
    for (const [i, v] of list.entries()) {
      const row = grid[Math.round((1 - v / top) * (HEIGHT - 1))];
      if (row) row[i] = series[s]?.mark ?? "*";
    }
  }
  const label = (row: number) => (top * (1 - row / (HEIGHT - 1))).toPrecision(3).padStart(8);
  const half = (WIDTH - 1) / 2;
  const foot = start.padEnd(half) + middle.padEnd(WIDTH - half - end.length) + end;
  return [
    title,
    ...grid.map((row, i) => `${label(i)} |${row.join("").trimEnd()}`),
    `${" ".repeat(9)}+${"-".repeat(WIDTH)} ${axis}`,
    `${" ".repeat(10)}${foot}`,
    "",
  ];
}
