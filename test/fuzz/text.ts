/** Damage to text that people and programs write: JSON, YAML, the IR. */

import fc from "fast-check";
import { at, FLOATS, INTS, NAMES, pick, swapped } from "./values.ts";

/** Plain data. Numbers wrap around what there is. */
export interface TextEdit {
  readonly kind: (typeof KINDS)[number];
  readonly a: number;
  readonly b: number;
}

const KINDS = [
  ...(["number", "near", "near", "word", "text", "swapWords", "dropWord"] as const),
  ...(["dropLine", "repeatLine", "swapLines", "cut", "nest", "emptied", "anchors"] as const),
];

export const textEdits: fc.Arbitrary<TextEdit[]> = fc.array(
  fc.record({ kind: fc.constantFrom(...KINDS), a: fc.nat(2 ** 20), b: fc.nat(999) }),
  { minLength: 1, maxLength: 3 },
);

export const retold = (text: string, edits: readonly TextEdit[]): string =>
  edits.reduce(applyOne, text);

const NUMBER = /-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b/g;
const WORD = /[\w$.-]+/g;
const QUOTED = /"[^"\n]*"/g;

const NUMBERS: readonly string[] = [
  ...[...INTS, ...FLOATS].map(String),
  ...["", "null", "true", '"1"', "[]", "{}", "0.5", "1e400", "-1", "99999999999999999999"],
];

function applyOne(text: string, { kind, a, b }: TextEdit): string {
  switch (kind) {
    case "number":
      return replaced(text, NUMBER, a, at(NUMBERS, b, "0"));
    case "near":
      return replaced(text, NUMBER, a, (n) => String(Number(n) + at([1, -1, 2, -2, 64], b, 1)));
    case "word":
      return replaced(text, WORD, a, pick(text.match(WORD) ?? [], b * 7919) ?? "x");
    case "text":
      return replaced(text, QUOTED, a, JSON.stringify(at(NAMES, b, "x")));
    case "dropWord":
      return replaced(text, WORD, a, "");
    case "swapWords":
      return parts(text, /([\w$.-]+)/, (words) => swapped(words, 2 * a + 1, 2 * b + 1));
    case "dropLine":
      return parts(text, "\n", (lines) => lines.filter((_, i) => i !== a % lines.length));
    case "repeatLine":
      return parts(text, "\n", (lines) =>
        lines.flatMap((line, i) => (i === a % lines.length ? [line, line] : [line])),
      );
    case "swapLines":
      return parts(text, "\n", (lines) => swapped(lines, a, b));
    case "cut":
      return text.slice(0, a % (text.length + 1));
    case "nest":
      return inserted(text, a, at(["[", "{", "(", "<", "- ", "x: "], b, "[").repeat(20_000));
    case "emptied":
      return at(["", "null", "[]", "{}", "0", '""', "\u0000", "\ufeff", "---\n---\n"], b, "");
    case "anchors":
      return `${text}\n${BOMB}`;
  }
}

/** Each line is the one above nine times: "billion laughs". */
const BOMB = Array.from(
  { length: 9 },
  (_, i) =>
    `l${i}: &l${i} [${
      i === 0
        ? "lol"
        : Array(9)
            .fill(`*l${i - 1}`)
            .join(", ")
    }]`,
).join("\n");

/** Puts `by` in the place of one match. */
function replaced(
  text: string,
  what: RegExp,
  index: number,
  by: string | ((found: string) => string),
): string {
  const found = pick([...text.matchAll(what)], index);
  if (!found) return text;
  const [old] = found;
  const now = typeof by === "string" ? by : by(old);
  return text.slice(0, found.index) + now + text.slice(found.index + old.length);
}

const inserted = (text: string, index: number, what: string): string => {
  const where = index % (text.length + 1);
  return text.slice(0, where) + what + text.slice(where);
};

function parts(text: string, by: string | RegExp, change: (all: string[]) => string[]): string {
  return change(text.split(by)).join(typeof by === "string" ? by : "");
}
