/** Damage to the constants of a model: their dimensions, types, values, and where their data lies. */

import { onnx, type TensorProto } from "../../src/onnx/proto.ts";
import { type Editing, nodesOf } from "./grow.ts";
import { at, ELEM_CODES, FLOATS, INTS, LOCATIONS, pick, without } from "./values.ts";

/** An initializer, or the tensor of a Constant. */
const onTensor = (change: (tensor: TensorProto, e: Editing) => void) => (e: Editing) => {
  const held = nodesOf(e.graph).flatMap((n) =>
    (n.attribute ?? []).flatMap((a) => (a.t ? [a.t] : [])),
  );
  const tensor = pick([...(e.graph.initializer ?? []), ...held], e.edit.a);
  if (tensor) change(tensor, e);
};
/** What stands for an offset or a length. */
const ENTRIES = [
  ...INTS.map(String),
  ...["0x10", "1e3", " 8", "many", "", "9".repeat(400), "-0", "0.5"],
];

/** Fills a tensor's data, in its own element type, from a list of numbers. */
function fill(tensor: TensorProto, values: readonly number[], stride: number): void {
  const code = tensor.dataType ?? 1;
  const raw = Buffer.from(tensor.rawData ?? []);
  const put = (i: number, v: number): void => {
    if (code === 1) raw.writeFloatLE(v, i * 4);
    if (code === 11) raw.writeDoubleLE(v, i * 8);
    if (code === 7 && Number.isFinite(v))
      raw.writeBigInt64LE(BigInt.asIntN(64, BigInt(Math.trunc(v))), i * 8);
    if (code === 6 && Number.isFinite(v)) raw.writeInt32LE(v | 0, i * 4);
  };
  const size = code === 1 || code === 6 ? 4 : code === 11 || code === 7 ? 8 : raw.length + 1;
  const count = Math.floor(raw.length / size);
  for (let i = 0, k = 0; i < count; i += Math.max(1, stride), k++) put(i, at(values, k, 0));
  if (count > 0) tensor.rawData = raw;
  if ((tensor.floatData ?? []).length > 0)
    tensor.floatData = (tensor.floatData ?? []).map((_, i) => at(values, i, 0));
  if ((tensor.int64Data ?? []).length > 0)
    tensor.int64Data = (tensor.int64Data ?? []).map((_, i) => Math.trunc(at(values, i, 0)) || 0);
}

export const TENSOR_EDITS: Readonly<Record<string, (e: Editing) => void>> = {
  tensorDims: onTensor((t, { edit }) => {
    const dims = (t.dims ?? []) as number[];
    t.dims =
      dims.length === 0
        ? [at(INTS, edit.c, 0)]
        : dims.map((d, i) => (i === edit.b % dims.length ? at(INTS, edit.c, 0) : d));
  }),
  tensorRank: onTensor((t, { edit }) => {
    t.dims =
      edit.b % 2 ? [...((t.dims ?? []) as number[]), 1] : [1, ...((t.dims ?? []) as number[])];
  }),
  tensorScalar: onTensor((t) => {
    t.dims = [];
  }),
  tensorFlat: onTensor((t) => {
    t.dims = [
      ((t.dims ?? []) as (number | { low: number })[]).reduce<number>(
        (a, d) => a * (typeof d === "number" ? d : d.low),
        1,
      ),
    ];
  }),
  tensorEmpty: onTensor((t) => {
    t.dims = [0];
    t.rawData = new Uint8Array();
    t.floatData = [];
    t.int64Data = [];
  }),
  tensorType: onTensor((t, { edit }) => {
    t.dataType = at(ELEM_CODES, edit.b, 1);
  }),
  tensorNan: onTensor((t, { edit }) => fill(t, [at(FLOATS, edit.b, 0)], edit.c % 5)),
  tensorInts: onTensor((t, { edit }) => fill(t, [at(INTS, edit.b, 0), at(INTS, edit.c, 0)], 1)),
  tensorGone: ({ graph, edit }) => {
    graph.initializer = without(graph.initializer ?? [], edit.a);
  },
  tensorTwice: ({ graph, edit }) => {
    const t = pick(graph.initializer ?? [], edit.a);
    if (t) graph.initializer = [...(graph.initializer ?? []), t];
  },
  tensorOutside: onTensor((t, { edit }) => {
    t.dataLocation = onnx.TensorProto.DataLocation.EXTERNAL;
    t.externalData = [
      { key: "location", value: at(LOCATIONS, edit.b, "x") },
      { key: "offset", value: String(at(INTS, edit.c, 0)) },
    ];
  }),
  tensorEntry: onTensor((t, { edit }) => {
    const key = at(["location", "offset", "length", "checksum", ""], edit.b, "offset");
    const value = key === "location" ? at(LOCATIONS, edit.c, "x") : at(ENTRIES, edit.c, "0");
    const own = (t.externalData ?? []).filter((e) => edit.a % 3 === 0 || e.key !== key);
    t.externalData = [...own, { key, value }];
  }),
};
