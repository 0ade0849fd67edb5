/** Where a weight is: its blocks, their tiles and converter ranges, its side-branch, its ONNX nodes. */

import { type Block, blocksOf, type MappedWeight } from "../../artifact/mapping.ts";
import { findWeights } from "../../report/find.ts";
import { percent } from "../../report/units.ts";
import { extent } from "../../report/usage.ts";
import type { Artifact } from "../../sim/load.ts";
import { toF32 } from "../../tensor/convert.ts";
import { table } from "../terminal.ts";

export const weightFacts = (a: Artifact, name: string) =>
  findWeights(a.mapping, name).map((w) => ({
    ...w,
    blocks: blocksOf(w),
    lora: a.mapping.lora.filter((l) => l.weight === w.name),
  }));

export const describeWeight = (a: Artifact, name: string): string =>
  findWeights(a.mapping, name)
    .map((w) => describe(a, w))
    .join("\n\n");

function describe(a: Artifact, w: MappedWeight): string {
  const layout = w.transposed ? ", stored [out, in] in the file" : "";
  const slice = w.slice === undefined ? "" : `, slice ${w.slice} of the stack`;
  const cells = a.target.tile.rows.value * a.target.tile.cols.value;
  const blocks = blocksOf(w).map((b, i) => [
    String(i),
    String(b.tile),
    `${b.rows[0]}..${b.rows[1]}`,
    `${b.cols[0]}..${b.cols[1]}`,
    percent((extent(b.rows) * extent(b.cols)) / cells),
    scalesOf(a, w, b),
    `+-${short(b.inputRange)}`,
    `+-${short(b.adcBound)}`,
  ]);
  const head = ["block", "tile", "rows", "columns", "used", "column scales", "DAC", "ADC"];
  const lora = a.mapping.lora
    .filter((l) => l.weight === w.name)
    .map((l) => `side-branch  LoRA rank ${l.rank}, scale ${short(l.scale)}${untrained(l.trained)}`);
  return [
    `${w.module || w.name} (${w.kind}): analog, because ${w.why}`,
    `initializer  ${w.initializer}${slice}`,
    `matrix       ${w.rows} inputs x ${w.cols} outputs, ${w.elem}${layout}`,
    ...(w.quantised ? [quantisedText(a, w.quantised)] : []),
    `ONNX nodes   ${w.nodes.join(", ")}`,
    ...lora,
    "",
    table([head, ...blocks], ["right", "right", "left", "left", "right"]),
  ].join("\n");
}

function quantisedText(a: Artifact, { block, scales, zeros }: Quantised): string {
  const elem = a.tiles.get(scales)?.elem ?? "real";
  const offset = zeros === undefined ? "" : ", less a zero point";
  return `quantised    integers${offset}, times one ${elem} scale for each ${block} inputs of an output`;
}

type Quantised = NonNullable<MappedWeight["quantised"]>;

const untrained = (trained: boolean): string => (trained ? "" : ", not trained yet (B is zero)");
const short = (n: number): string => String(Number(n.toPrecision(4)));

function scalesOf(a: Artifact, w: MappedWeight, { firstScale, cols }: Block): string {
  const tensor = a.tiles.get(w.scales);
  if (!tensor) return "";
  const scales = toF32(tensor).subarray(firstScale, firstScale + extent(cols));
  const low = scales.reduce((m, v) => Math.min(m, v), Infinity);
  const high = scales.reduce((m, v) => Math.max(m, v), 0);
  return `${short(low)} to ${short(high)}`;
}
