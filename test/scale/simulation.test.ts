/** Memory of a simulation, as models grow. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { aimcc } from "../../bench/command.ts";
import { chain, compile } from "./chain.ts";
import { formed } from "./forms.ts";

let folder = "";
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const place = (name: string): string => join(folder, name);

describe("memory of a simulation", () => {
  const layers = [10, 30] as const;
  /** Peaks of a command on models of the two sizes. */
  const peaks = (...args: readonly string[]): readonly number[] =>
    layers.map((n) => {
      const [command = "", ...options] = args;
      const { status, stderr, peak } = aimcc([command, place(`of-${n}`), ...options]);
      expect(status, stderr).toBe(0);
      return peak;
    });
  const bytes = (n: number): number => n * 2048 * 2048 * 4;
  const more = bytes(layers[1]) - bytes(layers[0]);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "aimcc-scale-"));
    for (const n of layers) {
      chain(n, 2048).write(place(`of-${n}.onnx`), "random");
      const { status, stderr } = compile(place(`of-${n}.onnx`), place(`of-${n}`));
      expect(status, stderr).toBe(0);
    }
  }, 180_000);

  test("does not grow with the model in a stream", { timeout: 180_000 }, () => {
    const stream = ["--mode", "noisy", "--stream"];
    for (const command of ["run", "verify"]) {
      const [small = 0, large = 0] = peaks(command, ...stream);
      expect(large - small, command).toBeLessThan(more / 5);
      expect(large, command).toBeLessThan(600 * 2 ** 20);
    }
  });

  /** 64 M weights: 256 MiB when they are widened, once in the simulator and once in ONNX Runtime. */
  test.each(["gemm", "halves", "blocks"] as const)(
    "does not grow with a digital weight in a stream: %s",
    { timeout: 180_000 },
    (form) => {
      const model = place(`${form}.onnx`);
      formed(form, 2 ** 16).write(model, "random");
      const made = compile(model, place(form), "--policy", "all-digital");
      expect(made.status, made.stderr).toBe(0);
      const { status, stderr, peak } = aimcc(["verify", place(form), "--stream"]);
      expect(status, stderr).toBe(0);
      expect(peak).toBeLessThan(600 * 2 ** 20);
    },
  );

  test("stays below 6 bytes a weight and 512 MiB otherwise", { timeout: 180_000 }, () => {
    for (const command of ["run", "verify"]) {
      for (const [i, peak] of peaks(command, "--mode", "noisy").entries()) {
        expect(peak, command).toBeLessThan(1.5 * bytes(layers[i] ?? 0) + 512 * 2 ** 20);
      }
    }
  });
});
