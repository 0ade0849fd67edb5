/** What an artifact is, on one screen. */

import { count, percent } from "../../report/units.ts";
import { kindCounts, usageOf } from "../../report/usage.ts";
import type { Artifact } from "../../sim/load.ts";
import { table } from "../terminal.ts";

export function summaryFacts(a: Artifact) {
  const { model, compiler, options } = a.manifest;
  return {
    model,
    compiler,
    options,
    target: a.target.name,
    usage: usageOf(a.mapping, a.target),
    modules: kindCounts(a.mapping),
    lora: a.mapping.lora.length,
    steps: a.schedule.steps.length,
    clusters: a.schedule.clusters.length,
  };
}

export function describeSummary(a: Artifact): string {
  const { model } = a.manifest;
  const dims = Object.entries(model.dims).map(([k, v]) => `${k}=${v}`);
  const port = (p: (typeof model.inputs)[number]) =>
    `${p.name} ${p.elem}[${p.shape.map((d) => d ?? "?").join(", ")}]`;
  const fixed = model.inputs.flatMap((p) => (p.fixed ? [`${p.name}=${shown(p.fixed)}`] : []));
  return [
    table([
      ["model", `${model.path}, ${count(model.parameters)} parameters, opset ${model.opset}`],
      ["from", model.producer === "" ? "unknown exporter" : model.producer],
      ...(dims.length > 0 ? [["bound", dims.join(", ")]] : []),
      [
        "inputs",
        model.inputs
          .filter((p) => !p.fixed)
          .map(port)
          .join("; "),
      ],
      ...(fixed.length > 0 ? [["set", fixed.join(", ")]] : []),
      ["outputs", model.outputs.map(port).join("; ")],
      ["target", `${a.target.name}: ${a.target.summary}`],
      ["tiles", describeUsage(a)],
      ["side-branches", describeLora(a)],
      ["program", `${a.schedule.steps.length} steps on ${a.schedule.clusters.length} clusters`],
      ...remarkRows(a, "odd values", 5, (pass) => pass === "values"),
      ...remarkRows(a, "remarks", 2, (pass) => pass !== "values"),
    ]),
    "",
    describeKinds(a),
  ].join("\n");
}

/** What the compiler has to say of sample inputs and constants (`values`), or of other things: the first few. */
function remarkRows(
  { manifest }: Artifact,
  title: string,
  most: number,
  isShown: (pass: string) => boolean,
): string[][] {
  const found = manifest.remarks.filter((r) => isShown(r.pass)).map((r) => r.text);
  const more = found.length > most ? [`and ${found.length - most} more in manifest.json`] : [];
  return [...found.slice(0, most), ...more].map((text, i) => [i === 0 ? title : "", text]);
}

/** The first few of an input's values. */
const shown = (values: readonly number[]): string =>
  values.slice(0, 8).join(",") + (values.length > 8 ? ",..." : "");

export function describeUsage(a: Artifact): string {
  const usage = usageOf(a.mapping, a.target);
  const available = usage.available === "as-needed" ? "as needed" : `of ${usage.available}`;
  const held = `${count(usage.parameters)} weights in ${usage.blocks} blocks`;
  return `${usage.tiles} ${available}, ${percent(usage.used)} of their cells in use, ${held}`;
}

export function describeLora(a: Artifact): string {
  const branches = a.mapping.lora;
  if (branches.length === 0) return "none";
  const ranks = [...new Set(branches.map((b) => b.rank))].join(", ");
  const trained = branches.every((b) => b.trained) ? "" : ", not trained yet (B is zero)";
  return `${branches.length} LoRA branches of rank ${ranks}${trained}`;
}

/** Modules by kind: where they went and why. */
export function describeKinds(a: Artifact): string {
  const rows = kindCounts(a.mapping).map((k) => [
    k.place,
    k.kind,
    String(k.modules),
    count(k.parameters),
    k.tiles === 0 ? "-" : String(k.tiles),
    k.why,
  ]);
  const align = ["left", "left", "right", "right", "right"] as const;
  return table([["place", "kind", "modules", "parameters", "tiles", "why"], ...rows], align);
}
