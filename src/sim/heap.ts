/**
 * Events in the order of their time; those of the same time in the order in which they were added. An event
 * is a number, and everything lies in typed arrays: a run has millions of events, which leave nothing behind.
 */

export class EventQueue {
  private times = new Float64Array(1024);
  private orders = new Float64Array(1024);
  private events = new Int32Array(1024);
  private size = 0;
  private added = 0;
  private readonly batch: number[] = [];

  push(time: number, event: number): void {
    if (this.size === this.times.length) this.grow();
    const { times, orders, events } = this;
    // Whatever was added before comes first among equals, so only earlier times are passed.
    let i = this.size++;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if ((times[up] as number) <= time) break;
      this.move(up, i);
      i = up;
    }
    times[i] = time;
    orders[i] = this.added++;
    events[i] = event;
  }

  /** Removes and gives all events of the earliest time; the list is used again. */
  popAll(): { readonly time: number; readonly events: readonly number[] } | null {
    if (this.size === 0) return null;
    const time = this.times[0] as number;
    this.batch.length = 0;
    while (this.size > 0 && this.times[0] === time) this.batch.push(this.pop());
    return { time, events: this.batch };
  }

  private pop(): number {
    const top = this.events[0] as number;
    const last = --this.size;
    if (last > 0) this.sink(last);
    return top;
  }

  /** Puts the entry behind the last one where the first one was. */
  private sink(last: number): void {
    const { times, orders, events, size } = this;
    const [time, order, event] = [times[last] as number, orders[last] as number, events[last]];
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && this.isBefore(child + 1, times[child], orders[child])) child++;
      if (!this.isBefore(child, time, order)) break;
      this.move(child, i);
      i = child;
    }
    times[i] = time;
    orders[i] = order;
    events[i] = event as number;
  }

  private isBefore(i: number, time: number | undefined, order: number | undefined): boolean {
    const own = this.times[i] as number;
    return (
      own < (time as number) || (own === time && (this.orders[i] as number) < (order as number))
    );
  }

  private move(from: number, to: number): void {
    this.times[to] = this.times[from] as number;
    this.orders[to] = this.orders[from] as number;
    this.events[to] = this.events[from] as number;
  }

  private grow(): void {
    const room = 2 * this.size;
    const larger = <T extends Float64Array | Int32Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.times = larger(new Float64Array(room), this.times);
    this.orders = larger(new Float64Array(room), this.orders);
    this.events = larger(new Int32Array(room), this.events);
  }
}
