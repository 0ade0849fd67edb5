import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { findMlirOpt, judgedBy } from "../judges.ts";
import { place } from "./cli.ts";
import { CORE, compile } from "./corpus.ts";

const mlirOpt = findMlirOpt();
const judged = judgedBy(mlirOpt, "mlir-opt", "mlir-19-tools");

judged.each(CORE.map((c) => [c.name, c] as const))(
  "mlir-opt accepts every dump of %s",
  async (_, { model, data }) => {
    const dir = join(place(), "artifact");
    await compile(model, dir, data[0], { dump: "all" });
    const dumps = readdirSync(join(dir, "ir")).filter((f) => f.endsWith(".mlir"));
    expect(dumps.length).toBeGreaterThanOrEqual(18);
    for (const file of dumps) {
      const path = join(dir, "ir", file);
      const args = ["--allow-unregistered-dialect", "-o", "/dev/null", path];
      const { status, stderr } = spawnSync(mlirOpt ?? "", args, { encoding: "utf8" });
      expect(stderr.slice(0, 500), file).toBe("");
      expect(status, file).toBe(0);
    }
  },
);
