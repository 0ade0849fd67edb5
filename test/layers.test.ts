import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

/** Who may import whom. A folder may always import itself; nothing else of ours is allowed. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  "src/diag": [],
  "src/wasm": [],
  "src/thread": ["src/diag"],
  "src/statistics": [],
  "src/riscv": ["src/diag"],
  "src/iss": ["src/diag", "src/riscv"],
  "src/tensor": ["src/diag", "src/wasm"],
  "src/codegen": ["src/diag", "src/tensor", "src/riscv", "src/artifact", "src/target"],
  "src/artifact": ["src/diag", "src/tensor"],
  "src/ir": ["src/diag", "src/tensor", "src/artifact"],
  "src/weights": ["src/diag", "src/tensor", "src/ir"],
  "src/target": ["src/diag"],
  "src/poly": ["src/diag", "src/artifact"],
  "src/onnx": ["src/diag", "src/tensor", "src/ir", "src/weights", "src/artifact"],
  passes: [
    "src/diag",
    "src/tensor",
    "src/ir",
    "src/weights",
    "src/target",
    "src/poly",
    "src/artifact",
  ],
  "src/backend": [
    "passes",
    "src/diag",
    "src/tensor",
    "src/ir",
    "src/weights",
    "src/target",
    "src/poly",
    "src/artifact",
    "src/onnx",
    "src/riscv",
    "src/codegen",
    "src/wasm",
    "src/thread",
  ],
  // The simulator sees the artifact and nothing of how it came about.
  "src/sim": [
    "src/diag",
    "src/tensor",
    "src/weights",
    "src/target",
    "src/artifact",
    "src/riscv",
    "src/iss",
    "src/wasm",
    "src/thread",
  ],
  "src/reference": ["src/diag", "src/tensor", "src/onnx", "src/weights", "src/artifact", "src/ir"],
  "src/data": ["src/diag", "src/tensor", "src/onnx", "src/weights", "src/ir"],
  "src/metric": ["src/diag", "src/tensor"],
  "src/compare": [
    "src/diag",
    "src/tensor",
    "src/metric",
    "src/statistics",
    "src/artifact",
    "src/reference",
    "src/onnx",
    "src/sim",
    "src/data",
    "src/weights",
  ],
  // The tiles of an artifact as ONNX operators, for `export`.
  "src/lower": [
    "src/diag",
    "src/tensor",
    "src/ir",
    "src/onnx",
    "src/weights",
    "src/target",
    "src/artifact",
    "src/sim",
    "src/reference",
    "src/thread",
    "src/wasm",
  ],
  "src/measure": [
    "src/diag",
    "src/tensor",
    "src/riscv",
    "src/codegen",
    "src/iss",
    "src/target",
    "src/artifact",
    "src/sim",
  ],
  "src/outline": ["passes", "src/diag", "src/tensor", "src/ir", "src/target"],
  "src/report": ["src/diag", "src/artifact", "src/target", "src/sim", "src/compare"],
};

/** May import everything, and nobody imports them. */
const TOP = ["src/driver", "src/cli"];

const files = ["src", "passes"].flatMap((root) =>
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((f) => f.endsWith(".ts") && !f.endsWith(".as.ts"))
    .map((f) => join(root, f)),
);

const layerOf = (file: string): string =>
  file.startsWith("passes") ? "passes" : file.split("/").slice(0, 2).join("/");

const importsOf = (file: string): readonly string[] =>
  [...readFileSync(file, "utf8").matchAll(/(?:from|import) "(\..+?)"/g)].map(([, path = ""]) =>
    normalize(join(dirname(file), path)),
  );

describe("layers", () => {
  test("every folder has a rule", () => {
    const known = [...Object.keys(MAY), ...TOP];
    expect(known).toEqual(expect.arrayContaining([...new Set(files.map(layerOf))]));
  });

  test.each(files.filter((f) => !TOP.includes(layerOf(f))))("%s", (file) => {
    const layer = layerOf(file);
    const allowed = [layer, ...(MAY[layer] ?? [])];
    for (const imported of importsOf(file)) {
      expect(allowed, `${file} imports ${imported}`).toContain(layerOf(imported));
    }
  });

  test("the command line is imported by nobody", () => {
    for (const file of files.filter((f) => layerOf(f) !== "src/cli")) {
      for (const imported of importsOf(file)) expect(layerOf(imported)).not.toBe("src/cli");
    }
  });
});

test("only the command line prints", () => {
  for (const file of files.filter((f) => layerOf(f) !== "src/cli")) {
    expect(readFileSync(file, "utf8"), file).not.toMatch(
      /console\.|process\.(stdout|stderr)\.write/,
    );
  }
});
