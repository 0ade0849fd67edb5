import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/diag/diagnostic.ts";
import type { Attr, Module, Op, Value } from "../../src/ir/op.ts";
import { parseModule } from "../../src/ir/parse.ts";
import { printModule } from "../../src/ir/print.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { ELEMS, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { findMlirOpt, judgedBy } from "../judges.ts";

const elem = fc.constantFrom(...ELEMS);
const shape = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 });

const tensors: fc.Arbitrary<Tensor> = fc.tuple(elem, shape).chain(([e, dims]) =>
  fc
    .array(e === "i1" ? fc.integer({ min: 0, max: 1 }) : fc.integer({ min: 0, max: 100 }), {
      minLength: sizeOf(dims),
      maxLength: sizeOf(dims),
    })
    .chain((ints) =>
      fc.double({ noDefaultInfinity: false }).map((scale) => {
        const float = e === "f32" || e === "f64" || e === "f16" || e === "bf16";
        return fromNumbers(e, dims, float ? ints.map((v) => v * scale) : ints);
      }),
    ),
);

const weights = fc.record({
  weight: fc.string({ unit: "grapheme" }),
  type: fc.record({ elem, shape }),
  sha256: fc.constantFrom("0".repeat(64), `place:${"0".repeat(64)}`),
});

const attrs: fc.Arbitrary<Record<string, Attr>> = fc.dictionary(
  fc.string({ minLength: 1 }).filter((k) => k !== "absent" && k !== "tensors" && k !== "__proto__"),
  fc.letrec<{ attr: Attr }>((tie) => ({
    attr: fc.oneof(
      { depthSize: "small" },
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.string({ unit: "grapheme" }),
      weights,
      tensors,
      fc.array(tie("attr"), { maxLength: 3 }),
    ),
  })).attr,
  { maxKeys: 4, noNullPrototype: true },
);

/** Chains of operations with random attributes, absent operands and origins. */
const modules: fc.Arbitrary<Module> = fc
  .array(
    fc.record({
      attrs,
      origin: fc.array(fc.string(), { maxLength: 2 }),
      absent: fc.boolean(),
      tensor: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
      type: fc.record({ elem, shape: fc.array(fc.option(fc.nat(9)), { maxLength: 3 }) }),
    }),
    { maxLength: 5 },
  )
  .map((specs) => {
    const input: Value = { id: "x", type: { elem: "f32", shape: [1, null] } };
    const ops: Op[] = [];
    let last = input;
    for (const [i, s] of specs.entries()) {
      const result: Value = {
        id: `v${i}`,
        type: s.type,
        ...(s.tensor !== undefined && { tensor: s.tensor }),
      };
      const operands = s.absent ? [null, last, null, input] : [last];
      ops.push({ kind: "test.op", operands, results: [result], attrs: s.attrs, origin: s.origin });
      last = result;
    }
    return {
      level: "nn",
      name: "m",
      inputs: [{ name: "in put", value: input }],
      outputs: [{ name: "out", value: last }],
      ops,
    };
  });

const mlirOpt = findMlirOpt();

describe("the text of the IR", () => {
  test("print(parse(t)) == t, and parse gives the module back", () => {
    fc.assert(
      fc.property(modules, (m) => {
        const text = printModule(m);
        const back = parseModule(text, "t.mlir");
        expect(printModule(back)).toBe(text);
        expect(back.ops.map((op) => op.origin)).toEqual(m.ops.map((op) => op.origin));
        expect(back.ops.map((op) => op.operands.map((v) => v?.id ?? null))).toEqual(
          m.ops.map((op) => op.operands.map((v) => v?.id ?? null)),
        );
      }),
      { numRuns: 300 },
    );
  });

  judgedBy(
    mlirOpt,
    "mlir-opt",
    "mlir-19-tools",
  )("mlir-opt accepts what is printed", () => {
    const texts = fc.sample(modules, { numRuns: 40, seed: 7 }).map(printModule);
    for (const text of texts) {
      execFileSync(mlirOpt ?? "", ["--allow-unregistered-dialect", "-o", "/dev/null"], {
        input: text,
      });
    }
  });

  test.each([
    ["", "expected '\"builtin.module\"', found 'the end of the file'", 1],
    [
      '"builtin.module"() ({\n  "func.func"() ({\n  ^bb0:\n   "a.b"(%x)',
      "%x is not defined yet",
      4,
    ],
    ['"builtin.module"() ({\n  @', "'@' cannot stand here", 2],
    [
      '"builtin.module"() ({\n  "func.func"() ({\n  ^bb0:\n   %c = "onnx.Constant"() {value = dense<x> : tensor<i64>}',
      "'x' is no value of i64",
      4,
    ],
  ])("a fault names its place: %j", (text, message, line) => {
    const parse = () => parseModule(text, "t.mlir");
    expect(parse).toThrow(InputError);
    expect(parse).toThrow(message);
    expect(parse).toThrow(`t.mlir:${line}:`);
  });
});
