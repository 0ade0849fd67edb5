/** Events in the order of their time; those of the same time in the order in which they were added. */

interface Entry<T> {
  readonly time: number;
  readonly order: number;
  readonly event: T;
}

const before = <T>(a: Entry<T>, b: Entry<T>): boolean =>
  a.time < b.time || (a.time === b.time && a.order < b.order);

export class EventQueue<T> {
  private readonly heap: Entry<T>[] = [];
  private added = 0;

  get size(): number {
    return this.heap.length;
  }

  push(time: number, event: T): void {
    const entry = { time, order: this.added++, event };
    let i = this.heap.length;
    this.heap.push(entry);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = this.heap[up] as Entry<T>;
      if (!before(entry, parent)) break;
      this.heap[i] = parent;
      i = up;
    }
    this.heap[i] = entry;
  }

  /** Removes and gives all events of the earliest time. */
  popAll(): { readonly time: number; readonly events: readonly T[] } | null {
    const first = this.heap[0];
    if (!first) return null;
    const events: T[] = [];
    while (this.heap[0]?.time === first.time) events.push(this.pop().event);
    return { time: first.time, events };
  }

  private pop(): Entry<T> {
    const top = this.heap[0] as Entry<T>;
    const last = this.heap.pop() as Entry<T>;
    if (this.heap.length > 0) this.sink(last);
    return top;
  }

  private sink(entry: Entry<T>): void {
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const left = this.heap[child];
      if (!left) break;
      const right = this.heap[child + 1];
      if (right && before(right, left)) child++;
      const smaller = this.heap[child] as Entry<T>;
      if (!before(smaller, entry)) break;
      this.heap[i] = smaller;
      i = child;
    }
    this.heap[i] = entry;
  }
}
