import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { differenceOf } from "../../src/compare/difference.ts";
import { readTensorFile, writeProtoFile } from "../../src/data/tensor-file.ts";
import { runModel } from "../../src/reference/run.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { aimcc, aimccProcess, place } from "./cli.ts";
import { core } from "./corpus.ts";

const { model, data } = core("gpt2_lm_t113hf433");
const [recorded = ""] = data;
let work = "";
let dir = "";

beforeAll(async () => {
  work = place();
  dir = join(work, "gpt2");
  const done = await aimcc(
    "compile",
    model,
    "-t",
    "ahwa-lora",
    "-o",
    dir,
    "--data",
    recorded,
    "--lora",
    "rank=4",
  );
  expect(done.stderr).toBe("");
  expect(done.status).toBe(0);
  expect(done.stdout).toContain("side-branches  ");
});

const read = (path: string): Tensor => readTensorFile(path)[0]?.value as Tensor;

describe("run", () => {
  test("writes the outputs in the layout that it reads", async () => {
    const results = join(work, "results");
    const { status, stdout } = await aimcc("run", dir, "--data", recorded, "--out", results);
    expect(status).toBe(0);
    expect(stdout).toContain("logits");
    expect(readdirSync(results)).toEqual(["output_0.pb"]);
    const expected = read(join(recorded, "output_0.pb"));
    expect(differenceOf(read(join(results, "output_0.pb")), expected).relative).toBeLessThan(1e-5);
  });

  test("the same seed gives the same noise, another seed another", async () => {
    const out = async (name: string, seed: string) => {
      const to = join(work, name);
      await aimcc("run", dir, "--data", recorded, "--mode", "noisy", "--seed", seed, "--out", to);
      return readFileSync(join(to, "output_0.pb"));
    };
    const one = await out("one", "3");
    expect((await out("same", "3")).equals(one)).toBe(true);
    expect((await out("other", "4")).equals(one)).toBe(false);
  });

  test("inputs come by name, and a longer batch is a stream", async () => {
    const ids = read(join(recorded, "input_0.pb"));
    const twice = {
      ...ids,
      shape: [2 * (ids.shape[0] ?? 1), ...ids.shape.slice(1)],
      data: BigInt64Array.from([...ids.data, ...ids.data] as bigint[]),
    };
    writeProtoFile(join(work, "ids.pb"), "ids", twice);
    const to = join(work, "stream");
    const { status, stdout } = await aimcc(
      "run",
      dir,
      "--inputs",
      `input_ids=${join(work, "ids.pb")}`,
      "--out",
      to,
    );
    expect(status).toBe(0);
    expect(stdout).toContain("then one every");
    const all = read(join(to, "output_0.pb"));
    expect(all.shape[0]).toBe(2 * (ids.shape[0] ?? 1));
    const half = all.data.length / 2;
    expect(all.data.slice(0, half)).toEqual(all.data.slice(half));
  });
});

