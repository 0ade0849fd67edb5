/** What happens when: actions in the order of their time, those of the same time in the order in which they came. */

/** How often it is looked whether it is time for others, in actions, and how long they wait. */
const [LOOKED, TURN_MS] = [64, 100];

interface Planned {
  readonly time: number;
  readonly order: number;
  readonly act: () => void;
}

const isBefore = (a: Planned, b: Planned): boolean =>
  a.time < b.time || (a.time === b.time && a.order < b.order);

export class Actions {
  /** A heap: what is at i comes before what is at 2 i + 1 and 2 i + 2. */
  private readonly heap: Planned[] = [];
  private planned = 0;
  /** The time of the last action that began. */
  now = 0;

  at(time: number, act: () => void): void {
    const next = { time: Math.max(time, this.now), order: this.planned++, act };
    const { heap } = this;
    let i = heap.length;
    for (let up = (i - 1) >> 1; i > 0; up = (i - 1) >> 1) {
      const above = heap[up] as Planned;
      if (isBefore(above, next)) break;
      heap[i] = above;
      i = up;
    }
    heap[i] = next;
  }

  /** Acts until nothing is left, or until `isOver`; others on this thread get a turn now and then. */
  async run(isOver: () => boolean): Promise<void> {
    let turn = Date.now();
    let acted = 0;
    for (let next = this.pop(); next && !isOver(); next = this.pop()) {
      this.now = next.time;
      next.act();
      if (++acted % LOOKED !== 0 || Date.now() - turn < TURN_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turn = Date.now();
    }
  }

  private pop(): Planned | undefined {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      const [left, right] = [heap[2 * i + 1], heap[2 * i + 2]];
      const child = right && left && isBefore(right, left) ? 2 * i + 2 : 2 * i + 1;
      const down = heap[child];
      if (!down || !isBefore(down, last)) break;
      heap[i] = down;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}
