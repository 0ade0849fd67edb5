/** A model file before any compilation: what it holds, its modules, what was not recognised and why. */

import type { PortSpec } from "../../artifact/manifest.ts";
import type { Examined } from "../../driver/examine.ts";
import { namesIn } from "../../onnx/dim-expression.ts";
import { outlineFacts } from "../../outline/facts.ts";
import { folded } from "../../outline/fold.ts";
import { outlineOf } from "../../outline/outline.ts";
import { dynamicOf, type Total, totalsOf } from "../../outline/totals.ts";
import { type Branch, type Leaf, leavesOf } from "../../outline/tree.ts";
import { count } from "../../report/units.ts";
import { table } from "../terminal.ts";
import { describeTree } from "./tree.ts";

export function modelFacts(path: string, e: Examined) {
  const { nodes, ...file } = e.file;
  return {
    file: { path, ...file, nodes: nodes.length },
    inputs: e.declared.inputs,
    outputs: e.declared.outputs,
    dimensions: dimensionsOf(e),
    absent: e.absent.map(({ code, text }) => ({ code, text })),
    remarks: e.remarks,
    ...outlineFacts(seenIn(e)),
  };
}

const seenIn = (e: Examined) => ({ ...e, nodes: e.file.nodes });

/** Free dimensions of the inputs: their size here, whether that was guessed, and the inputs that carry them. */
const dimensionsOf = (e: Examined) =>
  Object.entries(e.info.dims).map(([name, size]) => ({
    name,
    size,
    guessed: Object.hasOwn(e.guessed, name),
    inputs: e.declared.inputs.filter((p) => p.dims.includes(name)).map((p) => p.name),
  }));