describe("verify", () => {
  test("says that it agrees, with status 0", async () => {
    const { status, stdout, stderr } = await aimcc("verify", dir, "--data", recorded);
    expect(status).toBe(0);
    expect(stdout).toMatch(/logits\s+ONNX Runtime[^\n]*100\.0 %/);
    expect(stdout).toMatch(/logits\s+recorded[^\n]*100\.0 %/);
    expect(stdout).toMatch(/^agrees/m);
    expect(stderr).toBe("");
  });

  test("a recording that the original file does not give is told apart from a fault of the program", async () => {
    const strange = join(work, "strange");
    cpSync(recorded, strange, { recursive: true });
    const logits = read(join(strange, "output_0.pb"));
    const data = Float32Array.from(logits.data as Float32Array, (x) => 2 * x);
    writeProtoFile(join(strange, "output_0.pb"), "logits", { ...logits, data });
    const { status, stdout } = await aimcc("verify", dir, "--data", strange);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^ONNX Runtime on the original file is itself up to 5\.0e-1 off/m);
    expect(stdout).not.toContain("first layer beyond");
  });

  test("results that are near, but in another order, say so", async () => {
    const turned = join(work, "turned");
    cpSync(recorded, turned, { recursive: true });
    const logits = read(join(turned, "output_0.pb"));
    const data = Float32Array.from(logits.data as Float32Array);
    const width = logits.shape.at(-1) ?? 1;
    const gaps = Array.from({ length: data.length / width }, (_, v) => {
      const row = data.subarray(v * width, (v + 1) * width);
      const [first = 0, second = 0] = [...row].toSorted((a, b) => b - a);
      return { row, first, second, gap: first - second };
    });
    const [near] = gaps.toSorted((a, b) => a.gap - b.gap);
    if (!near) throw new Error("no vectors");
    const [from, to] = [near.row.indexOf(near.first), near.row.indexOf(near.second)];
    [near.row[from], near.row[to]] = [near.second, near.first];
    writeProtoFile(join(turned, "output_0.pb"), "logits", { ...logits, data });
    const { status, stdout } = await aimcc("verify", dir, "--data", turned);
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^differs: within 0\.001 of the original, but \S+ % of the vectors of 'logits' have another/m,
    );
  });

  test("--json has the documented fields", async () => {
    const { stdout } = await aimcc(
      "verify",
      dir,
      "--mode",
      "noisy",
      "--seeds",
      "3",
      "--time",
      "1d",
      "--json",
    );
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({
      verdict: "reported",
      mode: "noisy",
      tolerance: null,
      firstDeviating: null,
    });
    expect(result.runs.map((r: { seed: number }) => r.seed)).toEqual([0, 1, 2]);
    expect(result.runs[0].layers.length).toBeGreaterThan(20);
    expect(result.summary.relative.halfWidth95).toBeGreaterThan(0);
    const documented = readFileSync("docs/json.md", "utf8");
    for (const field of Object.keys(result)) expect(documented).toContain(`\`${field}\``);
  });

  test("a tolerance makes noise a matter of verdict: status 1, and the first layer beyond it", async () => {
    const { status, stdout } = await aimcc("verify", dir, "--mode", "noisy", "--tolerance", "1e-6");
    expect(status).toBe(1);
    expect(stdout).toMatch(/^differs: beyond 0\.000001/m);
    expect(stdout).toMatch(/first layer beyond it: .*c_attn.*weight .*c_attn/s);
    expect(stdout).toMatch(/nodes \/\S*c_attn/);
  });

  test("another file than the one that was compiled is refused", async () => {
    const { status, stderr } = await aimcc(
      "verify",
      dir,
      "--model",
      core("bert_mlm_static_t113hf433").model,
    );
    expect(status).toBe(2);
    expect(stderr).toMatch(/A432/);
  });
});

