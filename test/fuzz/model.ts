/** Damage to the structure of a model: it decodes, but means nothing, or something else. */

import fc from "fast-check";
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  onnx,
  type ValueInfoProto,
} from "../../src/onnx/proto.ts";
import { chain, type Editing, functions, huge, type ModelEdit, nest, nodesOf } from "./grow.ts";
import { TENSOR_EDITS } from "./tensors.ts";
import {
  ATTRIBUTES,
  at,
  DOMAINS,
  ELEM_CODES,
  FLOATS,
  INTS,
  NAMES,
  OPERATORS,
  OPSETS,
  pick,
  swapped,
  TEXTS,
  without,
} from "./values.ts";

const tensorNames = (g: GraphProto): string[] => [
  ...(g.input ?? []).map((p) => p.name ?? ""),
  ...(g.initializer ?? []).map((t) => t.name ?? ""),
  ...nodesOf(g).flatMap((n) => n.output ?? []),
];

/** Runs `change` on the node that the edit points at. */
const onNode = (change: (node: NodeProto, e: Editing) => void) => (e: Editing) => {
  const node = pick(nodesOf(e.graph), e.edit.a);
  if (node) change(node, e);
};
const onAttr = (change: (attr: AttributeProto, e: Editing, node: NodeProto) => void) =>
  onNode((node, e) => {
    const attr = pick(node.attribute ?? [], e.edit.b);
    if (attr) change(attr, e, node);
  });
const onPort = (change: (port: ValueInfoProto, e: Editing) => void) => (e: Editing) => {
  const ports = [...(e.graph.input ?? []), ...(e.graph.output ?? []), ...(e.graph.valueInfo ?? [])];
  const port = pick(ports, e.edit.a);
  if (port) change(port, e);
};

const KIND = onnx.AttributeProto.AttributeType;

function setInts(attr: AttributeProto, { b, c }: ModelEdit): void {
  const ints = (attr.ints ?? []) as number[];
  attr.type = KIND.INTS;
  attr.ints =
    ints.length === 0
      ? [at(INTS, c, 0)]
      : ints.map((v, i) => (i === b % ints.length ? at(INTS, c, 0) : v));
}

