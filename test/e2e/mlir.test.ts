import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { place } from "./cli.ts";
import { CORE, compile } from "./corpus.ts";

/** Debian's mlir-opt, of whichever version is installed. */
function mlirOpt(): string {
  const versions = existsSync("/usr/lib")
    ? readdirSync("/usr/lib").filter((d) => d.startsWith("llvm-"))
    : [];
  const found = versions
    .map((d) => join("/usr/lib", d, "bin", "mlir-opt"))
    .filter((f) => existsSync(f))
    .at(-1);
  return found ?? "mlir-opt";
}

test("mlir-opt is installed: apt-get install mlir-19-tools", () => {
  expect(execFileSync(mlirOpt(), ["--version"], { encoding: "utf8" })).toContain("LLVM");
});

test.each(CORE.map((c) => [c.name, c] as const))(
  "mlir-opt accepts every dump of %s",
  async (_, { model, data }) => {
    const dir = join(place(), "artifact");
    await compile(model, dir, data[0], { dump: "all" });
    const dumps = readdirSync(join(dir, "ir")).filter((f) => f.endsWith(".mlir"));
    expect(dumps.length).toBeGreaterThanOrEqual(18);
    for (const file of dumps) {
      const path = join(dir, "ir", file);
      const args = ["--allow-unregistered-dialect", "-o", "/dev/null", path];
      const { status, stderr } = spawnSync(mlirOpt(), args, { encoding: "utf8" });
      expect(stderr.slice(0, 500), file).toBe("");
      expect(status, file).toBe(0);
    }
  },
);
