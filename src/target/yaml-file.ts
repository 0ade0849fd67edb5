/** YAML files that users write, checked by a zod schema; every fault is told with file, line and column. */

import type { Document, ParsedNode, YAMLParseError } from "yaml";
import { isMap, isNode, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { type Diagnostic, fail, InputError, inFile, type Place } from "../diag/diagnostic.ts";

type Issue = z.core.$ZodIssue;

/** How faults in this kind of file are told. */
export interface FileKind {
  readonly code: string;
  readonly hint: string;
}

/** Reads `text` as YAML and checks it. Throws an InputError that gathers every fault. */
export function parseYaml<T>(text: string, file: string, schema: z.ZodType<T>, kind: FileKind): T {
  const lines = new LineCounter();
  const { document, content } = parsed(text, lines, file, kind);
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { kind: "text", file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const tell = (said: string, offset: number): Diagnostic => ({
    code: kind.code,
    text: said,
    at: at(offset),
    hint: kind.hint,
  });
  if (document.errors.length > 0) {
    throw new InputError(document.errors.map((e) => tell(saidOf(e), e.pos[0])));
  }
  if (content === null) fail(kind.code, "there is nothing in this file", inFile(file), kind.hint);
  const checked = schema.safeParse(content);
  if (checked.success) return checked.data;
  const issues = checked.error.issues.flatMap((issue) => plain(issue, []));
  throw new InputError(issues.map(({ path, said }) => tell(said, offsetOf(document, path))));
}

/** Aliases that multiply each other and brackets without end are stopped by the parser, in its own way. */
function parsed(text: string, lineCounter: LineCounter, file: string, { code, hint }: FileKind) {
  const tooDeep = () => fail(code, "this is nested too deeply", inFile(file), hint);
  try {
    const document = parseDocument(text, { lineCounter });
    if (document.errors.some((e) => STACK.test(e.message))) tooDeep();
    return { document, content: document.errors.length > 0 ? null : document.toJS() };
  } catch (error) {
    if (error instanceof RangeError && STACK.test(error.message)) return tooDeep();
    if (!(error instanceof ReferenceError)) throw error;
    return fail(code, `the aliases cannot be resolved: ${error.message}`, inFile(file), hint);
  }
}

const STACK = /call stack/;

/** The parser's own words, but where they are for programmers. */
const saidOf = ({ code, message }: YAMLParseError): string =>
  code === "MULTIPLE_DOCS" ? "a second document begins here: give one a file" : firstLine(message);

const firstLine = (message: string): string => message.split("\n")[0]?.replace(/:$/, "") ?? "";

interface Fault {
  readonly path: readonly PropertyKey[];
  readonly said: string;
}

/** One fault a wrong key or value; of a union, those of the branch that comes closest. */
function plain(issue: Issue, prefix: readonly PropertyKey[]): Fault[] {
  const path = [...prefix, ...issue.path];
  const name = path.join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: [...path, key],
      said: `'${[...path, key].join(".")}' is not a known key`,
    }));
  }
  // A schema that knows better says so in words of its own.
  if (issue.code === "invalid_union" && issue.message === "Invalid input") {
    const closest = issue.errors.toSorted((a, b) => strangeness(a) - strangeness(b))[0] ?? [];
    const faults = closest.flatMap((i) => plain(i, path));
    if (faults.some((f) => f.path.length > path.length)) return faults;
  }
  const said = issue.message.replace(/^Invalid (input|option): /, "");
  if (said.endsWith(", received undefined")) return [{ path, said: `'${name}' is missing` }];
  return [{ path, said: name === "" ? said : `'${name}': ${said}` }];
}

/** How far a value is from a branch of a union: keys that it does not have decide, then the number of faults. */
const strangeness = (branch: readonly Issue[]): number =>
  branch.reduce((sum, i) => sum + (i.code === "unrecognized_keys" ? 1000 * i.keys.length : 1), 0);

/** Where a path begins in the file; of a missing key, where the map begins that lacks it. */
function offsetOf(document: Document.Parsed<ParsedNode>, path: readonly PropertyKey[]): number {
  const parent = document.getIn(path.slice(0, -1), true) ?? document.contents;
  if (isMap(parent)) {
    const pair = parent.items.find((i) => String(i.key) === String(path.at(-1)));
    if (isNode(pair?.key) && pair.key.range) return pair.key.range[0];
  }
  for (let depth = path.length; depth >= 0; depth--) {
    const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}
