/**
 * Sizes that exporters write as expressions of other dimensions: `past + sequence`, `2*batch`,
 * `floor(height/14)`, `s0//2`. Sums, products, differences, quotients that are rounded down, brackets, Min and Max.
 */

/** A name, a number or a sign. A name may hold dots and colons, as that of an unnamed dimension does. */
const TOKEN = /\s*(\/\/|[A-Za-z_][\w.:]*|\d+|[-+*/(),])/y;

function tokensOf(text: string): readonly string[] | null {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const found = TOKEN.exec(text);
    if (!found) return null;
    tokens.push(found[1] ?? "");
  }
  return tokens;
}

type Lookup = (name: string) => number | undefined;
type Rule = (a: number, b: number) => number;

const SUMS: Readonly<Record<string, Rule>> = { "+": (a, b) => a + b, "-": (a, b) => a - b };

const PRODUCTS: Readonly<Record<string, Rule>> = {
  "*": (a, b) => a * b,
  "/": (a, b) => Math.floor(a / b),
  "//": (a, b) => Math.floor(a / b),
};

const FUNCTIONS: Readonly<Record<string, (args: readonly number[]) => number>> = {
  floor: ([a = Number.NaN]) => Math.floor(a),
  Min: (args) => Math.min(...args),
  Max: (args) => Math.max(...args),
};

/** Reads an expression from left to right; whatever is not one becomes NaN. */
class Reader {
  private at = 0;
  private readonly tokens: readonly string[];
  private readonly sizeOf: Lookup;

  constructor(tokens: readonly string[], sizeOf: Lookup) {
    this.tokens = tokens;
    this.sizeOf = sizeOf;
  }

  whole(): number {
    const value = this.chain(SUMS, () => this.chain(PRODUCTS, () => this.atom()));
    return this.at === this.tokens.length ? value : Number.NaN;
  }

  private chain(rules: Readonly<Record<string, Rule>>, part: () => number): number {
    let value = part();
    for (let rule = this.rule(rules); rule; rule = this.rule(rules)) value = rule(value, part());
    return value;
  }

  private rule(rules: Readonly<Record<string, Rule>>): Rule | undefined {
    const token = this.tokens[this.at] ?? "";
    if (!Object.hasOwn(rules, token)) return undefined;
    this.at++;
    return rules[token];
  }

  private atom(): number {
    const token = this.tokens[this.at++] ?? "";
    if (/^\d+$/.test(token)) return Number(token);
    if (token === "(") return this.args()[0] ?? Number.NaN;
    const apply = Object.hasOwn(FUNCTIONS, token) ? FUNCTIONS[token] : undefined;
    if (apply && this.tokens[this.at] === "(") {
      this.at++;
      return apply(this.args());
    }
    return this.sizeOf(token) ?? Number.NaN;
  }

  /** What stands between brackets, separated by commas; the opening one has been read. */
  private args(): readonly number[] {
    const values: number[] = [];
    do values.push(this.chain(SUMS, () => this.chain(PRODUCTS, () => this.atom())));
    while (this.tokens[this.at++] === ",");
    return this.tokens[this.at - 1] === ")" ? values : [Number.NaN];
  }
}

/** The dimensions that an expression is made of; none for a mere name. */
export function namesIn(text: string): readonly string[] {
  const tokens = tokensOf(text) ?? [];
  const names = tokens.filter((t) => /^[A-Za-z_]/.test(t) && !Object.hasOwn(FUNCTIONS, t));
  return tokens.length < 2 ? [] : names;
}

/** The size that an expression has; undefined when it is a mere name, no expression, or holds unknown names. */
export function evaluateDim(text: string, sizeOf: Lookup): number | undefined {
  const tokens = tokensOf(text);
  // Nesting is bounded by what a name may reasonably hold.
  if (!tokens || tokens.length < 2 || tokens.length > 64) return undefined;
  const value = new Reader(tokens, sizeOf).whole();
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
