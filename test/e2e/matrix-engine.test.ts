/** `compile --matrix-engine`: branches and digital linears in halves, in the same bits by kernels and by machine code. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { loadTarget } from "../../src/target/load.ts";
import { readAdapter } from "../../src/weights/adapter.ts";
import { readSafetensors } from "../../src/weights/safetensors.ts";
import { aimcc, place } from "./cli.ts";
import { compile, core } from "./corpus.ts";
import { trained } from "./trained-adapter.ts";

const { model, data } = core("distilbert_dynamic_t113hf433");
const [recorded = ""] = data;

interface Verified {
  readonly verdict: string;
  readonly runs: readonly { readonly outputs: readonly { readonly maxError: number }[] }[];
  readonly steps: readonly {
    readonly kernel: string;
    readonly blocks: number;
    readonly same: number;
  }[];
}

async function verified(dir: string, ...more: readonly string[]): Promise<Verified> {
  const ran = await aimcc("verify", dir, "--json", "--data", recorded, ...more);
  expect(ran.status, ran.stderr).toBe(0);
  return JSON.parse(ran.stdout) as Verified;
}

describe("a model with a trained adapter on matrix engines", () => {
  let [dir, adapter] = ["", ""];
  beforeAll(async () => {
    const fresh = join(place(), "fresh");
    await compile(model, fresh, recorded, { lora: { kind: "fresh", rank: 4, alpha: 8 } });
    adapter = trained(fresh);
    dir = join(place(), "artifact");
    const lora = { kind: "adapter", adapter: readAdapter(adapter) } as const;
    await compile(model, dir, recorded, {
      lora,
      matrixEngine: true,
      verifyEach: true,
      dump: "all",
    });
  });

  test("has the bits of its kernels in machine code", async () => {
    const { verdict, steps } = await verified(dir, "--isa");
    expect(verdict).toBe("agrees");
    const products = steps.filter((s) => /^nn\.(lora|linear)$/.test(s.kernel));
    expect(new Set(products.map((s) => s.kernel))).toEqual(new Set(["nn.lora", "nn.linear"]));
    for (const s of products) expect([s.kernel, s.same]).toEqual([s.kernel, s.blocks]);
  });

  test("loses what halves lose", async () => {
    const { runs } = await verified(dir);
    const worst = Math.max(...(runs[0]?.outputs ?? []).map((o) => o.maxError));
    expect(worst).toBeGreaterThan(1e-5);
    expect(worst).toBeLessThan(1e-2);
  });

  test("says so in the IR, and keeps the adapter as it was given", () => {
    const [file = ""] = readdirSync(join(dir, "ir")).filter((f) =>
      f.endsWith("-matrix-engine.mlir"),
    );
    const dump = readFileSync(join(dir, "ir", file), "utf8");
    const products = dump.split("\n").filter((line) => /nn\.(lora|linear)/.test(line));
    const digital = products.filter((line) => /nn\.lora|place = "digital"/.test(line));
    expect(digital.length).toBeGreaterThan(1);
    for (const line of digital) expect(line).toContain('engine = "redmule"');
    for (const line of products.filter((l) => l.includes('place = "analog"'))) {
      expect(line).not.toContain("engine");
    }
    const given = readSafetensors(join(adapter, "adapter_model.safetensors"));
    const kept = readSafetensors(join(dir, "lora", "adapter_model.safetensors"));
    expect([...kept].sort()).toEqual([...given].sort());
  });
});

test("a target without an engine is refused, and so is one whose memory is too small for it", async () => {
  const target = structuredClone(loadTarget("ahwa-lora"));
  target.name = "small";
  target.cluster.tcdmKiB.value = 11;
  const file = join(place(), "small.yaml");
  const compiled = () =>
    aimcc(
      "compile",
      model,
      "-t",
      file,
      "-o",
      join(place(), "out"),
      "--data",
      recorded,
      "--matrix-engine",
    );
  writeFileSync(file, stringify(target));
  const small = await compiled();
  expect(small.status).toBe(2);
  expect(small.stderr).toMatch(/A610.*what the matrix engine of cluster \d+ works on/s);
  const { matrixEngine: _, ...cluster } = target.cluster;
  writeFileSync(file, stringify({ ...target, cluster }));
  const none = await compiled();
  expect(none.status).toBe(2);
  expect(none.stderr).toMatch(/A211.*no matrix engine/s);
});
