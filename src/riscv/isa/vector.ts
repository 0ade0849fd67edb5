/**
 * Zve32f: the vector extension for elements of up to 32 bits with single precision. Source: RISC-V "V" Vector Extension
 * 1.0, section 19.
 */

import type { Extension, Row } from "./row.ts";
import { VECTOR_FLOAT } from "./vector-float.ts";
import { VECTOR_MEMORY } from "./vector-memory.ts";
import {
  accumulate,
  bare,
  carrying,
  integer,
  multiply,
  op,
  reduction,
  UNMASKED,
  unary,
} from "./vector-row.ts";

const INTEGER: readonly Row[] = [
  ...integer("vadd", 0x00, "vxi", "v[vd] = v[vs2] + b"),
  ...integer("vsub", 0x02, "vx", "v[vd] = v[vs2] - b"),
  ...integer("vrsub", 0x03, "xi", "v[vd] = b - v[vs2]"),
  ...integer("vminu", 0x04, "vx", "v[vd] = minu(v[vs2], b)"),
  ...integer("vmin", 0x05, "vx", "v[vd] = min(v[vs2], b)"),
  ...integer("vmaxu", 0x06, "vx", "v[vd] = maxu(v[vs2], b)"),
  ...integer("vmax", 0x07, "vx", "v[vd] = max(v[vs2], b)"),
  ...integer("vand", 0x09, "vxi", "v[vd] = v[vs2] & b"),
  ...integer("vor", 0x0a, "vxi", "v[vd] = v[vs2] | b"),
  ...integer("vxor", 0x0b, "vxi", "v[vd] = v[vs2] ^ b"),
  ...integer("vrgather", 0x0c, "vxu", "v[vd] = v[vs2][b], 0 behind VLMAX"),
  ...integer("vrgatherei16", 0x0e, "v", "the same with indices of 16 bits"),
  ...integer("vslideup", 0x0e, "xu", "v[vd][i + b] = v[vs2][i]"),
  ...integer("vslidedown", 0x0f, "xu", "v[vd][i] = v[vs2][i + b], 0 behind VLMAX"),
  ...carrying("vadc", 0x10, "vxi", "v[vd] = v[vs2] + b + v0"),
  ...carrying("vmadc", 0x11, "vxi", "the carries of v[vs2] + b + v0"),
  ...bare(integer("vmadc", 0x11, "vxi", "the carries of v[vs2] + b")),
  ...carrying("vsbc", 0x12, "vx", "v[vd] = v[vs2] - b - v0"),
  ...carrying("vmsbc", 0x13, "vx", "the borrows of v[vs2] - b - v0"),
  ...bare(integer("vmsbc", 0x13, "vx", "the borrows of v[vs2] - b")),
  ...carrying("vmerge", 0x17, "vxi", "v[vd] = v0 ? b : v[vs2]"),
  ["vmv.v.v", "vd,vs1", op("ivv", 0x17, UNMASKED), "v[vd] = v[vs1]"],
  ["vmv.v.x", "vd,rs1", op("ivx", 0x17, UNMASKED), "v[vd] = x[rs1]"],
  ["vmv.v.i", "vd,simm5", op("ivi", 0x17, UNMASKED), "v[vd] = simm5"],
  ...integer("vmseq", 0x18, "vxi", "the mask v[vs2] == b"),
  ...integer("vmsne", 0x19, "vxi", "the mask v[vs2] != b"),
  ...integer("vmsltu", 0x1a, "vx", "the mask v[vs2] <u b"),
  ...integer("vmslt", 0x1b, "vx", "the mask v[vs2] < b"),
  ...integer("vmsleu", 0x1c, "vxi", "the mask v[vs2] <=u b"),
  ...integer("vmsle", 0x1d, "vxi", "the mask v[vs2] <= b"),
  ...integer("vmsgtu", 0x1e, "xi", "the mask v[vs2] >u b"),
  ...integer("vmsgt", 0x1f, "xi", "the mask v[vs2] > b"),
  ...integer("vsaddu", 0x20, "vxi", "v[vd] = v[vs2] + b, saturated, without sign"),
  ...integer("vsadd", 0x21, "vxi", "v[vd] = v[vs2] + b, saturated"),
  ...integer("vssubu", 0x22, "vx", "v[vd] = v[vs2] - b, saturated, without sign"),
  ...integer("vssub", 0x23, "vx", "v[vd] = v[vs2] - b, saturated"),
  ...integer("vsll", 0x25, "vxu", "v[vd] = v[vs2] << b"),
  ...integer("vsmul", 0x27, "vx", "v[vd] = v[vs2] * b >> (SEW - 1), rounded, saturated"),
  ...integer("vsrl", 0x28, "vxu", "v[vd] = v[vs2] >>u b"),
  ...integer("vsra", 0x29, "vxu", "v[vd] = v[vs2] >> b"),
  ...integer("vssrl", 0x2a, "vxu", "v[vd] = v[vs2] >>u b, rounded"),
  ...integer("vssra", 0x2b, "vxu", "v[vd] = v[vs2] >> b, rounded"),
  ...integer("vnsrl", 0x2c, "vxu", "v[vd] = wide v[vs2] >>u b", "w"),
  ...integer("vnsra", 0x2d, "vxu", "v[vd] = wide v[vs2] >> b", "w"),
  ...integer("vnclipu", 0x2e, "vxu", "v[vd] = wide v[vs2] >>u b, rounded, saturated", "w"),
  ...integer("vnclip", 0x2f, "vxu", "v[vd] = wide v[vs2] >> b, rounded, saturated", "w"),
];