const EDITS: Readonly<Record<string, (e: Editing) => void>> = {
  renameInput: onNode((n, { graph, edit }) => {
    n.input = (n.input ?? []).map((x, i, all) =>
      i === edit.b % all.length ? at(tensorNames(graph), edit.c, "x") : x,
    );
  }),
  strangeInput: onNode((n, { edit }) => {
    n.input = (n.input ?? []).map((x, i, all) =>
      i === edit.b % all.length ? at(NAMES, edit.c, "x") : x,
    );
  }),
  strangeOutput: onNode((n, { graph, edit }) => {
    const from = pick(n.output ?? [], edit.b);
    const to = at(NAMES, edit.c, "y");
    for (const m of nodesOf(graph)) {
      m.input = (m.input ?? []).map((x) => (x === from ? to : x));
      m.output = (m.output ?? []).map((x) => (x === from ? to : x));
    }
    for (const o of graph.output ?? []) if (o.name === from) o.name = to;
  }),
  renameOutput: onNode((n, { graph, edit }) => {
    n.output = (n.output ?? []).map((x, i, all) =>
      i === edit.b % all.length ? at(tensorNames(graph), edit.c, "y") : x,
    );
  }),
  strangeNode: onNode((n, { edit }) => {
    n.name = at(NAMES, edit.b, "n");
  }),
  strangePort: onPort((p, { edit }) => {
    p.name = at(NAMES, edit.b, "p");
  }),
  dropNode: ({ graph, edit }) => {
    graph.node = without(nodesOf(graph), edit.a);
  },
  repeatNode: onNode((n, { graph }) => {
    graph.node = [...nodesOf(graph), n];
  }),
  swapNodes: ({ graph, edit }) => {
    graph.node = swapped(nodesOf(graph), edit.a, edit.b);
  },
  noNodes: ({ graph }) => {
    graph.node = [];
  },
  swapInputs: onNode((n, { edit }) => {
    n.input = swapped(n.input ?? [], edit.b, edit.c);
  }),
  dropInput: onNode((n, { edit }) => {
    n.input = without(n.input ?? [], edit.b);
  }),
  absentInput: onNode((n, { edit }) => {
    n.input = (n.input ?? []).map((x, i, all) => (i === edit.b % all.length ? "" : x));
  }),
  addInput: onNode((n, { graph, edit }) => {
    n.input = [...(n.input ?? []), at(tensorNames(graph), edit.c, "x")];
  }),
  dropOutput: onNode((n, { edit }) => {
    n.output = without(n.output ?? [], edit.b);
  }),
  addOutput: onNode((n, { edit }) => {
    n.output = [
      ...(n.output ?? []),
      ...Array.from({ length: 1 + (edit.b % 3) }, (_, i) => `extra_${edit.a}_${i}`),
    ];
  }),
  dropAttr: onNode((n, { edit }) => {
    n.attribute = without(n.attribute ?? [], edit.b);
  }),
  addAttr: onNode((n, { edit }) => {
    n.attribute = [
      ...(n.attribute ?? []),
      { name: at(ATTRIBUTES, edit.b, "axis"), type: KIND.INT, i: at(INTS, edit.c, 0) },
    ];
  }),
  attrType: onAttr((a, { edit }) => {
    a.type = edit.c % 15;
  }),
  attrName: onAttr((a, { edit }) => {
    a.name = at(NAMES, edit.c, "a");
  }),
  attrInt: onAttr((a, { edit }) => {
    a.type = KIND.INT;
    a.i = at(INTS, edit.c, 0);
  }),
  attrFloat: onAttr((a, { edit }) => {
    a.type = KIND.FLOAT;
    a.f = at(FLOATS, edit.c, 0);
  }),
  attrText: onAttr((a, { edit }) => {
    a.type = KIND.STRING;
    a.s = Buffer.from(at(TEXTS, edit.c, ""));
  }),
  attrInts: onAttr((a, { edit }) => setInts(a, edit)),
  attrMoreInts: onAttr((a, { edit }) => {
    a.type = KIND.INTS;
    a.ints = [...((a.ints ?? []) as number[]), at(INTS, edit.c, 0)];
  }),
  attrFewerInts: onAttr((a, { edit }) => {
    a.ints = without((a.ints ?? []) as number[], edit.c);
  }),
  op: onNode((n, { edit }) => {
    n.opType = at(OPERATORS, edit.b, "Add");
  }),
  domain: onNode((n, { edit }) => {
    n.domain = at(DOMAINS, edit.b, "");
  }),
  ...TENSOR_EDITS,
  portDim: onPort((p, { edit }) => {
    const dims = p.type?.tensorType?.shape?.dim ?? [];
    const dim = pick(dims, edit.b);
    if (dim) Object.assign(dim, { dimParam: null, dimValue: at(INTS, edit.c, 0) });
  }),
  portName: onPort((p, { edit }) => {
    const dim = pick(p.type?.tensorType?.shape?.dim ?? [], edit.b);
    if (dim)
      Object.assign(dim, {
        dimValue: null,
        dimParam: at([...NAMES, "batch", "sequence", "batch + sequence"], edit.c, "n"),
      });
  }),
  portRank: onPort((p, { edit }) => {
    const shape = p.type?.tensorType?.shape;
    if (shape)
      shape.dim = edit.b % 2 ? [...(shape.dim ?? []), { dimValue: 1 }] : (shape.dim ?? []).slice(1);
  }),
  portType: onPort((p, { edit }) => {
    if (p.type?.tensorType) p.type.tensorType.elemType = at(ELEM_CODES, edit.b, 1);
  }),
  portUnshaped: onPort((p) => {
    if (p.type?.tensorType) p.type.tensorType.shape = null;
  }),
  portUntyped: onPort((p) => {
    p.type = null;
  }),
  portGone: ({ graph, edit }) => {
    if (edit.b % 2) graph.input = without(graph.input ?? [], edit.a);
    else graph.output = without(graph.output ?? [], edit.a);
  },
  portTwice: ({ graph, edit }) => {
    const p = pick(graph.output ?? [], edit.a);
    if (p) graph.output = [...(graph.output ?? []), p];
  },
  innerOutput: onNode((n, { graph, edit }) => {
    const name = pick(n.output ?? [], edit.b);
    if (name) graph.output = [...(graph.output ?? []), { name }];
  }),
  inputAsOutput: ({ graph, edit }) => {
    const name = pick([...(graph.input ?? []), ...(graph.initializer ?? [])], edit.a)?.name;
    if (name) graph.output = [...(graph.output ?? []), { name }];
  },
  told: onNode((n, { graph, edit }) => {
    const dim = [{ dimValue: at(INTS, edit.b, 1) }, { dimValue: at(INTS, edit.c, 1) }];
    const type = { tensorType: { elemType: at(ELEM_CODES, edit.c, 1), shape: { dim } } };
    graph.valueInfo = [...(graph.valueInfo ?? []), { name: n.output?.[0] ?? "", type }];
  }),
  opset: ({ model, edit }) => {
    const own = (model.opsetImport ?? []).filter((o) => o.domain === "" || o.domain === "ai.onnx");
    for (const o of own) o.version = at(OPSETS, edit.a, 17);
  },
  noOpset: ({ model }) => {
    model.opsetImport = [];
  },
  irVersion: ({ model, edit }) => {
    model.irVersion = at(INTS, edit.a, 8);
  },
  cycle: onNode((n, { graph, edit }) => {
    const later = pick(nodesOf(graph), edit.b)?.output?.[0];
    if (later) n.input = [later, ...(n.input ?? []).slice(1)];
  }),
  nest: ({ graph, edit }) => nest(graph, at([1, 2, 3, 20, 40, 200], edit.a, 1)),
  functions: (e) => functions(e, at([1, 2, 5, 30, 2000], e.edit.a, 1), e.edit.b % 4 === 0),
  chain: ({ graph, edit }) => chain(graph, at([10, 1000, 5000], edit.a, 10), edit.b),
  huge: (e) => huge(e),
};

const modelEdit: fc.Arbitrary<ModelEdit> = fc.record({
  kind: fc.constantFrom(...Object.keys(EDITS)),
  a: fc.nat(999),
  b: fc.nat(999),
  c: fc.nat(999),
});

export const modelEdits = fc.array(modelEdit, { minLength: 1, maxLength: 4 });

/** The model's bytes after all edits. */
export function edited(bytes: Uint8Array, edits: readonly ModelEdit[]): Uint8Array {
  const model: ModelProto = onnx.ModelProto.decode(bytes);
  for (const edit of edits) EDITS[edit.kind]?.({ model, graph: model.graph as GraphProto, edit });
  return onnx.ModelProto.encode(model).finish();
}
