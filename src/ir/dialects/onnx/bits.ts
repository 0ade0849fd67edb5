/** Operators on the bits of integers, and one that reads bits anew. */

import { bytesPer, type Elem, isFloat, type TensorType } from "../../../tensor/tensor.ts";
import { intAttr } from "../../attrs.ts";
import { attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { elementwise } from "./accesses.ts";
import { elemOfNumber } from "./elements.ts";
import { oneOf, onnxOp } from "./record.ts";
import {
  broadcastShapes,
  commonElem,
  impossible,
  type Operands,
  shapeAt,
  typeAt,
  typed,
} from "./shape.ts";

const integer = (elem: Elem): boolean => !isFloat(elem) && elem !== "i1";

function combined(_: Op, operands: Operands): TensorType[] {
  const elem = commonElem(operands);
  if (!integer(elem)) impossible(`takes integers, not ${elem}`);
  return [typed(elem, broadcastShapes(shapeAt(operands, 0), shapeAt(operands, 1)))];
}

const binary = (name: string, doc: string): OpDef =>
  onnxOp(name, { doc, operands: ["a", "b"], infer: combined, access: elementwise });

export const BIT_OPS: readonly OpDef[] = [
  binary("BitwiseAnd", "The bits that both integers have."),
  binary("BitwiseOr", "The bits that one or both integers have."),
  binary("BitwiseXor", "The bits that exactly one of the integers has."),
  onnxOp("BitwiseNot", {
    doc: "The bits that an integer has not.",
    operands: ["x"],
    infer(_, operands) {
      const type = typeAt(operands, 0);
      if (!integer(type.elem)) impossible(`takes integers, not ${type.elem}`);
      return [type];
    },
    access: elementwise,
  }),
  onnxOp("BitShift", {
    doc: "The bits of a moved by b places, to the LEFT or RIGHT.",
    operands: ["a", "b"],
    attrs: { direction: attr.string },
    verify: (op) => oneOf(op, "direction", ["LEFT", "RIGHT"]),
    infer(op, operands) {
      const [type] = combined(op, operands);
      if (!type?.elem.startsWith("u")) impossible(`takes unsigned integers, not ${type?.elem}`);
      return [type];
    },
    access: elementwise,
  }),
  onnxOp("BitCast", {
    doc: "The bits of x as another element type of the same width; `to` is ONNX's number for it.",
    operands: ["x"],
    attrs: { to: attr.int },
    infer(op, operands) {
      const { elem, shape } = typeAt(operands, 0);
      const to = elemOfNumber(intAttr(op, "to"));
      if (bytesPer(elem) !== bytesPer(to)) impossible(`${elem} and ${to} differ in width`);
      return [typed(to, shape)];
    },
    access: elementwise,
  }),
];
