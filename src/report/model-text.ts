/**
 * A device model and a machine in formulas: what is done with every constant of their files, and the constants that
 * are in no file. docs/numerics.md has the sources.
 */

import { MOST_RETRIES } from "../sim/conversion.ts";
import { addsLevels, stepsOfWeights } from "../sim/level-sums.ts";
import { MOST_LAYER_SCALE } from "../sim/program-tiles.ts";
import { LEAST_RESPONSE } from "../sim/response.ts";
import { SMALLEST_X } from "../target/curve.ts";
import type { Device } from "../target/device.ts";
import type { Target } from "../target/schema.ts";

/** What compilation decides where samples do not. */
export interface Calibrating {
  /** Full scale of a DAC without samples. */
  readonly defaultRange: number;
  /** Full scale of an ADC by the largest result of the samples, and its smallest. */
  readonly headRoom: number;
  readonly leastBound: number;
  /** Smallest scale of a column. */
  readonly leastScale: number;
}

/** xi is a standard gaussian, drawn anew wherever it stands. */
export const deviceInWords = (device: Device, { leastScale }: Calibrating): string[] => [
  "what devices hold, step by step (xi: a standard gaussian, new wherever it stands):",
  "  weight     w = W / gamma, clipped to [-1, 1]; x = |w| = g / g_max",
  `  gamma      the largest |W| of the block's column, or what --calibrate chose; at least ${number(leastScale)}`,
  `  levels     ${device.levels ? `w rounded to multiples of 1/${device.levels.value}` : "continuous"}`,
  `  cell       ${cellOf(device)}`,
  `  programmed ${programmingOf(device)}`,
  `  verified   ${verifyOf(device)}`,
  `  stuck      ${stuckOf(device)}`,
  `  drift      ${driftOf(device)}`,
  `  1/f noise  ${flickerOf(device)}`,
  ...compensationOf(device),
  "  temperature is not modelled: the constants hold at that of their measurement",
  `  curves     ln x and powers take x as at least ${SMALLEST_X}`,
  "  random     Philox 4x32-10 by seed, purpose, device, block, element, vector or time; gaussians by Box and Muller",
];

function cellOf({ pair, devicesPerPolarity }: Device): string {
  const count = devicesPerPolarity.value;
  const several = count > 1 ? `, each the mean of ${count} devices that draw for themselves` : "";
  if (pair === "signed") return `one signed number${several}; noise may change its sign`;
  const idle =
    pair === "both" ? "the idle one is to hold 0, with noise" : "the idle one holds 0 exactly";
  return `a differential pair${several}; ${idle}`;
}

function programmingOf({ programming, gMax, pair }: Device): string {
  const { relativeTo, zeroBelow } = programming;
  const share =
    relativeTo === "layer"
      ? ` (largest gamma of the matrix / gamma, at most ${MOST_LAYER_SCALE})`
      : "";
  const noisy = `x + sigma(x)${share} / ${gMax.value} xi`;
  const zero = zeroBelow ? `; exactly 0 for x below ${number(zeroBelow.value / gMax.value)}` : "";
  return `g = ${pair === "signed" ? noisy : `max(0, ${noisy})`}${zero}`;
}

function verifyOf({ programming: { verify }, unit }: Device): string {
  if (!verify) return "no: programmed once";
  const { margin, iterations } = verify;
  return `xi is drawn again while |sigma xi| > ${margin.value} ${unit}, ${iterations.value} times at most`;
}

function stuckOf({ faults }: Device): string {
  if (!faults) return "no device";
  return `${faults.stuckOff.value} of all devices at 0, ${faults.stuckOn.value} at g_max, at all times`;
}

function driftOf({ drift }: Device): string {
  if (!drift) return "none";
  const t0 = drift.t0Seconds.value;
  const law = `g ((t + ${t0} s) / ${t0} s)^-nu, nu = |mean(x) + deviation(x) xi| once a device`;
  return `${law}; t since programming, none at t = 0`;
}

function flickerOf({ flicker, drift, pair }: Device): string {
  if (!flicker) return "none";
  const tRead = `${flicker.tReadSeconds.value} s`;
  const since = drift ? `t + ${drift.t0Seconds.value} s` : "t";
  const aged = `g (1 + q(g programmed) sqrt(ln((${since} + ${tRead}) / (2 ${tRead}))) xi)`;
  return `${pair === "signed" ? aged : `max(0, ${aged})`}, xi new at every t`;
}