export function describeModelFile(path: string, e: Examined): string {
  const tree = outlineOf(seenIn(e));
  return [
    table(headerOf(path, e)),
    describeTree(folded(tree)),
    unrecognised(tree),
    describeTotals(e, totalsOf(tree)),
    describeDynamic(e),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

const mebibytes = (bytes: number): string =>
  bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const port = (p: PortSpec): string =>
  `${p.name} ${p.elem}[${p.shape.map((d, i) => p.dims[i] ?? d ?? "?").join(", ")}]`;

function headerOf(path: string, e: Examined): string[][] {
  const { file, declared } = e;
  const opsets = Object.entries(file.opsets).map(([d, v]) => (d === "" ? `${v}` : `${d} ${v}`));
  const stored = file.parameters.map(
    (p) => `${count(p.elements)} ${p.elem} in ${p.tensors} tensors (${mebibytes(p.bytes)})`,
  );
  const functions = file.functions > 0 ? `, ${file.functions} functions` : "";
  const [first = ["inputs", "none"], ...inputs] = declared.inputs.map((p) => ["inputs", port(p)]);
  const { external } = file;
  return [
    ["file", `${path}, ${mebibytes(file.size)}`],
    ["from", file.producer === "" ? "unknown exporter" : file.producer],
    ["opset", `${opsets.join(", ")}; IR version ${file.irVersion}`],
    ["graph", `${file.nodes.length} nodes${functions}`],
    ["parameters", stored.length > 0 ? stored.join("; ") : "none"],
    ...(external.tensors > 0
      ? [
          [
            "external data",
            `${external.tensors} tensors (${mebibytes(external.bytes)}) in ${external.files.join(", ")}`,
          ],
        ]
      : []),
    ...e.absent.slice(0, 1).map((d) => ["no values", absence(d.text, e.absent.length)]),
    first,
    ...inputs.map(([, text = ""]) => ["", text]),
    ...declared.outputs.map((p, i) => [i === 0 ? "outputs" : "", port(p)]),
    ...dimensionRows(e),
  ];
}

const absence = (text: string, n: number): string => (n > 1 ? `${text}; and ${n - 1} more` : text);

/** Whether the name is an expression of other dimensions. */
function isDerived(e: Examined, name: string): boolean {
  const parts = namesIn(name);
  return parts.length > 0 && parts.every((part) => Object.hasOwn(e.info.dims, part));
}

function dimensionRows(e: Examined): string[][] {
  return dimensionsOf(e).map(({ name, size, guessed, inputs }, i) => {
    const option = /^[\w.-]+$/.test(name) ? `${name}=N` : `'${name}=N'`;
    const own = `chosen for this view; compile needs --dim ${option} or --data`;
    const how = isDerived(e, name) ? "follows from the others" : guessed ? own : "given";
    return [i === 0 ? "dimensions" : "", `${name} = ${size}, ${how}; of ${inputs.join(", ")}`];
  });
}

interface Trouble {
  readonly text: string;
  readonly nodes: string[];
}

function troubleOf({ state, what, why, missed, refused }: Leaf): string | undefined {
  if (refused) return `refused[${refused.code}]: ${refused.text}`;
  if (state === "behind") return "not looked at: nothing says what reaches it";
  if (missed) return `${what.split(" ")[0]} is no ${missed.pattern}: ${missed.why}`;
  return state === "digital"
    ? `${what} stays an operator of its own: ${why ?? "no pattern takes it"}`
    : undefined;
}

/** What no pattern took up although it nearly fits, and what a compilation stops at, with the nodes. */
function unrecognised(tree: Branch): string {
  const found = new Map<string, Trouble>();
  for (const leaf of leavesOf(tree)) {
    const text = troubleOf(leaf);
    if (text === undefined) continue;
    const known = found.get(text) ?? { text, nodes: [] };
    known.nodes.push(...leaf.nodes.slice(-1), ...at(leaf));
    found.set(text, known);
  }
  if (found.size === 0) return "";
  const lines = [...found.values()].flatMap(({ text, nodes }) => [
    `  ${text}`,
    `    at ${nodes.slice(0, 4).join(", ")}${nodes.length > 4 ? `, and ${nodes.length - 4} more` : ""}`,
  ]);
  return ["not recognised", ...lines].join("\n");
}

const at = ({ missed, nodes }: Leaf): readonly string[] =>
  missed ? missed.nodes.filter((n) => n !== nodes.at(-1)).map((n) => `(${n})`) : [];

function describeTotals(e: Examined, totals: readonly Total[]): string {
  const sizes = Object.entries(e.info.dims).map(([k, v]) => `${k}=${v}`);
  const sum = (rows: readonly Total[], of: "parameters" | "macs") =>
    count(rows.reduce((n, t) => n + t[of], 0));
  const analog = totals.filter((t) => t.place === "analog");
  const digital = totals.filter((t) => t.place === "digital");
  const row = (t: Total) => [
    t.place === "analog" ? "tiles" : t.place,
    t.kind,
    String(t.modules),
    count(t.parameters),
    count(Math.round(t.macs)),
    t.why,
  ];
  const whole = (name: string, rows: readonly Total[]) => {
    const modules = rows.reduce((n, t) => n + t.modules, 0);
    return [name, "together", String(modules), sum(rows, "parameters"), sum(rows, "macs"), ""];
  };
  const shown = totals.filter((t) => t.parameters > 0 || t.macs > 0);
  const title =
    sizes.length > 0 ? `totals, MACs of one inference with ${sizes.join(", ")}` : "totals";
  return [
    title,
    table(
      [
        ["place", "kind", "modules", "parameters", "MACs", "why"],
        ...shown.map(row),
        whole("tiles", analog),
        whole("digital", digital),
      ],
      ["left", "left", "right", "right", "right"],
    ),
  ].join("\n");
}

function describeDynamic(e: Examined): string {
  const { shapes, caches, routers } = dynamicOf(e.module);
  const open = Object.entries(shapes).map(
    ([operator, nodes]) =>
      `${operator} gives a shape that depends on data: ${nodes.slice(0, 3).join(", ")}`,
  );
  const more = [
    ...(caches > 0 ? [`${caches} caches of keys or values grow from call to call`] : []),
    ...(routers > 0 ? [`${routers} routers choose experts for every token`] : []),
  ];
  const lines = [...open, ...more];
  return lines.length === 0 ? "" : ["only a run decides", ...lines.map((l) => `  ${l}`)].join("\n");
}
