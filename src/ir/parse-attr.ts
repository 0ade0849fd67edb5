/** Attributes and types of the IR's text. */

import { fromNumbers } from "../tensor/convert.ts";
import {
  allocate,
  bytesPer,
  ELEMS,
  type Elem,
  fromBytes,
  isFloat,
  sizeOf,
  type Tensor,
  type TensorType,
} from "../tensor/tensor.ts";
import type { Lexer } from "./lex.ts";
import type { Attr, Attrs, WeightRef } from "./op.ts";

const MAX_DEPTH = 64;

/** The text between the quotes, with \\XX bytes and \\n, \\t, \\", \\\\ resolved. */
export function unquote(quoted: string): string {
  const bytes: number[] = [];
  const body = new TextEncoder().encode(quoted.slice(1, -1));
  for (let i = 0; i < body.length; i++) {
    const byte = body[i] ?? 0;
    if (byte !== 0x5c) {
      bytes.push(byte);
      continue;
    }
    const pair = String.fromCharCode(body[i + 1] ?? 0, body[i + 2] ?? 0);
    if (/^[0-9A-Fa-f]{2}$/.test(pair)) {
      bytes.push(Number.parseInt(pair, 16));
      i += 2;
    } else {
      bytes.push({ n: 10, t: 9 }[String.fromCharCode(body[i + 1] ?? 0)] ?? body[i + 1] ?? 0);
      i += 1;
    }
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

export function parseAttrs(lexer: Lexer, depth = 0): Attrs {
  const attrs: Record<string, Attr> = {};
  const open = lexer.next();
  if (open.text !== "{") lexer.fault(open, `expected '{', found '${open.text}'`);
  while (lexer.peek().text !== "}") {
    if (Object.keys(attrs).length > 0) comma(lexer);
    const token = lexer.next();
    if (token.kind !== "id" && token.kind !== "string") lexer.fault(token, "expected a name");
    const name = token.kind === "string" ? unquote(token.text) : token.text;
    if (Object.hasOwn(attrs, name)) lexer.fault(token, `'${name}' is given twice`);
    const equals = lexer.next();
    if (equals.text !== "=") lexer.fault(equals, `expected '=', found '${equals.text}'`);
    attrs[name] = parseAttr(lexer, depth + 1);
  }
  lexer.next();
  return attrs;
}

function comma(lexer: Lexer): void {
  const token = lexer.next();
  if (token.text !== ",") lexer.fault(token, `expected ',', found '${token.text}'`);
}

export function parseAttr(lexer: Lexer, depth = 0): Attr {
  const token = lexer.peek();
  if (depth > MAX_DEPTH) lexer.fault(token, `attributes nest deeper than ${MAX_DEPTH}`);
  if (token.text === "{") return parseAttrs(lexer, depth);
  if (token.text === "[") return parseArray(lexer, depth);
  lexer.next();
  switch (token.kind) {
    case "string":
      return unquote(token.text);
    case "number":
      return parseNumber(lexer, token.text);
    case "attribute":
      return parseWeight(lexer, token.text);
    case "id":
      if (token.text === "true" || token.text === "false") return token.text === "true";
      if (token.text === "dense") return parseDense(lexer);
  }
  return lexer.fault(token, `expected an attribute, found '${token.text}'`);
}

function parseArray(lexer: Lexer, depth: number): Attr[] {
  const items: Attr[] = [];
  lexer.next();
  while (lexer.peek().text !== "]") {
    if (items.length > 0) comma(lexer);
    items.push(parseAttr(lexer, depth + 1));
  }
  lexer.next();
  return items;
}

function parseNumber(lexer: Lexer, text: string): number {
  if (lexer.peek().text !== ":") return Number(text);
  lexer.next();
  const type = lexer.next();
  if (type.text !== "i64" && type.text !== "f64") lexer.fault(type, "expected i64 or f64");
  if (!text.startsWith("0x")) return Number(text);
  const bits = new DataView(new ArrayBuffer(8));
  bits.setBigUint64(0, BigInt(text));
  return bits.getFloat64(0);
}

function parseWeight(lexer: Lexer, name: string): WeightRef {
  const open = lexer.next();
  if (name !== "#aimc.weight" || open.text !== "<") lexer.fault(open, "expected #aimc.weight<…>");
  const weight = lexer.next();
  if (weight.kind !== "string") lexer.fault(weight, "expected the weight's name in quotes");
  comma(lexer);
  const type = shapedType(lexer);
  comma(lexer);
  const sha256 = lexer.digest();
  const close = lexer.next();
  if (close.text !== ">" || !type.shape.every((d) => d !== null)) {
    lexer.fault(close, "expected '>' after a weight of known shape");
  }
  const shape = type.shape.map(Number);
  return { weight: unquote(weight.text), type: { elem: type.elem, shape }, sha256 };
}

export function parseTensorType(lexer: Lexer): TensorType {
  const word = lexer.next();
  if (word.text !== "tensor") lexer.fault(word, `expected tensor<…>, found '${word.text}'`);
  const open = lexer.next();
  if (open.text !== "<") lexer.fault(open, "expected '<'");
  const type = shapedType(lexer);
  const close = lexer.next();
  if (close.text !== ">") lexer.fault(close, `expected '>', found '${close.text}'`);
  return type;
}

function shapedType(lexer: Lexer): TensorType {
  const parts = lexer.shape().split("x");
  const elem = parts.pop() ?? "";
  if (!isElem(elem)) lexer.fault(lexer.peek(), `no element type is called '${elem}'`);
  return { elem, shape: parts.map((d) => (d === "?" ? null : Number(d))) };
}

const isElem = (text: string): text is Elem => (ELEMS as readonly string[]).includes(text);

function parseDense(lexer: Lexer): Tensor {
  const open = lexer.next();
  if (open.text !== "<") lexer.fault(open, "expected '<'");
  const words: string[] = [];
  while (lexer.peek().text !== ">") {
    const token = lexer.next();
    if (token.kind === "end") lexer.fault(token, "dense<…> is not closed");
    if (token.kind !== "punct") words.push(token.text);
  }
  lexer.next();
  const colon = lexer.next();
  if (colon.text !== ":") lexer.fault(colon, "expected ':' and the tensor's type");
  const type = parseTensorType(lexer);
  const shape = type.shape.map(Number);
  const hex = words[0]?.match(/^"0x([0-9A-Fa-f]*)"$/)?.[1];
  if (hex !== undefined && hex.length === 2 * bytesPer(type.elem) * sizeOf(shape)) {
    return fromBytes(type.elem, shape, Buffer.from(hex, "hex"));
  }
  if (words.length !== sizeOf(shape)) {
    lexer.fault(colon, `dense<…> holds ${words.length} values, its type ${sizeOf(shape)}`);
  }
  const odd = words.find((w) => !isValue(type.elem, w));
  if (odd !== undefined) lexer.fault(colon, `'${odd}' is no value of ${type.elem}`);
  return fromWords(type.elem, shape, words);
}

const FLOAT = /^-?\d+(\.\d*)?([eE][+-]?\d+)?$/;

/** Whether a word stands for an element: integers and truths have one spelling, floats those of numbers. */
function isValue(elem: Elem, word: string): boolean {
  if (elem === "i1") return word === "true" || word === "false";
  return isFloat(elem) ? FLOAT.test(word) : /^-?\d+$/.test(word);
}

function fromWords(elem: Elem, shape: readonly number[], words: readonly string[]): Tensor {
  const data = allocate(elem, words.length);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    words.forEach((w, i) => {
      data[i] = BigInt(w);
    });
    return { elem, shape, data };
  }
  const number = (w: string) => (elem === "i1" ? Number(w === "true") : Number(w));
  return fromNumbers(elem, shape, words.map(number));
}
