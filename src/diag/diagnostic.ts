/** What a user can fix: a permanent code, what is wrong, where in their file, and what to do. */

/** Where a value or a number came from: ONNX nodes, a place in a text, or a whole file. */
export type Place =
  | { readonly kind: "node"; readonly model: string; readonly nodes: readonly string[] }
  | { readonly kind: "text"; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: "file"; readonly file: string }
  | { readonly kind: "command" };

export interface Diagnostic {
  /** Permanent: never reused, never renumbered. `docs/errors/CODE.md` is its long form. */
  readonly code: string;
  readonly text: string;
  /** Lines that go on where the text ends. */
  readonly details?: readonly string[];
  readonly at: Place;
  readonly hint: string;
}

/** Thrown for input or commands at fault; carries one or more diagnostics. Exit status 2. */
export class InputError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(showAll(diagnostics));
    this.name = "InputError";
    this.diagnostics = diagnostics;
  }
}

/** More faults than this only follow from the first ones. */
const MOST = 50;

function showAll(diagnostics: readonly Diagnostic[]): string {
  const shown = [...new Set(diagnostics.map(showDiagnostic))];
  const more = shown.length > MOST ? [`and ${shown.length - MOST} more errors`] : [];
  return [...shown.slice(0, MOST), ...more].join("\n");
}

export function showPlace(at: Place): string {
  switch (at.kind) {
    case "node":
      return `${at.model}: ${listed(at.nodes)}`;
    case "text":
      return `${at.file}:${at.line}:${at.column}`;
    case "file":
      return at.file;
    case "command":
      return "the command line";
  }
}

/** At most three names, then how many more. */
function listed(nodes: readonly string[]): string {
  const shown = nodes.slice(0, 3).map((n) => `node '${n}'`);
  if (nodes.length > 3) shown.push(`${nodes.length - 3} more`);
  return shown.join(", ");
}

function showDiagnostic({ code, text, details = [], at, hint }: Diagnostic): string {
  const lines = [`error[${code}]: ${oneLine(text)}`, ...details.map((d) => `  ${oneLine(d)}`)];
  const more = lines.length > MOST ? [`  and ${lines.length - MOST} more lines`] : [];
  return [
    ...lines.slice(0, MOST),
    ...more,
    `  at ${oneLine(showPlace(at))}`,
    `  hint: ${oneLine(hint)}`,
  ].join("\n");
}

/** A name in quotes that nobody reads whole: its beginning and its end say which it is. */
const LONG_NAME = /'([^']{100})[^']{100,}([^']{60})'/g;

const shortened = (_: string, first: string, last: string): string => `'${first}…${last}'`;

/** More of a line than this nobody reads; names in damaged files have thousands of characters. */
const LONGEST = 2000;

/** Line breaks in a name or a message of another program must not look like lines of ours. */
function oneLine(text: string): string {
  const line = visible(text.trim().replace(/\r?\n/g, "\\n")).replace(LONG_NAME, shortened);
  if (line.length <= LONGEST) return line;
  return `${line.slice(0, LONGEST)}… (${line.length - LONGEST} characters more)`;
}

/**
 * Control characters, and those that turn the direction of writing around, spelled out: a terminal would obey
 * them. Line breaks, tabs and colours (SGR sequences) stay.
 */
export const visible = (text: string): string =>
  text.replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  /(?!\u001b\[[\d;]*m)[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Stops at the first fault. Where several can be gathered, collect and throw one InputError. */
export function fail(code: string, text: string, at: Place, hint: string): never {
  throw new InputError([{ code, text, at, hint }]);
}

export const inFile = (file: string): Place => ({ kind: "file", file });
