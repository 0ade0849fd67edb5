import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Mapping } from "../../src/artifact/mapping.ts";
import { place } from "./cli.ts";
import { compile, core } from "./corpus.ts";

/** SHA-256 of every file of a directory. */
const digests = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir, { recursive: true, encoding: "utf8" })
      .filter((f) => statSync(join(dir, f)).isFile())
      .sort()
      .map((f) => [
        f,
        createHash("sha256")
          .update(readFileSync(join(dir, f)))
          .digest("hex"),
      ]),
  );

describe.each(["mixtral_loop_t26hf446", "bert_mlm_static_t113hf433"])("%s", (name) => {
  const { model, data } = core(name);

  test("two compilations give identical bytes", async () => {
    const [one, two] = [join(place(), "one"), join(place(), "two")];
    await compile(model, one, data[0], { dump: "all" });
    await compile(model, two, data[0], { dump: "all" });
    const files = digests(one);
    expect(Object.keys(files)).toEqual(
      expect.arrayContaining(["manifest.json", "mapping.json", "schedule.json", "trace.json"]),
    );
    expect(digests(two)).toEqual(files);
  });
});

test("tables and digital weights of integers count as the numbers that they stand for", async () => {
  const counted = async (name: string) => {
    const dir = join(place(), name);
    const { model, data } = core(name);
    await compile(model, dir, data[0]);
    const { digital } = Mapping.parse(JSON.parse(readFileSync(join(dir, "mapping.json"), "utf8")));
    const sum = (kind: string) =>
      digital.filter((d) => d.kind === kind).reduce((n, d) => n + d.parameters, 0);
    return [sum("embedding"), sum("head")];
  };
  const [tables = 0, heads = 0] = await counted("bert_mlm_static_t113hf433");
  expect(tables).toBeGreaterThan(0);
  // The heads have 64 and 192 outputs; beside integers the biases are sums of their own.
  expect(await counted("bert_mlm_static_t113hf433_int8dyn")).toEqual([tables, heads - 64 - 192]);
});

describe("an artifact's files", () => {
  let dir = "";
  beforeAll(async () => {
    dir = join(place(), "artifact");
    const { model, data } = core("gpt2_lm_t113hf433");
    await compile(model, dir, data[0]);
  });

  test("are those that docs/artifact.md describes", () => {
    const described = readFileSync("docs/artifact.md", "utf8");
    for (const file of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
      const name = file
        .replace(/\d\d-[\w-]+\.mlir/, "NN-PASS.mlir")
        .replace(/cluster\d+\./, "clusterN.")
        .replace(/kernels\/.*\.S/, "kernels/*.S");
      expect(described, file).toContain(`\`${name}`);
    }
  });

  test("the report needs nothing from outside", () => {
    const page = readFileSync(join(dir, "report.html"), "utf8");
    expect(page).toContain("</html>");
    expect(page).not.toMatch(/(src|href)\s*=|@import|url\(/i);
    expect(page).toContain("h.0.attn.c_attn");
  });

  test("the trace is what Perfetto reads", () => {
    const { traceEvents } = JSON.parse(readFileSync(join(dir, "trace.json"), "utf8")) as {
      traceEvents: { ph: string; ts?: number; dur?: number }[];
    };
    const slices = traceEvents.filter((e) => e.ph === "X");
    expect(slices.length).toBeGreaterThan(50);
    expect(slices.every((e) => (e.ts ?? -1) >= 0 && (e.dur ?? -1) >= 0)).toBe(true);
  });
});
