/** Zve32f: configuration, loads and stores, of segments too, whole registers. */

import type { Row } from "./row.ts";
import { op, UNMASKED } from "./vector-row.ts";

const CONFIGURE: readonly Row[] = [
  [
    "vsetvli",
    "rd,rs1,vtype11",
    0x00007057,
    "vtype = vtype11; vl = x[rs1] within VLMAX; x[rd] = vl",
  ],
  [
    "vsetivli",
    "rd,zimm,vtype10",
    0xc0007057,
    "vtype = vtype10; vl = zimm within VLMAX; x[rd] = vl",
  ],
  ["vsetvl", "rd,rs1,rs2", 0x80007057, "vtype = x[rs2]; vl = x[rs1] within VLMAX; x[rd] = vl"],
];

const WIDTHS = [
  [8, 0],
  [16, 5],
  [32, 6],
] as const;

const MEMORY: readonly Row[] = WIDTHS.flatMap(([bits, width]): Row[] => {
  const w = width << 12;
  const [load, store] = [w | 0x07, w | 0x27];
  return [
    [`vle${bits}.v`, "vd,(rs1),vm", load, "v[vd] = elements from x[rs1] on"],
    [`vse${bits}.v`, "vs3,(rs1),vm", store, "elements from x[rs1] on = v[vs3]"],
    [`vlse${bits}.v`, "vd,(rs1),rs2,vm", load | (2 << 26), "v[vd] = elements x[rs2] bytes apart"],
    [
      `vsse${bits}.v`,
      "vs3,(rs1),rs2,vm",
      store | (2 << 26),
      "elements x[rs2] bytes apart = v[vs3]",
    ],
    [`vluxei${bits}.v`, "vd,(rs1),vs2,vm", load | (1 << 26), "v[vd] = elements at x[rs1] + v[vs2]"],
    [`vloxei${bits}.v`, "vd,(rs1),vs2,vm", load | (3 << 26), "the same, in order"],
    [
      `vsuxei${bits}.v`,
      "vs3,(rs1),vs2,vm",
      store | (1 << 26),
      "elements at x[rs1] + v[vs2] = v[vs3]",
    ],
    [`vsoxei${bits}.v`, "vs3,(rs1),vs2,vm", store | (3 << 26), "the same, in order"],
    [
      `vle${bits}ff.v`,
      "vd,(rs1),vm",
      load | (16 << 20),
      "as vle; vl ends before an access that fails",
    ],
    ...[1, 2, 4, 8].map(
      (n): Row => [
        `vl${n}re${bits}.v`,
        "vd,(rs1)",
        (load | UNMASKED | (8 << 20) | ((n - 1) << 29)) >>> 0,
        `${n} whole registers from x[rs1] on`,
      ],
    ),
  ];
});

const FIELDS = [2, 3, 4, 5, 6, 7, 8];

/** Accesses to structures of `n` fields: each has a group of registers, one behind the other. */
const SEGMENTS: readonly Row[] = WIDTHS.flatMap(([bits, width]) =>
  FIELDS.flatMap((n): Row[] => {
    const of = (opcode: number, more: number): number =>
      ((width << 12) | opcode | (more << 26) | ((n - 1) << 29)) >>> 0;
    const [load, store] = [0x07, 0x27];
    const rows = [
      [`vlseg${n}e${bits}.v`, "vd,(rs1),vm", of(load, 0), "from x[rs1] on"],
      [`vsseg${n}e${bits}.v`, "vs3,(rs1),vm", of(store, 0), "from x[rs1] on"],
      [`vlsseg${n}e${bits}.v`, "vd,(rs1),rs2,vm", of(load, 2), "x[rs2] bytes apart"],
      [`vssseg${n}e${bits}.v`, "vs3,(rs1),rs2,vm", of(store, 2), "x[rs2] bytes apart"],
      [`vluxseg${n}ei${bits}.v`, "vd,(rs1),vs2,vm", of(load, 1), "at x[rs1] + v[vs2]"],
      [`vloxseg${n}ei${bits}.v`, "vd,(rs1),vs2,vm", of(load, 3), "at x[rs1] + v[vs2], in order"],
      [`vsuxseg${n}ei${bits}.v`, "vs3,(rs1),vs2,vm", of(store, 1), "at x[rs1] + v[vs2]"],
      [`vsoxseg${n}ei${bits}.v`, "vs3,(rs1),vs2,vm", of(store, 3), "at x[rs1] + v[vs2], in order"],
    ] as const;
    const first = `vlseg${n}e${bits}ff.v`;
    return [
      ...rows.map(([name, syntax, match, where]): Row => {
        const meaning = name.startsWith("vl")
          ? `${n} groups from v[vd] on = fields of structures ${where}`
          : `fields of structures ${where} = ${n} groups from v[vs3] on`;
        return [name, syntax, match, meaning];
      }),
      [
        first,
        "vd,(rs1),vm",
        (of(load, 0) | (16 << 20)) >>> 0,
        "the same; vl ends before an access that fails",
      ],
    ];
  }),
);

const WHOLE: readonly Row[] = [
  ["vlm.v", "vd,(rs1)", 0x02b00007, "v[vd] = a mask from x[rs1]"],
  ["vsm.v", "vs3,(rs1)", 0x02b00027, "a mask at x[rs1] = v[vs3]"],
  ...[1, 2, 4, 8].map(
    (n): Row => [
      `vs${n}r.v`,
      "vs3,(rs1)",
      (0x02800027 | ((n - 1) << 29)) >>> 0,
      `${n} whole registers at x[rs1] = v[vs3]`,
    ],
  ),
  ...[1, 2, 4, 8].map(
    (n): Row => [
      `vmv${n}r.v`,
      "vd,vs2",
      op("ivi", 0x27, UNMASKED | ((n - 1) << 15)),
      `${n} whole registers`,
    ],
  ),
];

export const VECTOR_MEMORY: readonly Row[] = [...CONFIGURE, ...MEMORY, ...SEGMENTS, ...WHOLE];
