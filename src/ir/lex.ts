/** Tokens of the IR's text, each with its place. */

import { fail, type Place } from "../diag/diagnostic.ts";

export interface Token {
  readonly kind: "string" | "number" | "id" | "value" | "block" | "attribute" | "punct" | "end";
  readonly text: string;
  readonly at: number;
}

const PATTERNS: readonly (readonly [Token["kind"], RegExp])[] = [
  ["string", /"(?:[^"\\\n]|\\.)*"/y],
  ["number", /0x[0-9A-Fa-f]+|-?\d+(?:\.\d*(?:[eE][-+]?\d+)?)?/y],
  ["value", /%(?:\d+|[A-Za-z_$.-][\w$.-]*)/y],
  ["block", /\^[\w$.-]+/y],
  ["attribute", /#[A-Za-z_][\w$.]*/y],
  ["id", /[A-Za-z_][\w$.]*/y],
  ["punct", /->|[()[\]{}<>:,=?]/y],
];

const SPACE = /(?:\s+|\/\/[^\n]*)*/y;

/** Reads tokens one at a time; the parser decides what to expect next. */
export class Lexer {
  readonly file: string;
  private readonly text: string;
  private at = 0;
  private ahead: Token | null = null;

  constructor(text: string, file: string) {
    this.text = text;
    this.file = file;
  }

  peek(): Token {
    this.ahead ??= this.read();
    return this.ahead;
  }

  next(): Token {
    const token = this.peek();
    this.ahead = null;
    return token;
  }

  /** A tensor's shape and element type, `2x?xf32`, which the ordinary tokens would cut apart. */
  shape(): string {
    const match = this.match(/[0-9?x]*(?:f|bf|ui|i)\d+/y);
    if (match === null) this.fault(this.peek(), "expected a shape such as 2x3xf32");
    return match;
  }

  /** `sha256:` or `place:`, and hexadecimal digits: WeightRef.sha256. */
  digest(): string {
    const match = this.match(/(?:sha256|place):[0-9a-f]*/y);
    if (match === null) this.fault(this.peek(), "expected sha256:… or place:…");
    return match.replace(/^sha256:/, "");
  }

  fault(token: Token, text: string): never {
    fail(
      "A501",
      text,
      this.placeOf(token.at),
      "the text must be as `aimcc compile --dump-ir` writes it",
    );
  }

  private match(pattern: RegExp): string | null {
    if (this.ahead) throw new Error("a token was already read ahead");
    this.skip();
    pattern.lastIndex = this.at;
    const text = pattern.exec(this.text)?.[0] ?? null;
    if (text !== null) this.at += text.length;
    return text;
  }

  private skip(): void {
    SPACE.lastIndex = this.at;
    this.at += SPACE.exec(this.text)?.[0].length ?? 0;
  }

  private read(): Token {
    this.skip();
    const at = this.at;
    if (at >= this.text.length) return { kind: "end", text: "the end of the file", at };
    for (const [kind, pattern] of PATTERNS) {
      pattern.lastIndex = at;
      const text = pattern.exec(this.text)?.[0];
      if (text === undefined) continue;
      this.at += text.length;
      return { kind, text, at };
    }
    const stray = { kind: "punct", text: this.text[at] ?? "", at } as const;
    return this.fault(stray, `'${stray.text}' cannot stand here`);
  }

  private placeOf(at: number): Place {
    const before = this.text.slice(0, at).split("\n");
    const column = (before.at(-1)?.length ?? 0) + 1;
    return { kind: "text", file: this.file, line: before.length, column };
  }
}
