/** Who goes onto tiles, by the built-in policies and by rules of a user. */

import { describe, expect, test } from "vitest";
import { assign } from "../../passes/assign.ts";
import type { Policy } from "../../passes/options.ts";
import { InputError, showPlace } from "../../src/diag/diagnostic.ts";
import type { Module, Value } from "../../src/ir/op.ts";
import { verify } from "../../src/ir/verify.ts";
import { glob } from "../../src/target/glob.ts";
import { listPolicies, loadPolicy, parsePolicy } from "../../src/target/policy.ts";
import { f32, linears, moduleOf, op, random, surroundings } from "./fixtures.ts";

const SPECS = [
  { module: "layers.0.self_attn.q_proj", role: "attention-projection", rows: 16, cols: 16 },
  { module: "layers.0.mlp.gate", role: "router", rows: 16, cols: 4 },
  { module: "layers.0.mlp.experts.1.up_proj", role: "expert", rows: 16, cols: 32 },
  { module: "layers.0.mlp.shared.up_proj", role: "feed-forward", rows: 16, cols: 32 },
  { module: "lm_head", role: "head", rows: 16, cols: 99 },
];

async function places(policy: Policy, module: Module = linears(SPECS)) {
  const { context, remarks } = surroundings({ options: { policy } });
  const after = await assign.run(module, context);
  expect([...verify(after)]).toEqual([]);
  return { after, remarks, places: after.ops.map((o) => o.attrs["place"]) };
}

describe("built-in policies", () => {
  test.each([
    ["default", ["analog", "digital", "analog", "analog", "digital"]],
    ["moe", ["digital", "digital", "analog", "digital", "digital"]],
    ["all-analog", ["analog", "analog", "analog", "analog", "analog"]],
    ["all-digital", ["digital", "digital", "digital", "digital", "digital"]],
  ])("%s", async (name, expected) => {
    const { after, places: found } = await places(loadPolicy(name));
    expect(found).toEqual(expected);
    for (const o of after.ops) expect(String(o.attrs["why"]).length).toBeGreaterThan(10);
  });

  test("are those that are listed", () => {
    expect(listPolicies()).toEqual(["default", "moe", "all-analog", "all-digital"]);
  });
});

test("a user's rules come before the default's, and the first that fits decides", async () => {
  const policy = parsePolicy(
    `rules:
  - { module: "layers.*.mlp.shared.**", place: digital, why: shared by all tokens }
  - { module: "**.mlp.**", kind: router, place: analog }
  - { module: lm_head, place: analog, why: an experiment }
  - { module: "lm_*", place: digital, why: comes too late }`,
    "mine.yaml",
  );
  const { after, places: found, remarks } = await places(policy);
  expect(found).toEqual(["analog", "analog", "analog", "digital", "analog"]);
  expect(after.ops.at(-1)?.attrs["why"]).toBe("an experiment");
  expect(remarks).toEqual([]);
});

test("a rule that names nothing is remarked", async () => {
  const policy = parsePolicy(`rules: [{ module: "h.*.mlp.**", place: digital }]`, "mine.yaml");
  const { remarks } = await places(policy);
  expect(remarks.map((r) => r.text)).toEqual(["policy mine.yaml: nothing is called 'h.*.mlp.**'"]);
});

test("what is not a linear says why it is digital", async () => {
  const x: Value = { id: "x", type: f32(2, 8) };
  const y: Value = { id: "y", type: f32(2, 8) };
  const module = moduleOf([x], [op("nn.softmax", [x], y, { axis: -1 })]);
  const { after } = await places(loadPolicy("all-analog"), module);
  expect(after.ops[0]?.attrs["place"]).toBeUndefined();
  expect(after.ops[0]?.attrs["why"]).toContain("softmax");
});

test("a linear whose weight is inline stays digital whatever the policy", async () => {
  const module = linears([{ module: "tiny", role: "other", rows: 4, cols: 4 }]);
  const inline = {
    ...module,
    ops: module.ops.map((o) => ({ ...o, attrs: { ...o.attrs, weight: random([4, 4]) } })),
  };
  const { after } = await places(loadPolicy("all-analog"), inline);
  expect(after.ops[0]?.attrs["place"]).toBe("digital");
  expect(after.ops[0]?.attrs["why"]).toContain("16 weights");
});

describe("globs", () => {
  test.each([
    [
      "h.*.mlp.**",
      ["h.0.mlp", "h.11.mlp.c_fc", "h.0.mlp.a.b"],
      ["h.0.mlps", "h.0.1.mlp", "x.h.0.mlp"],
    ],
    ["**.lm_head", ["lm_head", "model.lm_head"], ["my_lm_head", "lm_head.x"]],
    ["**", ["", "a", "a.b.c"], []],
    ["a.**.z", ["a.z", "a.b.z", "a.b.c.z"], ["a.bz", "az"]],
    ["q*_proj", ["q_proj", "qkv_proj"], ["q.a_proj"]],
    ["a+b.(c)", ["a+b.(c)"], ["aab.c"]],
  ])("%s", (pattern, fitting, others) => {
    const fits = glob(pattern);
    expect(fitting.filter((p) => !fits(p))).toEqual([]);
    expect(others.filter(fits)).toEqual([]);
  });
});

describe("policy files at fault", () => {
  const told = (text: string): string => {
    try {
      parsePolicy(text, "p.yaml");
    } catch (e) {
      if (e instanceof InputError) {
        return e.diagnostics.map((d) => `${d.code} ${showPlace(d.at)} ${d.text}`).join("\n");
      }
      throw e;
    }
    return "accepted";
  };

  test.each([
    [
      "rules:\n  - { kind: experts, place: analog }",
      "A205 p.yaml:2:7 'rules.0.kind': expected one of",
    ],
    [
      "rules:\n  - { kind: head, plaice: digital }",
      "A205 p.yaml:2:19 'rules.0.plaice' is not a known key",
    ],
    [
      "rules:\n  - { kind: embedding, place: analog }",
      "A205 p.yaml:2:24 'rules.0.place': expected digital",
    ],
    ["rules: []", "A205 p.yaml:1:1 'rules'"],
    ["rules: [", "A205 p.yaml:1:"],
  ])("%j", (text, message) => expect(told(text)).toContain(message));

  test("an unknown policy names the known ones", () => {
    expect(() => loadPolicy("defualt")).toThrow(
      /A204.*'defualt'; the nearest is 'default'[\s\S]*all-digital/,
    );
  });
});
