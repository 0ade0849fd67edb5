/** The launch of the small artifact alone, on 5 rows: expert 1 of 2 gets rows 1 and 4. */

import { fromNumbers } from "../../src/tensor/convert.ts";
import { type Elem, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { type Parts, smallParts } from "./small-artifact.ts";

export function routedParts(elem: Elem): {
  readonly parts: Parts;
  readonly inputs: ReadonlyMap<string, Tensor>;
} {
  const parts = smallParts();
  const [mul] = parts.schedule.steps;
  const [p, x] = ["p", "x"].map((id) => parts.schedule.buffers.find((b) => b.id === id));
  if (!mul || !p || !x) throw new Error("the small artifact has changed");
  const domain = { batch: 1, tokens: 5, block: 2 };
  const same = { batch: "same", token: { mul: 1, add: 0, div: 1 } } as const;
  const credit = (buffer: string, reader: string, distance: number) => ({
    buffer,
    reader,
    distance,
    release: same,
  });
  const input = {
    ...x,
    domain,
    shape: [5, 4],
    select: ["token" as const, "all" as const],
    capacity: 3,
  };
  parts.schedule = {
    version: 1,
    inputs: ["x", "r"].map((name) => ({ name, buffer: name, credits: [credit(name, "mul", 3)] })),
    outputs: [{ name: "out", buffer: "p" }],
    buffers: [
      input,
      { ...input, id: "r", shape: [5, 2], elem },
      { ...p, domain, shape: [2, 5, 4], select: ["all", "token", "all"] },
    ],
    steps: [
      {
        ...mul,
        domain,
        attrs: { expert: 1 },
        reads: ["x", "r"].map((buffer) => ({ buffer, select: ["token", "all"] })),
        writes: [{ buffer: "p", select: ["all", "token", "all"] }],
        waits: ["x", "r"].map((buffer) => ({ buffer, step: "host", newest: same })),
        credits: [credit("p", "host", 2)],
      },
    ],
    clusters: [{ cluster: 0, steps: ["mul"] }],
  };
  const port = { elem: "f32", shape: [5, 4], dims: [null, null] };
  const model = parts.manifest["model"] as Record<string, unknown>;
  model["inputs"] = [
    { ...port, name: "x" },
    { ...port, name: "r", shape: [5, 2], elem },
  ];
  const values = Float32Array.from({ length: 20 }, (_, i) => Math.cos(i));
  const routing = fromNumbers(elem, [5, 2], [1, -0, 0.5, 2 ** -24, 1, 0, 1, -0, 0, 1]);
  const inputs = new Map([
    ["x", tensor("f32", [5, 4], values)],
    ["r", routing],
  ]);
  return { parts, inputs };
}
