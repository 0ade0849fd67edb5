/** The report: one HTML page that needs nothing beside it, and no network. */

import { blockCount, type MappedWeight } from "../artifact/mapping.ts";
import type { Verification } from "../compare/verification.ts";
import type { Artifact } from "../sim/load.ts";
import type { Timeline } from "../sim/timeline.ts";
import { pipelineFigure, tilesFigure } from "./figures.ts";
import { escaped, htmlTable, section } from "./html.ts";
import { count, energy, percent, time, tiny } from "./units.ts";
import { kindCounts, placements, usageOf } from "./usage.ts";

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.sub { color: #5b6b7b; margin-top: .2rem; }
table { border-collapse: collapse; font-size: 13px; } th { text-align: left; color: #5b6b7b; font-weight: 600; }
td, th { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #e4e9ee; vertical-align: top; } .n { text-align: right; }
.facts { display: flex; flex-wrap: wrap; gap: 1.6rem; } .facts b { display: block; font-size: 1.3rem; }
svg { width: 100%; height: auto; } svg text { font-size: 10px; fill: #5b6b7b; }
.tile { fill: #f3f6f9; stroke: #c8d2dc; } .grid { stroke: #e4e9ee; }
details > summary { cursor: pointer; color: #31506e; margin: .4rem 0; }
`;

export function reportPage(
  artifact: Artifact,
  timing: Timeline,
  verifications: readonly Verification[] = [],
): string {
  const { model } = artifact.manifest;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(model.path)} on ${escaped(artifact.target.name)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style></head><body>
<h1>${escaped(model.path)}</h1>
<p class="sub">compiled for ${escaped(artifact.target.name)}: ${escaped(artifact.target.summary)}</p>
${facts(artifact, timing)}
${verifications.length > 0 ? quality(verifications) : ""}
${section("What went where, and why", kinds(artifact))}
${section("Tiles", floor(artifact))}
${section("Pipeline", `<p>The first inferences of a stream; solid: clusters, light: tiles.</p>`, pipelineFigure(timing.slices))}
${section("Weights", weights(artifact))}
${section("Machine and model", machine(artifact))}
</body></html>
`;
}

function facts(a: Artifact, timing: Timeline): string {
  const usage = usageOf(a.mapping, a.target);
  const fact = (value: string, what: string) =>
    `<div><b>${escaped(value)}</b>${escaped(what)}</div>`;
  return `<div class="facts">${[
    fact(count(a.manifest.model.parameters), "parameters"),
    fact(
      String(usage.tiles),
      usage.available === "as-needed" ? "tiles" : `tiles of ${usage.available}`,
    ),
    fact(percent(usage.used), "of their cells in use"),
    fact(time(timing.latencyNs), "latency"),
    fact(time(timing.intervalNs), "between inferences"),
    fact(energy(timing.energyNj / timing.inferences), "an inference"),
  ].join("")}</div>`;
}

function kinds(a: Artifact): string {
  const rows = kindCounts(a.mapping).map((k) => [
    k.place,
    k.kind,
    String(k.modules),
    count(k.parameters),
    k.tiles === 0 ? "-" : String(k.tiles),
    k.why,
  ]);
  const head = ["place", "kind", "modules", "parameters", "tiles", "why"];
  return htmlTable(head, rows, [2, 3, 4]) + branches(a);
}

function branches({ mapping }: Artifact): string {
  if (mapping.lora.length === 0) return "";
  const rows = mapping.lora.map((l) => [
    l.module || l.weight,
    String(l.rank),
    String(l.scale),
    l.trained ? "yes" : "no: B is zero",
  ]);
  return details(
    `${mapping.lora.length} LoRA side-branches`,
    htmlTable(["beside", "rank", "scale", "trained"], rows, [1, 2]),
  );
}

/** Tiles that are drawn: a browser shows this many squares without effort. */
const DRAWN = 4096;

function floor(a: Artifact): string {
  const placed = placements(a.mapping, a.target);
  const last = placed.reduce((most, p) => Math.max(most, p.block.tile + 1), 0);
  const tiles = a.target.nodes.count === "as-needed" ? last : a.target.nodes.count;
  const { rows, cols } = a.target.tile;
  const drawn = Math.min(tiles, DRAWN);
  const which = drawn < tiles ? ` The first ${drawn} of ${tiles} are drawn.` : "";
  const shown = drawn < tiles ? placed.filter((p) => p.block.tile < drawn) : placed;
  return (
    `<p>Each square is a tile of ${rows.value} × ${cols.value}; its filled part holds weights.${which}</p>` +
    tilesFigure(shown, drawn, { rows: rows.value, cols: cols.value })
  );
}

function weights({ mapping }: Artifact): string {
  const rows = mapping.weights.map((w) => [
    w.module || w.name,
    w.kind,
    `${w.rows} × ${w.cols}`,
    tilesText(w),
    w.inputRange.map((range) => Number(range.toPrecision(3))).join(", "),
    w.nodes.join(", "),
  ]);
  const digital = mapping.digital.map((d) => [
    d.module,
    d.kind,
    count(d.parameters),
    d.why,
    d.nodes.join(", "),
  ]);
  return [
    details(
      `${rows.length} weights on tiles`,
      htmlTable(["module", "kind", "in × out", "tiles", "DAC range", "ONNX nodes"], rows),
    ),
    details(
      `${digital.length} digital modules`,
      htmlTable(["module", "kind", "parameters", "why", "ONNX nodes"], digital, [2]),
    ),
  ].join("\n");
}

/** A weight's tiles follow one another, or are listed. */
function tilesText(w: MappedWeight): string {
  const last = blockCount(w) - 1;
  const [first = 0] = w.tiles;
  return w.tiles.length > 1 || last === 0 ? w.tiles.join(", ") : `${first} to ${first + last}`;
}

const details = (title: string, content: string): string =>
  `<details><summary>${escaped(title)}</summary>${content}</details>`;

function quality(verifications: readonly Verification[]): string {
  const rows = verifications.flatMap((v) =>
    (v.runs[0]?.outputs ?? []).map((o) => [
      v.mode,
      o.output,
      o.against,
      tiny(o.difference.relative),
      o.difference.cosine.toFixed(6),
      o.argmax === undefined ? "-" : percent(o.argmax),
      v.runs[0]?.metric?.toFixed(4) ?? "-",
    ]),
  );
  const head = ["mode", "output", "against", "max error", "cosine", "same argmax", "quality"];
  const reference = verifications.find((v) => v.referenceMetric !== undefined);
  const note = reference
    ? `<p>ONNX Runtime: ${reference.referenceMetric?.toFixed(4)} ${reference.metric?.title ?? ""}.</p>`
    : "";
  return section("How far from the original", note, htmlTable(head, rows, [3, 4, 5, 6]));
}

function machine(a: Artifact): string {
  const { model, options, compiler } = a.manifest;
  const { tile, cluster } = a.target;
  return htmlTable(
    ["what", "value"],
    [
      ["model", `${model.path}, opset ${model.opset}, ${model.producer}`],
      ["SHA-256", model.sha256],
      [
        "bound dimensions",
        Object.entries(model.dims)
          .map(([k, v]) => `${k} = ${v}`)
          .join(", ") || "none free",
      ],
      [
        "options",
        Object.entries(options)
          .map(([k, v]) => `${k} ${v}`)
          .join(", "),
      ],
      ["compiler", `aimcc ${compiler}`],
      [
        "tile",
        `${tile.rows.value} × ${tile.cols.value}, DAC ${tile.dac.bits.value} bit, ADC ${tile.adc.bits.value} bit, MVM ${tile.mvmNs.value} ns`,
      ],
      [
        "cluster",
        `${cluster.cores.value} cores ${cluster.isa}, ${cluster.clockMHz.value} MHz, TCDM ${cluster.tcdmKiB.value} KiB`,
      ],
    ],
  );
}
