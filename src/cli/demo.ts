/**
 * `npm run demo` and `npm run demo -- moe`: a trained sample all the way through, and what to look at.
 * It does what a user does with compile and verify, on validation text that the model has not seen.
 */

import { join } from "node:path";
import { type Verification, verifyArtifact } from "../compare/verification.ts";
import { part, type Sample, splitInferences } from "../data/sample.ts";
import { fail } from "../diag/diagnostic.ts";
import { labelsOfTensor } from "../metric/labels.ts";
import { metricOf } from "../metric/metric.ts";
import { floorPlan } from "../report/floor-plan.ts";
import { count, energy, percent, time } from "../report/units.ts";
import { kindCounts, placements } from "../report/usage.ts";
import { type Artifact, loadArtifact } from "../sim/load.ts";
import { loadPolicy } from "../target/policy.ts";
import { build } from "./build.ts";
import { explain } from "./explain.ts";
import { tensorCalled } from "./given-inputs.ts";
import { describeKinds, describeLora, describeUsage } from "./inspect/summary.ts";
import { tileCount } from "./inspect/tiles.ts";
import { MODES } from "./options.ts";
import { endQuietlyWithoutReader, out, paint, startProgress, table } from "./terminal.ts";
import { timed, writeReport } from "./trace.ts";

interface Demo {
  readonly folder: string;
  readonly what: string;
  readonly policy: string;
  /** A weight to look up, in the hints at the end. */
  readonly weight: string;
  /** Windows of 128 bytes that each mode predicts. */
  readonly windows: number;
}

const DEMOS: Readonly<Record<string, Demo>> = {
  gpt: {
    folder: "samples/gpt2-bytes",
    what: "a byte-level GPT-2 class model: 4 layers, hidden size 192, trained on public-domain English",
    policy: "default",
    weight: "h.0.attn.c_attn",
    windows: 64,
  },
  moe: {
    folder: "samples/olmoe-bytes",
    what: "a byte-level OLMoE class mixture of experts: 3 layers, hidden size 128, 8 experts of which a token uses 2",
    policy: "moe",
    weight: "layers.0.mlp.experts.0",
    windows: 24,
  },
};

const TARGET = "ahwa-lora";

async function main(name: string): Promise<void> {
  const demo = DEMOS[name];
  if (!demo) {
    const hint = "npm run demo, or npm run demo -- moe";
    return fail("A011", `there is no demo called '${name}'`, { kind: "command" }, hint);
  }
  const dir = join("out", `demo-${name}`);
  const progress = startProgress();
  title(`${demo.folder}/model.onnx for ${TARGET}`);
  out(demo.what);
  const began = performance.now();
  const request = {
    model: join(demo.folder, "model.onnx"),
    target: TARGET,
    output: dir,
    dims: {},
    data: join(demo.folder, "test_data_set_0"),
    policy: loadPolicy(demo.policy),
    lora: { kind: "fresh", rank: 8, alpha: 32 },
    tokens: "auto",
    seed: 0,
    dump: [],
    verifyEach: false,
  } as const;
  await build(request, (doing) => progress.show(doing));
  progress.done();
  const artifact = loadArtifact(dir);
  describeProgram(artifact, performance.now() - began);
  const results = await measure(artifact, demo, (doing) => progress.show(doing));
  progress.done();
  describeQuality(demo, results);
  writeReport(dir, results);
  describeNext(dir, demo);
}

const title = (text: string): void => out(`\n${paint.bold(text)}`);

