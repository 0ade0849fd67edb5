/**
 * Random numbers by address: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). The n-th number of a stream depends on the seed and its address alone.
 */

type Words = readonly [number, number, number, number];

const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;

/** High and low word of the 64-bit product of two 32-bit words. */
function product(a: number, b: number): readonly [number, number] {
  const low = Math.imul(a, b) >>> 0;
  const [ah, al, bh, bl] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = ah * bl + Math.floor((al * bl) / 0x10000);
  const carry = (middle % 0x10000) + al * bh;
  return [ah * bh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000), low];
}

/** The four words of one counter under one key. */
export function philox(counter: Words, key: readonly [number, number]): Words {
  let [x0, x1, x2, x3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [h0, l0] = product(MULTIPLIERS[0], x0);
    const [h1, l1] = product(MULTIPLIERS[1], x2);
    [x0, x1, x2, x3] = [(h1 ^ x1 ^ k0) >>> 0, l1, (h0 ^ x3 ^ k1) >>> 0, l0];
    k0 = (k0 + WEYL[0]) >>> 0;
    k1 = (k1 + WEYL[1]) >>> 0;
  }
  return [x0, x1, x2, x3];
}

/** `length` numbers, uniform in (0, 1), of the stream `address` under `seed`. */
export function uniforms(
  length: number,
  seed: number,
  address: readonly [number, number],
): Float64Array {
  const values = new Float64Array(length);
  for (let group = 0; group * 4 < length; group++) {
    const words = philox([group, 0, 0, address[1]], [seed >>> 0, address[0]]);
    for (const [i, word] of words.entries()) {
      if (group * 4 + i < length) values[group * 4 + i] = (word + 0.5) / 2 ** 32;
    }
  }
  return values;
}
