import { expect, test } from "vitest";
import type { MeasuredCall } from "../../passes/pass.ts";
import { priceOn } from "../../passes/pipeline/cost.ts";
import { loadTarget } from "../../src/target/load.ts";
import { Builder } from "./modules.ts";

test("an iteration costs what its kernel is measured to take, and the table's where it is not", () => {
  const target = loadTarget("ahwa-lora");
  const { clockMHz, launchCycles, njPerCycle } = target.cluster;
  const b = new Builder(1);
  const x = b.input("x", [2, 6, 4]);
  const module = b.module(b.one("onnx.Add", [x, b.constant([4])], [2, 6, 4]));
  const op = module.ops.find((o) => o.kind === "onnx.Add");
  if (!op) throw new Error("the module has no Add");
  const domain = { batch: 2, tokens: 6, block: 3 };
  const select = ["batch", "token", "all"] as const;
  const regions = { domain, reads: [select, ["all"] as const], writes: [select] };
  const calls: MeasuredCall[] = [];
  const measured = (call: MeasuredCall) => calls.push(call) * 1000;
  const cost = priceOn({ target, measured }, module)(op, regions);
  const cycles = 1000 + launchCycles.value;
  expect(cost.digitalNs).toBeCloseTo((cycles * 1000) / clockMHz.value, 9);
  expect(cost.energyNj).toBeCloseTo(cycles * njPerCycle.value, 9);
  expect(calls).toMatchObject([
    {
      kernel: "Add",
      operands: [
        { elem: "f32", shape: [1, 3, 4] },
        { elem: "f32", shape: [4] },
      ],
    },
  ]);
  const table = priceOn({ target }, module)(op, regions);
  expect(priceOn({ target, measured: () => null }, module)(op, regions)).toEqual(table);
});