function describeProgram(artifact: Artifact, ms: number): void {
  const { model } = artifact.manifest;
  const modules = kindCounts(artifact.mapping).reduce((n, k) => n + k.modules, 0);
  out(
    `${count(model.parameters)} parameters in ${modules} modules; ${model.producer}, opset ${model.opset}`,
  );
  title("What went where, and why");
  out(describeKinds(artifact));
  title("Tiles");
  const placed = placements(artifact.mapping, artifact.target);
  out(describeUsage(artifact));
  out(`\n${floorPlan(placed, tileCount(artifact, placed))}`);
  out(`\nside-branches: ${describeLora(artifact)}`);
  title("Pipeline");
  const timing = timed(artifact);
  const { steps, clusters } = artifact.schedule;
  const tokens = artifact.manifest.model.dims["sequence"];
  const busiest = Math.max(...[...timing.clusters.values()].map((u) => u.utilisation));
  out(
    table([
      [
        "program",
        `${steps.length} steps on ${clusters.length} clusters, compiled in ${(ms / 1000).toFixed(1)} s`,
      ],
      ["latency", `${time(timing.latencyNs)} for the first ${tokens} tokens`],
      ["throughput", `one such inference every ${time(timing.intervalNs)} in a full pipeline`],
      [
        "energy",
        `${energy(timing.energyNj / timing.inferences)} an inference, by the target's constants`,
      ],
      ["busiest cluster", `${percent(busiest)} of the time`],
    ]),
  );
}

/** Every mode on the first windows of the validation text. */
async function measure(
  artifact: Artifact,
  demo: Demo,
  tell: (doing: string) => void,
): Promise<readonly Verification[]> {
  const ids = tensorCalled("input_ids", join(demo.folder, "val_input_ids.pb"));
  const targets = tensorCalled("targets", join(demo.folder, "val_targets.pb"));
  const all = ids.shape[0] ?? 1;
  const inferences: readonly Sample[] = splitInferences(
    artifact.manifest.model.inputs,
    new Map([["input_ids", ids]]),
  ).slice(0, demo.windows);
  const results: Verification[] = [];
  for (const mode of MODES) {
    results.push(
      await verifyArtifact({
        artifact,
        model: artifact.manifest.model.path,
        inferences,
        recorded: new Map(),
        mode,
        seeds: [0],
        times: [0],
        metric: metricOf("bits-per-byte", labelsOfTensor(part(targets, 0, all / demo.windows))),
        tell,
      }),
    );
  }
  return results;
}

function describeQuality(demo: Demo, results: readonly Verification[]): void {
  title(`Quality on ${demo.windows} windows of 128 bytes that the model has not seen`);
  const reference = results[0]?.referenceMetric ?? Number.NaN;
  const rows = results.map((v) => {
    const [run] = v.runs;
    const [check] = run?.outputs ?? [];
    const bits = run?.metric ?? Number.NaN;
    return [
      v.mode,
      bits.toFixed(4),
      signed(bits - reference),
      check?.argmax === undefined ? "-" : percent(check.argmax),
      MEANING[v.mode],
    ];
  });
  out(
    table(
      [
        ["", "bits per byte", "change", "same next byte", ""],
        ["ONNX Runtime", reference.toFixed(4), "-", "-", "the original file, float32"],
        ...rows,
      ],
      ["left", "right", "right", "right"],
    ),
  );
  const [ideal] = results;
  out(
    ideal?.verdict === "agrees"
      ? paint.green("\nideal agrees with ONNX Runtime, layer by layer and at the output")
      : paint.red("\nideal does not agree with ONNX Runtime"),
  );
  if (ideal?.verdict !== "agrees") process.exitCode = 1;
}

/** With its sign, but no negative zero. */
function signed(n: number): string {
  const text = Math.abs(n).toFixed(4);
  return `${n < 0 && Number(text) !== 0 ? "-" : "+"}${text}`;
}

const MEANING = {
  ideal: "the mapping and the schedule, exact arithmetic",
  quantized: "+ 8-bit converters",
  noisy: "+ programming noise, read noise, IR drop, output noise, right after programming",
} as const;

function describeNext(dir: string, { weight }: Demo): void {
  title("Look next at");
  out(
    table([
      [join(dir, "report.html"), "everything on one page, in a browser"],
      [join(dir, "trace.json"), "the pipeline, in ui.perfetto.dev"],
      [join(dir, "ir"), "the model at each level, as text"],
      [`npm run -s aimcc -- inspect ${dir} --weight ${weight}`, "where a weight is"],
      [
        `npm run -s aimcc -- verify ${dir} --mode noisy --seeds 5 --time 1d`,
        "five chips after a day of drift",
      ],
    ]),
  );
}

endQuietlyWithoutReader();
try {
  await main(process.argv[2] ?? "gpt");
} catch (error) {
  process.exitCode = explain(error);
}
