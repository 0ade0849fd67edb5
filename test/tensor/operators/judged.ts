/** Runs rows of the operator tables on ONNX Runtime, by folding, and on the simulated machine. */

import { InputError } from "../../../src/diag/diagnostic.ts";
import { type NodeProto, onnx, type TensorProto } from "../../../src/onnx/proto.ts";
import { toProto } from "../../../src/onnx/tensor-proto.ts";
import { runModel } from "../../../src/reference/run.ts";
import type { Elem, Tensor } from "../../../src/tensor/tensor.ts";
import { node, port } from "../../onnx/small-model.ts";
import { difference, type Tolerance } from "../agree.ts";
import { foldCase, type NodeCase, simulateCase } from "../node-case.ts";
import { ALL, type Row } from "./row.ts";

/** One row on one element type: a node, its operands, and what it should give. */
interface Case {
  readonly name: string;
  /** Position of its row in the table. */
  readonly row: number;
  readonly elem: Elem;
  readonly node: NodeProto;
  readonly fed: ReadonlyMap<string, Tensor>;
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly outputs: readonly string[];
  readonly opset: number;
  readonly domain: string;
  readonly tolerance: Tolerance;
  readonly expected?: readonly Tensor[];
}

interface Judged extends Case {
  readonly expected: readonly Tensor[];
}

const CLOSE: Readonly<Partial<Record<Elem, Tolerance>>> = {
  f16: { relative: 4e-3, absolute: 1e-3 },
  f64: { relative: 1e-9, absolute: 1e-9 },
};
const SINGLE: Tolerance = { relative: 2e-5, absolute: 2e-6 };

function casesOf(row: Row, at: number): Case[] {
  return (row.elems ?? ALL).map((elem) => {
    const id = `r${at}_${elem}`;
    const tensors = row.inputs.map((o) => o?.make(elem) ?? null);
    const name = (i: number): string => (row.inputs[i] ? `${id}_x${i}` : "");
    const named = (fed: boolean) =>
      new Map(
        tensors.flatMap((t, i) => (t && row.inputs[i]?.fed === fed ? [[name(i), t] as const] : [])),
      );
    const outputs = Array.from({ length: row.results ?? 1 }, (_, i) => `${id}_y${i}`);
    const attrs = typeof row.attrs === "function" ? row.attrs(elem) : (row.attrs ?? {});
    const made = node(
      row.op,
      row.inputs.map((_, i) => name(i)),
      outputs,
      attrs,
    );
    return {
      row: at,
      elem,
      name: [row.op, elem, row.form, row.opset ?? ""].filter((s) => s !== "").join(" "),
      node: { ...made, domain: row.domain ?? "" },
      fed: named(true),
      constants: named(false),
      outputs,
      opset: row.opset ?? 21,
      domain: row.domain ?? "",
      tolerance: row.tolerance ?? CLOSE[elem] ?? SINGLE,
      ...(row.expected && { expected: row.expected(elem) }),
    };
  });
}

/** A model of these cases' nodes, side by side. */
function modelOf(cases: readonly Case[]): NodeCase {
  const [first] = cases;
  const protos = (maps: readonly ReadonlyMap<string, Tensor>[]): [string, TensorProto][] =>
    maps.flatMap((m) => [...m]).map(([name, t]) => [name, toProto(name, t)]);
  const inputs = new Map(protos(cases.map((c) => c.fed)));
  const opsetImport = [{ domain: "", version: first?.opset ?? 21 }];
  if (first?.domain) opsetImport.push({ domain: first.domain, version: 1 });
  const graph = {
    name: "rows",
    node: cases.map((c) => c.node),
    input: cases.flatMap((c) => [...c.fed].map(([name, t]) => port(name, t.shape, t.elem))),
    initializer: protos(cases.map((c) => c.constants)).map(([, t]) => t),
    output: cases.flatMap((c) => c.outputs.map((name) => ({ name }))),
  };
  const model = onnx.ModelProto.create({ irVersion: 8, opsetImport, graph });
  return { model, inputs, outputs: new Map() };
}

const reason = (e: unknown): string => {
  if (e instanceof InputError) return e.diagnostics.map((d) => `${d.code} ${d.text}`).join("; ");
  return e instanceof Error ? e.message : String(e);
};

