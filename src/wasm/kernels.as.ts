/**
 * The inner loops, in AssemblyScript with SIMD. All pointers are byte addresses in linear memory, all
 * counts are elements. Arrays start at multiples of 16 bytes and have room up to the next one.
 */

export * from "./converters.as";
export * from "./devices.as";
export { mapped } from "./functions.as";
export * from "./rows.as";
export * from "./halves.as";
export * from "./levels.as";
export * from "./products.as";
export * from "./random.as";
export * from "./strips.as";

/** First byte that the caller may use. */
export function heapBase(): usize {
  return __heap_base;
}
