/**
 * Runs chips on ONNX Runtime: the lowered model is made once, and each chip's tiles and noise are fed to it. The
 * noise has the addresses of src/sim/noise-address.ts, so a chip is the same as on the simulator.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { Module } from "../ir/op.ts";
import { exportModule, exportModuleToFile, needsDataFile } from "../onnx/export.ts";
import type { Artifact } from "../sim/load.ts";
import type { Mode } from "../sim/program-tiles.ts";
import type { PartResult } from "../sim/run-part.ts";
import type { Chip, StreamOptions } from "../sim/simulate.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { WeightStore } from "../weights/store.ts";
import { lowerExperts, lowerTiles } from "./analog.ts";
import { ChipFed, ChipNumbers, type Feed } from "./chip-source.ts";
import type { Drawn } from "./noise.ts";
import type { Share, Tensors } from "./ort-share.ts";
import { OrtThreads } from "./ort-threads.ts";
import { partsOf } from "./parts.ts";

/** A program and the constants that it names. */
export interface Program {
  readonly module: Module;
  readonly store: WeightStore;
}

/** Bytes of weights that all threads together may hold, and what a chip takes of them for each weight. */
const MOST_COPIED = 4 * 2 ** 30;
const BYTES_A_WEIGHT = 6;

/** Weights of fewer numbers make operators so small that threads within them wait for one another. */
const WORTH_THREADS = 2 ** 16;

export class OrtEngine {
  private readonly artifact: Artifact;
  private readonly program: Program;
  private readonly options: StreamOptions;
  private readonly threads: OrtThreads;
  /** The chip that is held. */
  private held: string | undefined;
  private ready: { readonly mode: Mode; readonly feeds: readonly Feed[] } | undefined;

  constructor(artifact: Artifact, program: Program, options: StreamOptions) {
    this.artifact = artifact;
    this.program = program;
    this.options = options;
    this.threads = new OrtThreads(sharesOf(artifact, options));
  }

  /** Errors: A416 for what ONNX cannot say. */
  async run(chip: Chip, progress: (done: number) => void): Promise<PartResult> {
    const { mode, seed = 0, timeSeconds = 0 } = chip;
    if (this.ready?.mode !== mode) {
      this.held = undefined;
      this.ready = { mode, feeds: await this.prepare(mode) };
    }
    const of = JSON.stringify([mode, seed, timeSeconds]);
    if (this.held !== of) await this.threads.hold(this.chipFeeds(chip, this.ready.feeds));
    this.held = of;
    return this.threads.run(seed, progress);
  }

  close(): Promise<void> {
    return this.threads.close();
  }

  /** Gives what a chip has to be made of. */
  private async prepare(mode: Mode): Promise<readonly Feed[]> {
    const { taps = [] } = this.options;
    const { module } = this.program;
    const chip = new ChipFed(false);
    const lowered = this.lowered(mode, chip);
    const waits = noiseOf(chip).flatMap(({ name, at }) => (at ? [[name, at] as const] : []));
    const parts = partsOf(lowered, new Map(waits));
    const outputs = module.outputs.map(({ name }) => name);
    await this.withFiles(parts, (models) =>
      this.threads.open({
        parts: models.map((model, p) => ({ model, noise: noiseOf(chip, parts[p]) })),
        outputs,
      }),
    );
    if (taps.length === 0) return chip.feeds;
    const whole = new ChipFed(true);
    const inside = this.lowered(mode, whole);
    await this.withFiles([inside], async ([model]) => {
      if (model) await this.threads.lookInside({ model, noise: noiseOf(whole), taps });
    });
    return [...new Map([...chip.feeds, ...whole.feeds].map((feed) => [feed.name, feed])).values()];
  }

  private lowered(mode: Mode, chip: ChipFed): Module {
    const { module } = this.program;
    return mode === "ideal" ? lowerExperts(module) : lowerTiles(module, this.artifact, mode, chip);
  }

  /** Modules as the bytes of files, or as files where these would be too many. */
  private async withFiles(
    modules: readonly Module[],
    use: (models: readonly (string | Uint8Array)[]) => Promise<void>,
  ): Promise<void> {
    const { store } = this.program;
    const folders: string[] = [];
    try {
      const models = modules.map((module) => {
        if (!needsDataFile(module)) return exportModule(module, store);
        const folder = mkdtempSync(join(tmpdir(), "aimcc-"));
        folders.push(folder);
        const path = join(folder, "lowered.onnx");
        exportModuleToFile(module, store, path);
        return path;
      });
      await use(models);
    } finally {
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    }
  }

  /** What is the same for all vectors. */
  private chipFeeds(chip: Chip, feeds: readonly Feed[]): Tensors {
    const { seed = 0, timeSeconds = 0 } = chip;
    const numbers = new ChipNumbers(this.artifact, { ...chip, seed, timeSeconds });
    const found = new Map<string, Tensor>();
    for (const feed of feeds) {
      if (feed.kind === "part") found.set(feed.name, numbers.of(feed.strip).get(feed.part));
    }
    return found;
  }
}

/** The noise of a chip, or of what a part takes of it. */
function noiseOf({ feeds }: ChipFed, part?: Module): readonly Drawn[] {
  const taken = part && new Set(part.inputs.map(({ value }) => value.id));
  return feeds
    .filter((feed) => feed.kind === "gaussian")
    .filter(({ name }) => taken?.has(name) ?? true);
}

/**
 * Inferences side by side first. Threads that were asked for and are left over work within operators, where that is no loss.
 */
function sharesOf({ mapping }: Artifact, { inputs, threads }: StreamOptions): readonly Share[] {
  const cells = mapping.weights.reduce((n, { rows, cols }) => n + rows * cols, 0);
  const copies = Math.max(1, Math.floor(MOST_COPIED / (BYTES_A_WEIGHT * cells)));
  const most = Math.min(threads ?? availableParallelism(), inputs.length, copies);
  const count = Math.max(1, most);
  const isWorth = cells / mapping.weights.length >= WORTH_THREADS;
  const within = isWorth ? Math.max(1, Math.floor((threads ?? 1) / count)) : 1;
  const edge = (k: number): number => Math.floor((k * inputs.length) / count);
  return Array.from({ length: count }, (_, k) => ({
    inputs: inputs.slice(edge(k), edge(k + 1)),
    first: edge(k),
    threads: within,
  }));
}
