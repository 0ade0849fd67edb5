/** `--isa` as a user meets it: real models in machine code, against ONNX Runtime and their kernels. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { aimcc, place } from "./cli.ts";

const model = (name: string) => `test/corpus/${name}`;

async function compiled(name: string): Promise<string> {
  const dir = join(place(), "out");
  const data = ["--data", `${model(name)}/test_data_set_0`];
  const ran = await aimcc(
    "compile",
    `${model(name)}/model.onnx`,
    "-t",
    "hermes-64",
    "-o",
    dir,
    ...data,
  );
  expect(ran.status, ran.stderr).toBe(0);
  return dir;
}

describe("a language model in machine code", () => {
  const name = "gpt2_static_t113hf433";
  const data = ["--data", `${model(name)}/test_data_set_0`];

  test("agrees with the original, and every step with its kernel", async () => {
    const dir = await compiled(name);
    const { status, stdout, stderr } = await aimcc("verify", dir, "--isa", "--json", ...data);
    expect(status, stderr).toBe(0);
    const { verdict, steps } = JSON.parse(stdout) as {
      verdict: string;
      steps: { kernel: string; cycles: number; blocks: number; same: number; deviation: number }[];
    };
    expect(verdict).toBe("agrees");
    for (const s of steps) {
      expect(s.blocks, s.kernel).toBeGreaterThan(0);
      expect(s.cycles, s.kernel).toBeGreaterThan(0);
      // What is moved, added or done by tiles has the very bits.
      if (/^(?:mvm|aimc.sum|Add|nn.residual|Reshape|Transpose|Split)$/.test(s.kernel)) {
        expect(s.same, s.kernel).toBe(s.blocks);
      }
    }
  });

  test("writes outputs and a trace", async () => {
    const [dir, out] = [await compiled(name), place()];
    const trace = join(out, "trace.json");
    const ran = await aimcc(
      "run",
      dir,
      "--isa",
      "--mode",
      "noisy",
      ...data,
      "--out",
      out,
      "--trace",
      trace,
    );
    expect(ran.status, ran.stderr).toBe(0);
    expect(ran.stdout).toContain("noisy, in machine code");
    expect(existsSync(join(out, "output_0.pb"))).toBe(true);
    const { traceEvents } = JSON.parse(readFileSync(trace, "utf8")) as {
      traceEvents: { ph: string; cat?: string; dur?: number }[];
    };
    const slices = traceEvents.filter((e) => e.ph === "X");
    expect(new Set(slices.map((e) => e.cat))).toEqual(new Set(["tile", "kernel"]));
    expect(slices.every((e) => Number(e.dur) >= 0)).toBe(true);
  });

  test.each(["--engine=ort", "--explain", "--stream"])("does not go with %s", async (option) => {
    const { status, stderr } = await aimcc("verify", "nowhere", "--isa", option);
    expect([status, stderr]).toEqual([2, expect.stringContaining("A016")]);
  });
});