const WIDENING = [
  ["vwaddu", 0x30, "+, without sign"],
  ["vwadd", 0x31, "+"],
  ["vwsubu", 0x32, "-, without sign"],
  ["vwsub", 0x33, "-"],
] as const;

const MASKS = ["vmandn", "vmand", "vmor", "vmxor", "vmorn", "vmnand", "vmnor", "vmxnor"];
const REDUCTIONS = ["sum", "and", "or", "xor", "minu", "min", "maxu", "max"];

const MULTIPLY: readonly Row[] = [
  ...REDUCTIONS.map((n, i) =>
    reduction(`vred${n}`, "mvv", i, `v[vd][0] = ${n} of v[vs1][0] and v[vs2]`),
  ),
  reduction("vwredsumu", "ivv", 0x30, "v[vd][0] = v[vs1][0] + sum of v[vs2], wide, without sign"),
  reduction("vwredsum", "ivv", 0x31, "v[vd][0] = v[vs1][0] + sum of v[vs2], wide"),
  ...multiply("vaaddu", 0x08, "vx", "v[vd] = half of v[vs2] + b, rounded, without sign"),
  ...multiply("vaadd", 0x09, "vx", "v[vd] = half of v[vs2] + b, rounded"),
  ...multiply("vasubu", 0x0a, "vx", "v[vd] = half of v[vs2] - b, rounded, without sign"),
  ...multiply("vasub", 0x0b, "vx", "v[vd] = half of v[vs2] - b, rounded"),
  ...multiply("vslide1up", 0x0e, "x", "v[vd][i + 1] = v[vs2][i]; v[vd][0] = b"),
  ...multiply("vslide1down", 0x0f, "x", "v[vd][i] = v[vs2][i + 1]; v[vd][vl - 1] = b"),
  ["vmv.x.s", "rd,vs2", op("mvv", 0x10, UNMASKED), "x[rd] = v[vs2][0]"],
  ["vmv.s.x", "vd,rs1", op("mvx", 0x10, UNMASKED), "v[vd][0] = x[rs1]"],
  ["vcpop.m", "rd,vs2,vm", op("mvv", 0x10, 16 << 15), "x[rd] = ones in the mask v[vs2]"],
  [
    "vfirst.m",
    "rd,vs2,vm",
    op("mvv", 0x10, 17 << 15),
    "x[rd] = the first one in the mask v[vs2], or -1",
  ],
  unary("vzext.vf4", "mvv", 0x12, 4, "v[vd] = a quarter as wide v[vs2], without sign"),
  unary("vsext.vf4", "mvv", 0x12, 5, "v[vd] = a quarter as wide v[vs2]"),
  unary("vzext.vf2", "mvv", 0x12, 6, "v[vd] = half as wide v[vs2], without sign"),
  unary("vsext.vf2", "mvv", 0x12, 7, "v[vd] = half as wide v[vs2]"),
  unary("vmsbf.m", "mvv", 0x14, 1, "the mask before the first one"),
  unary("vmsof.m", "mvv", 0x14, 2, "the mask of the first one only"),
  unary("vmsif.m", "mvv", 0x14, 3, "the mask up to the first one"),
  unary("viota.m", "mvv", 0x14, 16, "v[vd][i] = ones in the mask before i"),
  ["vid.v", "vd,vm", op("mvv", 0x14, 17 << 15), "v[vd][i] = i"],
  [
    "vcompress.vm",
    "vd,vs2,vs1",
    op("mvv", 0x17, UNMASKED),
    "v[vd] = elements of v[vs2] where v[vs1]",
  ],
  ...MASKS.map(
    (n, i): Row => [`${n}.mm`, "vd,vs2,vs1", op("mvv", 0x18 + i, UNMASKED), "of two masks"],
  ),
  ...multiply("vdivu", 0x20, "vx", "v[vd] = v[vs2] /u b"),
  ...multiply("vdiv", 0x21, "vx", "v[vd] = v[vs2] / b"),
  ...multiply("vremu", 0x22, "vx", "v[vd] = v[vs2] %u b"),
  ...multiply("vrem", 0x23, "vx", "v[vd] = v[vs2] % b"),
  ...multiply("vmulhu", 0x24, "vx", "v[vd] = high half of v[vs2] *u b"),
  ...multiply("vmul", 0x25, "vx", "v[vd] = v[vs2] * b"),
  ...multiply("vmulhsu", 0x26, "vx", "v[vd] = high half of v[vs2] *su b"),
  ...multiply("vmulh", 0x27, "vx", "v[vd] = high half of v[vs2] * b"),
  ...accumulate(multiply("vmadd", 0x29, "vx", "v[vd] = v[vd] * b + v[vs2]")),
  ...accumulate(multiply("vnmsub", 0x2b, "vx", "v[vd] = -(v[vd] * b) + v[vs2]")),
  ...accumulate(multiply("vmacc", 0x2d, "vx", "v[vd] = b * v[vs2] + v[vd]")),
  ...accumulate(multiply("vnmsac", 0x2f, "vx", "v[vd] = -(b * v[vs2]) + v[vd]")),
  ...WIDENING.flatMap(([n, f, m]) => multiply(n, f, "vx", `wide v[vd] = v[vs2] ${m}`)),
  ...WIDENING.flatMap(([n, f, m]) =>
    multiply(n, f + 4, "vx", `wide v[vd] = wide v[vs2] ${m}`, "w"),
  ),
  ...multiply("vwmulu", 0x38, "vx", "wide v[vd] = v[vs2] *u b"),
  ...multiply("vwmulsu", 0x3a, "vx", "wide v[vd] = v[vs2] *su b"),
  ...multiply("vwmul", 0x3b, "vx", "wide v[vd] = v[vs2] * b"),
  ...accumulate(multiply("vwmaccu", 0x3c, "vx", "wide v[vd] += b *u v[vs2]")),
  ...accumulate(multiply("vwmacc", 0x3d, "vx", "wide v[vd] += b * v[vs2]")),
  ...accumulate(multiply("vwmaccus", 0x3e, "x", "wide v[vd] += b *us v[vs2]")),
  ...accumulate(multiply("vwmaccsu", 0x3f, "vx", "wide v[vd] += b *su v[vs2]")),
];

export const VECTOR: readonly Extension[] = [
  {
    name: "Zve32f",
    title: "Vectors",
    rows: [...VECTOR_MEMORY, ...INTEGER, ...MULTIPLY, ...VECTOR_FLOAT],
  },
];
