/** Numbers as people read them. */

/** `1.85 M`, `920 K`, `12`. */
export function count(n: number): string {
  if (n >= 1e9) return `${trim(n / 1e9)} G`;
  if (n >= 1e6) return `${trim(n / 1e6)} M`;
  if (n >= 1e4) return `${trim(n / 1e3)} K`;
  return String(n);
}

/** `380 ns`, `12.4 us`, `3.2 ms`, `1.5 s` from nanoseconds. */
export function time(ns: number): string {
  if (ns >= 1e9) return `${trim(ns / 1e9)} s`;
  if (ns >= 1e6) return `${trim(ns / 1e6)} ms`;
  if (ns >= 1e3) return `${trim(ns / 1e3)} us`;
  return `${trim(ns)} ns`;
}

/** `12 nJ`, `3.4 uJ`, `1.2 mJ` from nanojoules. */
export function energy(nj: number): string {
  if (nj >= 1e6) return `${trim(nj / 1e6)} mJ`;
  if (nj >= 1e3) return `${trim(nj / 1e3)} uJ`;
  return `${trim(nj)} nJ`;
}

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** Three significant digits, no exponent. */
const trim = (n: number): string => String(Number(n.toPrecision(3)));

/** A small error: `1.2e-7`, `0`. */
export const tiny = (n: number): string => (n === 0 ? "0" : n.toExponential(1));

export const decibels = (db: number): string => `${db.toFixed(1)} dB`;