function compensationOf({ compensation }: Device): string[] {
  if (!compensation) return ["  drift is not compensated"];
  const { readOut, schedule } = compensation;
  const answer =
    readOut === "one-hot"
      ? `the sum of |w|, at least ${LEAST_RESPONSE} a weight`
      : `the sum over columns of |sum over rows of w|, at least ${LEAST_RESPONSE} a column`;
  const when = !schedule
    ? "right before every use"
    : "atSeconds" in schedule
      ? `at ${schedule.atSeconds.join(", ")} s, and not before`
      : `every ${schedule.everySeconds.value} s, and not before`;
  return [
    "  compensation: a tile's results times its response at t = 0 over that when it was last measured",
    `  measured   ${when}`,
    `  response   ${answer}`,
  ];
}

/** One product on the tiles of a weight. */
export const productInWords = (target: Target, { leastBound, ...c }: Calibrating): string[] => {
  const { rows, cols, dac, adc } = target.tile;
  const { readNoise } = target.analog;
  const range =
    dac.range === "abs-max"
      ? "the largest |x| of the vector, 1 where all are 0"
      : `by calibration; without samples ${c.defaultRange}`;
  const lines = [
    "one product, step by step:",
    `  blocks     at most ${rows.value} x ${cols.value}, near-equal; their sums are added in float32`,
    `  DAC        x / alpha clipped to +-${dac.bound.value}, rounded half to even to multiples of ` +
      `${dac.bound.value}/${2 ** (dac.bits.value - 1) - 1}; alpha: ${range}`,
    "  array      z = sum w x",
    `  sums       ${sumsOf(target)}`,
    `  IR drop    ${irDropOf(target)}`,
    `  read noise ${readNoise.value > 0 ? `z + ${readNoise.value} sqrt(sum |w| x^2) xi` : "none"}`,
    `  S-shape    ${bendOf(target)}`,
    `  output     ${outputOf(target)}`,
    ...adcOf(target),
    `  B          by calibration: ${c.headRoom} times the largest result of the samples, ` +
      `from ${leastBound} to ${adc.bound.value}; without samples ${adc.bound.value}`,
    `  clipped    ${clippedOf(target)}`,
    "  affine     times alpha, gamma and the tile's compensation, in float32, exactly",
  ];
  return lines.flatMap((line) => line.split("\n"));
};

function irDropOf({ analog: { irDrop } }: Target): string {
  const { scale, wireOhm, gMaxSiemens } = irDrop;
  if (scale.value === 0) return "none";
  return (
    `z - ${scale.value} (0.05 a^3 - 0.2 a^2 + 0.5 a) sum w x (1 - (1 - j/n)^2) over the n rows j,\n` +
    `             a = ${number(wireOhm.value * gMaxSiemens.value)} n sum |w| |x| (${wireOhm.value} ohm, ${gMaxSiemens.value} S)`
  );
}

function bendOf({ analog: { sShape } }: Target): string {
  if (!sShape) return "none: linear";
  const { mean, deviation } = sShape;
  return `z / (1 + zeta |z|), zeta = |${mean.value} + ${deviation.value} xi| once a column`;
}

function adcOf({ tile: { adc } }: Target): string[] {
  if (adc.scheme === "symmetric") {
    const step = `B/${2 ** (adc.bits.value - 1) - 1}`;
    return [`  ADC        clipped to +-B, rounded half to even to multiples of ${step}`];
  }
  return [
    "  ADC        two counters: (S + z) / 2 and (S - z) / 2 with S = sum |w| |x|, each at least 0, with its",
    "             output noise clipped to [0, B] and rounded half to even to multiples of",
    `             B/${2 ** adc.bits.value - 1}; then subtracted`,
  ];
}

function outputOf({ tile: { adc }, analog: { outputNoise } }: Target): string {
  if (outputNoise.value === 0) return "no noise";
  const noisy = `${outputNoise.value} xi`;
  return adc.scheme === "symmetric" ? `z + ${noisy}` : `${noisy} of its own at each counter`;
}

/** What is computed with fewer digits than float32 has. */
function sumsOf(target: Target): string {
  if (!addsLevels(target, "noisy")) return "in float32";
  const { fine, coarse, near } = stepsOfWeights(target);
  return (
    `in float32; in noisy of integers: w and |w| in steps of a ${fine}th of the column's largest, |w| with\n` +
    `             x^2 of a ${coarse}th, and 1 - (1 - j/n)^2 as its mean over ${near} rows`
  );
}

const clippedOf = ({ tile: { adc } }: Target): string =>
  adc.whenClipped === "saturate"
    ? "stays clipped"
    : `a vector of which a result clips is read again with alpha doubled, ${MOST_RETRIES} times at most, with new noise`;

const number = (n: number): string => String(Number(n.toPrecision(6)));
