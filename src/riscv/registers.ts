/** Names of registers and of control and status registers, as GNU's tools write them. */

const X =
  "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6";
const F =
  "ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11";

export const X_NAMES: readonly string[] = X.split(" ");
export const F_NAMES: readonly string[] = F.split(" ");
export const V_NAMES: readonly string[] = X_NAMES.map((_, i) => `v${i}`);

/** Number of a control and status register by name: those that a program in user mode may use. */
export const CSRS: Readonly<Record<string, number>> = {
  fflags: 0x001,
  frm: 0x002,
  fcsr: 0x003,
  vstart: 0x008,
  vxsat: 0x009,
  vxrm: 0x00a,
  vcsr: 0x00f,
  cycle: 0xc00,
  time: 0xc01,
  instret: 0xc02,
  vl: 0xc20,
  vtype: 0xc21,
  vlenb: 0xc22,
  cycleh: 0xc80,
  timeh: 0xc81,
  instreth: 0xc82,
  mhartid: 0xf14,
};

const CSR_NAMES = new Map(Object.entries(CSRS).map(([name, number]) => [number, name]));

export const csrName = (number: number): string =>
  CSR_NAMES.get(number) ?? `0x${number.toString(16)}`;

/** Rounding modes by their number; 5 and 6 are reserved. */
export const ROUNDING: readonly string[] = ["rne", "rtz", "rdn", "rup", "rmm", "", "", "dyn"];
