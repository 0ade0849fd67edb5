/**
 * Storage of values that nobody reads any more, for values to come. Left to the garbage collector it would be
 * collected every few inferences, on threads that other inferences could have.
 */

/** Smaller storage is left to the garbage collector, in bytes. */
const LEAST = 2 ** 12;

/** Bytes that lie idle at most. */
const MOST = 2 ** 26;

/** By size in bytes. */
const idle = new Map<number, ArrayBuffer[]>();
let idleBytes = 0;

const kept = new WeakSet<ArrayBufferLike>();

/** Idle storage of exactly so many bytes, all of them zero. */
export function idleStorage(bytes: number): ArrayBuffer | undefined {
  const found = bytes < LEAST ? undefined : idle.get(bytes)?.pop();
  if (!found) return undefined;
  idleBytes -= bytes;
  new Uint8Array(found).fill(0);
  return found;
}

/** The storage is read for longer than it seems: giving it back does nothing. */
export function neverGiveBack(storage: ArrayBufferLike): void {
  kept.add(storage);
}

/** Gives back storage that nobody looks at any more, whoever it was made for. */
export function giveBack(storage: ArrayBufferLike): void {
  const bytes = storage.byteLength;
  if (bytes < LEAST || idleBytes + bytes > MOST) return;
  if (!(storage instanceof ArrayBuffer) || kept.has(storage)) return;
  const alike = idle.get(bytes) ?? [];
  idle.set(bytes, alike);
  alike.push(storage);
  idleBytes += bytes;
}