describe("inspect", () => {
  test("where is h.0.attn.c_attn?", async () => {
    const { status, stdout } = await aimcc("inspect", dir, "--weight", "h.0.attn.c_attn");
    expect(status).toBe(0);
    expect(stdout).toContain(
      "transformer.h.0.attn.c_attn (attention-projection): analog, because ",
    );
    expect(stdout).toMatch(/ONNX nodes {3}.*\/m\/transformer\/h\.0\/attn\/c_attn\/Gemm/);
    expect(stdout).toMatch(/side-branch {2}LoRA rank 4/);
    const [weight] = JSON.parse(
      (await aimcc("inspect", dir, "--weight", "h.0.attn.c_attn", "--json")).stdout,
    );
    const matrix = new RegExp(`${weight.rows} inputs x ${weight.cols} outputs`);
    expect(stdout).toMatch(matrix);
    expect(weight.blocks.length).toBeGreaterThan(0);
  });

  test("a block of the network means all of its weights", async () => {
    const weights = JSON.parse((await aimcc("inspect", dir, "--weight", "h.1", "--json")).stdout);
    expect(weights.map((w: { module: string }) => w.module.replace("transformer.", ""))).toEqual([
      "h.1.attn.c_attn",
      "h.1.attn.c_proj",
      "h.1.mlp.c_fc",
      "h.1.mlp.c_proj",
    ]);
  });

  test("a slip gets the nearest names", async () => {
    const { status, stderr } = await aimcc("inspect", dir, "--weight", "h.0.attn.c_atn");
    expect(status).toBe(2);
    expect(stderr).toMatch(/A440.*did you mean .*c_attn/s);
  });

  test.each([
    [[], /tiles\s+\d+ as needed/],
    [["--ops"], /mvm\s+\d+.*c_attn/],
    [["--tiles"], /cells in use: · none/],
    [["--schedule"], /^cluster 0$/m],
    [["--node", "/m/transformer/h.0/attn/c_attn/Gemm"], /became \d+ steps?/],
    [["--node", "0"], /^node 0 of ahwa-lora$/m],
  ])("%s answers in text and in JSON", async (options, text) => {
    expect((await aimcc("inspect", dir, ...options)).stdout).toMatch(text);
    const { status, stdout } = await aimcc("inspect", dir, ...options, "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toBeTypeOf("object");
  });

  test("a dump can be asked as well", async () => {
    const dump = readdirSync(join(dir, "ir")).find((f) => f.endsWith("-schedule.mlir")) ?? "";
    const facts = JSON.parse((await aimcc("inspect", join(dir, "ir", dump), "--json")).stdout);
    expect(facts).toMatchObject({ level: "program", inputs: [{ name: "input_ids" }] });
    expect(facts.kinds["program.launch"]).toBeGreaterThan(3);
  });
});

describe("export", () => {
  const onOrt = async (path: string): Promise<Tensor> => {
    const ids = read(join(recorded, "input_0.pb"));
    return (await runModel(path, new Map([["input_ids", ids]]))).get("logits") as Tensor;
  };

  test.each(["onnx", "nn", "aimc", "program"])(
    "level %s gives the original's answer",
    async (level) => {
      const path = join(work, `${level}.onnx`);
      expect((await aimcc("export", dir, "--level", level, "-o", path)).status).toBe(0);
      const original = await onOrt(model);
      expect(differenceOf(await onOrt(path), original).relative).toBeLessThan(1e-4);
    },
  );

  test.each(["quantized", "noisy"])("%s is as far off as the simulator says", async (mode) => {
    const path = join(work, `${mode}.onnx`);
    expect((await aimcc("export", dir, "--mode", mode, "--seed", "5", "-o", path)).status).toBe(0);
    const to = join(work, `sim-${mode}`);
    await aimcc("run", dir, "--data", recorded, "--mode", mode, "--seed", "5", "--out", to);
    const original = await onOrt(model);
    const exported = differenceOf(await onOrt(path), original);
    const simulated = differenceOf(read(join(to, "output_0.pb")), original);
    expect(exported.relative).toBeGreaterThan(1e-4);
    expect(1 - exported.cosine).toBeGreaterThan((1 - simulated.cosine) / 3);
    expect(1 - exported.cosine).toBeLessThan((1 - simulated.cosine) * 3);
    // What differs between the two is only rounding at the edge of a level, and the draw of the noise.
    const apart = differenceOf(read(join(to, "output_0.pb")), await onOrt(path));
    expect(1 - apart.cosine).toBeLessThan(
      mode === "quantized" ? (1 - simulated.cosine) / 2 : (1 - simulated.cosine) * 3,
    );
  });
});

describe("opt", () => {
  test("passes run on a dump, one after another, and give what compile gave", async () => {
    const all = join(work, "all");
    await aimcc(
      "compile",
      model,
      "-t",
      "ahwa-lora",
      "-o",
      all,
      "--data",
      recorded,
      "--dump-ir",
      "all",
    );
    const dumps = readdirSync(join(all, "ir"))
      .filter((f) => f.endsWith(".mlir"))
      .sort();
    const at = dumps.findIndex((f) => f.endsWith("-raise-linear.mlir"));
    const names = dumps.slice(at + 1, at + 4).map((f) => f.slice(3, -5));
    const from = join(all, "ir", dumps[at] ?? "");
    const { status, stdout, stderr } = await aimcc(
      "opt",
      from,
      "--passes",
      names.join(","),
      "--model",
      model,
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toBe(readFileSync(join(all, "ir", dumps[at + 3] ?? ""), "utf8"));
  });

  test("a mistake in the text is told with its line", async () => {
    const path = join(work, "broken.mlir");
    writeFileSync(path, '"builtin.module"() ({\n  "func.func"( ({\n');
    const { status, stderr } = await aimcc("opt", path, "--passes", "simplify");
    expect(status).toBe(2);
    expect(stderr).toMatch(/A501.*broken\.mlir:2:/s);
  });
});

describe("report", () => {
  test("report writes a page where it is told", async () => {
    const page = join(work, "page.html");
    expect(await aimcc("report", dir, "-o", page)).toMatchObject({
      status: 0,
      stdout: `${page}\n`,
    });
    expect(readFileSync(page, "utf8")).toContain("<svg");
  });
});

describe("help", () => {
  test.each(["compile", "run", "verify", "inspect", "report", "opt", "export", "targets"])(
    "aimcc %s --help",
    async (name) => {
      const { status, stdout, stderr } = await aimcc(name, "--help");
      expect(status).toBe(0);
      expect(stderr).toBe("");
      expect(stdout).toContain(`Usage: aimcc ${name}`);
      expect(stdout).toMatch(/^Examples?:$/m);
    },
  );

  test("aimcc --help shows examples and exit statuses", async () => {
    const { status, stdout } = await aimcc("--help");
    expect(status).toBe(0);
    expect(stdout).toContain("Exit status: 0 done, 1 verified and found wrong, 2 ");
  });

  test("--version is the package's", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    expect((await aimcc("--version")).stdout).toBe(`${version}\n`);
  });
});

describe("a process of its own", () => {
  test.each<[number, () => readonly string[]]>([
    [0, () => ["inspect", dir]],
    [1, () => ["verify", dir, "--mode", "noisy", "--tolerance", "1e-6"]],
    [2, () => ["inspect", "nowhere"]],
  ])("ends with status %i, and prints what this process does", async (expected, args) => {
    const { status, stdout, stderr } = aimccProcess(...args());
    expect(status).toBe(expected);
    expect({ status, stdout, stderr }).toEqual(await aimcc(...args()));
  });
});
