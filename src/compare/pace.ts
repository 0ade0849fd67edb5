/** How fast a long run goes, and how long it will still take. */

/** Counts inferences; `now` is a clock in milliseconds. */
export class Pace {
  private readonly total: number;
  private readonly now: () => number;
  private began: number | undefined;
  private saved = 0;

  constructor(total: number, now: () => number = () => performance.now()) {
    this.total = total;
    this.now = now;
  }

  /** So many need not run: they say nothing about the rate. */
  skip(count: number): void {
    this.saved += count;
  }

  start(): void {
    this.began ??= this.now();
  }

  /** So many have run since the start: `3.1 inferences/s` and `2 min 5 s left`. */
  reach(done: number): readonly string[] {
    const seconds = (this.now() - (this.began ?? this.now())) / 1000;
    if (done === 0 || seconds === 0) return [];
    const rate = done / seconds;
    const left = (this.total - this.saved - done) / rate;
    const each = rate < 10 ? rate.toPrecision(2) : rate.toFixed(0);
    return [`${each} inferences/s`, `${span(left)} left`];
  }
}

/** `40 s`, `3 min 20 s`, `2 h 5 min`. */
function span(seconds: number): string {
  const s = Math.max(0, Math.ceil(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}
