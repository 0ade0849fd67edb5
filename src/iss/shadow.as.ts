/** Which bytes of a range of addresses have been written: of each a byte that is 1. */

let base: u32 = 0, size: u32 = 0, place: usize = 0;

export function shadow(from: u32, bytes: u32, at: usize): void {
  base = from; size = bytes; place = at;
}

/** Notes a write; of a read, whether all that it reads has been written. Elsewhere that is always so. */
export function noted(a: u32, bytes: u32, storing: bool): bool {
  if (a - base >= size) return true;
  const first = place + (a - base);
  if (storing) memory.fill(first, 1, bytes);
  else for (let i: u32 = 0; i < bytes; i++) if (load<u8>(first + i) == 0) return false;
  return true;
}
