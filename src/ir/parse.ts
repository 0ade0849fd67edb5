/** Text to module: the inverse of print.ts. Faults carry a line and a column. */

import type { TensorType } from "../tensor/tensor.ts";
import { type Lexer, Lexer as LexerClass, type Token } from "./lex.ts";
import {
  type Attr,
  type Attrs,
  LEVELS,
  type Level,
  type Module,
  type Op,
  type Value,
} from "./op.ts";
import { parseAttr, parseAttrs, parseTensorType, unquote } from "./parse-attr.ts";

/** Parses one module; `file` is what faults name. */
export function parseModule(text: string, file: string): Module {
  const lexer = new LexerClass(text, file);
  expectAll(lexer, '"builtin.module"', "(", ")", "(", "{", '"func.func"', "(", ")", "(", "{");
  const body = parseBody(lexer);
  expectAll(lexer, "}", ")", "{", "function_type", "=");
  parseFunctionType(lexer);
  expectAll(lexer, ",", "sym_name", "=", '"main"', "}", ":", "(", ")", "->", "(", ")", "}", ")");
  const at = lexer.peek();
  const attrs = parseAttrs(lexer);
  expectAll(lexer, ":", "(", ")", "->", "(", ")");
  return assemble(lexer, at, attrs, body);
}

interface Body {
  readonly args: readonly Value[];
  readonly ops: readonly Op[];
  readonly results: readonly Value[];
}

function assemble(lexer: Lexer, at: Token, attrs: Attrs, body: Body): Module {
  const text = (name: string): string => {
    const a = attrs[name];
    return typeof a === "string" ? a : lexer.fault(at, `the module lacks the string ${name}`);
  };
  const names = (name: string, count: number): readonly string[] => {
    const a = attrs[name];
    if (Array.isArray(a) && a.length === count && a.every((n) => typeof n === "string")) return a;
    return lexer.fault(at, `the module's ${name} must name ${count} tensors`);
  };
  const level = text("aimc.level");
  if (!isLevel(level)) return lexer.fault(at, `no level is called '${level}'`);
  const outputs = names("aimc.outputs", body.results.length);
  return {
    level,
    name: text("aimc.name"),
    inputs: names("aimc.inputs", body.args.length).map((name, i) => ({
      name,
      value: body.args[i] as Value,
    })),
    outputs: outputs.map((name, i) => ({ name, value: body.results[i] as Value })),
    ops: body.ops,
  };
}

const isLevel = (text: string): text is Level => (LEVELS as readonly string[]).includes(text);

function expect(lexer: Lexer, text: string): Token {
  const token = lexer.next();
  if (token.text !== text) lexer.fault(token, `expected '${text}', found '${token.text}'`);
  return token;
}

function expectAll(lexer: Lexer, ...texts: readonly string[]): void {
  for (const text of texts) expect(lexer, text);
}

function expectKind(lexer: Lexer, kind: Token["kind"], what: string): Token {
  const token = lexer.next();
  if (token.kind !== kind) lexer.fault(token, `expected ${what}, found '${token.text}'`);
  return token;
}

/** Items between an opening and a closing mark, with commas; the opening one is still to come. */
function parseList<T>(lexer: Lexer, open: string, close: string, item: () => T): T[] {
  expect(lexer, open);
  const items: T[] = [];
  while (lexer.peek().text !== close) {
    if (items.length > 0) expect(lexer, ",");
    items.push(item());
  }
  expect(lexer, close);
  return items;
}

function parseBody(lexer: Lexer): Body {
  const scope = new Map<string, Value>();
  const block = expectKind(lexer, "block", "a block");
  if (block.text !== "^bb0") lexer.fault(block, "the function has one block, ^bb0");
  const args = lexer.peek().text === "(" ? parseArguments(lexer, scope) : [];
  expect(lexer, ":");
  const ops: Op[] = [];
  while (lexer.peek().text !== '"func.return"') ops.push(parseOp(lexer, scope));
  lexer.next();
  const results = parseList(lexer, "(", ")", () => parseUse(lexer, scope));
  expect(lexer, ":");
  parseFunctionType(lexer);
  return { args, ops, results };
}

function parseArguments(lexer: Lexer, scope: Map<string, Value>): readonly Value[] {
  return parseList(lexer, "(", ")", () => {
    const token = expectKind(lexer, "value", "an argument");
    expect(lexer, ":");
    return define(lexer, scope, token, parseTensorType(lexer), undefined);
  });
}

function define(
  lexer: Lexer,
  scope: Map<string, Value>,
  token: Token,
  type: TensorType,
  tensor: string | undefined,
): Value {
  const id = token.text.slice(1);
  if (scope.has(id)) lexer.fault(token, `%${id} is defined twice`);
  const value: Value = { id, type, ...(tensor !== undefined && { tensor }) };
  scope.set(id, value);
  return value;
}

function parseUse(lexer: Lexer, scope: ReadonlyMap<string, Value>): Value {
  const token = expectKind(lexer, "value", "a value");
  const value = scope.get(token.text.slice(1));
  return value ?? lexer.fault(token, `${token.text} is not defined yet`);
}

interface FunctionType {
  readonly operands: readonly TensorType[];
  readonly results: readonly TensorType[];
}

function parseFunctionType(lexer: Lexer): FunctionType {
  const operands = parseList(lexer, "(", ")", () => parseTensorType(lexer));
  expect(lexer, "->");
  const many = lexer.peek().text === "(";
  const results = many
    ? parseList(lexer, "(", ")", () => parseTensorType(lexer))
    : [parseTensorType(lexer)];
  return { operands, results };
}

function parseOp(lexer: Lexer, scope: Map<string, Value>): Op {
  const names: Token[] = [];
  while (lexer.peek().kind === "value") {
    names.push(lexer.next());
    if (lexer.peek().text === ",") lexer.next();
    else expect(lexer, "=");
  }
  const kindToken = expectKind(lexer, "string", "an operation's name in quotes");
  const present = parseList(lexer, "(", ")", () => parseUse(lexer, scope));
  const { absent, tensors, ...attrs } = lexer.peek().text === "{" ? parseAttrs(lexer) : {};
  expect(lexer, ":");
  const type = parseFunctionType(lexer);
  if (type.results.length !== names.length || type.operands.length !== present.length) {
    lexer.fault(kindToken, "the type has other counts of operands or results than the operation");
  }
  const tensorNames = Array.isArray(tensors) ? tensors : [];
  const results = names.map((token, i) =>
    define(lexer, scope, token, type.results[i] as TensorType, text(tensorNames[i])),
  );
  return {
    kind: unquote(kindToken.text),
    operands: withAbsent(present, Array.isArray(absent) ? absent : []),
    results,
    attrs,
    origin: parseLocation(lexer),
  };
}

const text = (a: Attr | undefined): string | undefined =>
  typeof a === "string" && a !== "" ? a : undefined;

function withAbsent(present: readonly Value[], absent: readonly Attr[]): (Value | null)[] {
  const operands: (Value | null)[] = [...present];
  for (const at of absent) operands.splice(Number(at), 0, null);
  return operands;
}

function parseLocation(lexer: Lexer): readonly string[] {
  expectAll(lexer, "loc", "(");
  const first = lexer.next();
  let origin: string[] = [];
  if (first.kind === "string") origin = [unquote(first.text)];
  else if (first.text === "fused") {
    origin = parseList(lexer, "[", "]", () => String(parseAttr(lexer)));
  } else if (first.text !== "unknown") {
    lexer.fault(first, "expected a name, fused[…] or unknown");
  }
  expect(lexer, ")");
  return origin;
}
