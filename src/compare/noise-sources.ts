/** The imperfections of a machine one by one, and machines that lack one of them. */

import type { Artifact } from "../sim/load.ts";

export interface NoiseSource {
  readonly name: string;
  /** The same machine without it. */
  readonly off: (artifact: Artifact) => Artifact;
}

/** Bits of a converter that rounds away nothing that f32 would keep. */
const FINE_BITS = 24;
/** Times its range that such a converter takes without clipping. */
const WIDE = 64;

type Target = Artifact["target"];
type Change = (target: Target) => Target;

const inTarget =
  (change: Change) =>
  (artifact: Artifact): Artifact => ({ ...artifact, target: change(artifact.target) });

const device = (fields: Partial<Target["device"]>) =>
  inTarget((t) => ({ ...t, device: { ...t.device, ...fields } }));

const analog = (change: (a: Target["analog"]) => Partial<Target["analog"]>) =>
  inTarget((t) => ({ ...t, analog: { ...t.analog, ...change(t.analog) } }));

/** DAC: neither clips nor rounds. */
const withoutDac = inTarget((t) => {
  const { dac } = t.tile;
  const bits = { ...dac.bits, value: FINE_BITS };
  const bound = { ...dac.bound, value: dac.bound.value * WIDE };
  return { ...t, tile: { ...t.tile, dac: { ...dac, bits, bound } } };
});

/** ADC: neither clips nor rounds. */
function withoutAdc(artifact: Artifact): Artifact {
  const { target, mapping } = artifact;
  const { adc } = target.tile;
  const fine = {
    ...adc,
    bits: { ...adc.bits, value: FINE_BITS },
    whenClipped: "saturate" as const,
  };
  const weights = mapping.weights.map((w) => ({ ...w, adcBound: w.adcBound.map((b) => b * WIDE) }));
  return {
    ...artifact,
    target: { ...target, tile: { ...target.tile, adc: fine } },
    mapping: { ...mapping, weights },
  };
}

const withoutProgramming = inTarget((t) => {
  const { zeroBelow: _, verify: __, ...programming } = t.device.programming;
  const sigma = { ...programming.sigma, pieces: [{ polynomial: [0] }] };
  return { ...t, device: { ...t.device, programming: { ...programming, sigma } } };
});

/** Exponents of 0, but the time at which programming ended stays: 1/f noise counts from it, too. */
const withoutDrift = inTarget((t) => {
  const { drift } = t.device;
  if (!drift) return t;
  const none = { pieces: [{ polynomial: [0] }], source: drift.mean.source };
  return { ...t, device: { ...t.device, drift: { ...drift, mean: none, deviation: none } } };
});

/** What the machine has of these, in the order in which a signal meets them. */
export function noiseSources({ device: d, analog: a }: Target, mode: "quantized" | "noisy") {
  const converters: NoiseSource[] = [
    { name: "input converters", off: withoutDac },
    { name: "output converters", off: withoutAdc },
  ];
  const levels: NoiseSource[] = d.levels
    ? [{ name: "conductance levels", off: device({ levels: undefined }) }]
    : [];
  if (mode === "quantized") return [...converters, ...levels];
  const present: readonly (readonly [unknown, NoiseSource])[] = [
    [true, { name: "programming noise", off: withoutProgramming }],
    [d.faults, { name: "stuck devices", off: device({ faults: undefined }) }],
    [d.drift, { name: "drift", off: withoutDrift }],
    [d.flicker, { name: "1/f noise", off: device({ flicker: undefined }) }],
    [
      a.readNoise.value,
      { name: "read noise", off: analog((o) => ({ readNoise: { ...o.readNoise, value: 0 } })) },
    ],
    [
      a.irDrop.scale.value,
      {
        name: "IR drop",
        off: analog(({ irDrop }) => ({
          irDrop: { ...irDrop, scale: { ...irDrop.scale, value: 0 } },
        })),
      },
    ],
    [a.sShape, { name: "S-shaped transfer", off: analog(() => ({ sShape: undefined })) }],
    [
      a.outputNoise.value,
      {
        name: "output noise",
        off: analog((o) => ({ outputNoise: { ...o.outputNoise, value: 0 } })),
      },
    ],
  ];
  const disturbing = present.flatMap(([is, source]) => (is ? [source] : []));
  return [...converters, ...levels, ...disturbing];
}
