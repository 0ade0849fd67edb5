/** Times since programming, as `--time` takes them and as tables show them. */

/** Seconds by unit, the largest first. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ["y", 365 * 86400],
  ["w", 7 * 86400],
  ["d", 86400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
]);

/** `10y`, `1w`, `90s`: in the largest unit that divides it. */
export function age(seconds: number): string {
  const found = [...UNITS].find(([, size]) => seconds >= size && seconds % size === 0);
  return found ? `${seconds / found[1]}${found[0]}` : `${seconds}s`;
}

/** `90s`, `1h`, `1.5d`, `10y` or plain seconds, as seconds; null for anything else. */
export function secondsOf(text: string): number | null {
  const [, n, unit = "s"] = /^(\d+(?:\.\d+)?)([smhdwy])?$/.exec(text) ?? [];
  const seconds = Number(n) * (UNITS.get(unit) ?? 1);
  return Number.isFinite(seconds) ? seconds : null;
}