/** What ONNX Runtime computes for these cases. */
async function onRuntime(cases: readonly Case[]): Promise<Judged[]> {
  const { model } = modelOf(cases);
  const feeds = new Map(cases.flatMap((c) => [...c.fed]));
  const bytes = onnx.ModelProto.encode(model).finish();
  const found = await runModel(bytes, feeds, undefined, { optimisation: "disabled" });
  return cases.map((c) => ({ ...c, expected: c.outputs.map((name) => found.get(name) as Tensor) }));
}

/** Said of an element type that an operator is not for, or that ONNX Runtime's CPU has no kernel of. */
const NO_KERNEL = /Type Error: Type|Could not find an implementation|data type is not supported/;

/** All of them together where nothing is refused; else one by one, those without a kernel left out. */
async function judge(cases: readonly Case[], faults: string[]): Promise<Judged[]> {
  const specified = cases.flatMap((c) => (c.expected ? [{ ...c, expected: c.expected }] : []));
  const open = cases.filter((c) => !c.expected);
  if (open.length === 0) return specified;
  try {
    return [...specified, ...(await onRuntime(open))];
  } catch (e) {
    if (open.length === 1) {
      if (!NO_KERNEL.test(reason(e))) faults.push(`${open[0]?.name}: ONNX Runtime: ${reason(e)}`);
      return specified;
    }
  }
  const parts = [];
  for (const c of open) parts.push(...(await judge([c], faults)));
  return [...specified, ...parts];
}

/** What ONNX Runtime takes, or the specification says what to do with; of one opset, domain and element type each. */
async function judgedRows(rows: readonly Row[], faults: string[]): Promise<readonly Judged[]> {
  const judged: Judged[] = [];
  const alike = groupBy(rows.flatMap(casesOf), (c) => `${c.domain} ${c.opset} ${c.elem}`);
  for (const cases of alike.values()) judged.push(...(await judge(cases, faults)));
  return judged;
}

/** The rows as models, one for each opset and domain. */
export async function modelsOf(rows: readonly Row[]): Promise<readonly NodeCase[]> {
  const judged = await judgedRows(rows, []);
  return [...groupBy(judged, (c) => `${c.domain} ${c.opset}`).values()].map(modelOf);
}

type Way = (example: NodeCase) => Promise<ReadonlyMap<string, Tensor>>;

/** All cases of one opset and domain at once; where that fails, one by one, to see which. */
async function faultsOf(how: string, cases: readonly Judged[], way: Way): Promise<string[]> {
  const faults: string[] = [];
  const compare = (found: ReadonlyMap<string, Tensor>, list: readonly Judged[]): void => {
    for (const c of list) {
      for (const [i, name] of c.outputs.entries()) {
        const [value, expected] = [found.get(name), c.expected[i]];
        const text = value && expected ? difference(value, expected, c.tolerance) : "no result";
        if (text !== "") faults.push(`${c.name}, ${how}, result ${i}: ${text}`);
      }
    }
  };
  try {
    compare(await way(modelOf(cases)), cases);
  } catch (e) {
    if (cases.length === 1) return [`${cases[0]?.name}, ${how}: ${reason(e)}`];
    const parts = [];
    for (const c of cases) parts.push(...(await faultsOf(how, [c], way)));
    return parts.length > 0 ? parts : [`${how}: only together: ${reason(e)}`];
  }
  return faults;
}

const folded: Way = async (example) => (await foldCase(example)).outputs;

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

/** Everything in which we and ONNX Runtime differ on rows of one operator. */
export async function verdictOn(rows: readonly Row[]): Promise<readonly string[]> {
  const faults: string[] = [];
  const judged = await judgedRows(rows, faults);
  for (const [i, { op, form }] of rows.entries()) {
    if (!judged.some((c) => c.row === i)) faults.push(`${op} ${form}: nothing is judged`);
  }
  for (const cases of groupBy(judged, (c) => `${c.domain} ${c.opset}`).values()) {
    faults.push(...(await faultsOf("folded", cases, folded)));
    faults.push(...(await faultsOf("simulated", cases, simulateCase)));
  }
  return faults;
}

/** Why each way of running a row refuses it; "" where it does not. */
export async function refusals(row: Row): Promise<{
  readonly runtime: string;
  readonly folded: string;
  readonly simulated: string;
}> {
  const [only] = casesOf(row, 0);
  if (!only) throw new Error("a row is for some element type");
  const why = async (run: () => Promise<unknown>): Promise<string> => {
    try {
      await run();
      return "";
    } catch (e) {
      return reason(e);
    }
  };
  return {
    runtime: await why(() => onRuntime([only])),
    folded: await why(() => folded(modelOf([only]))),
    simulated: await why(() => simulateCase(modelOf([only]))),
  };
}
