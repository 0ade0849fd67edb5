/* The environment of the official riscv-tests for bare programs in user mode: exit 0, or the number of the test that failed. */
#define RVTEST_RV32U .macro init; .endm
#define RVTEST_RV64U .macro init; .endm
#define RVTEST_RV32UF .macro init; fscsr zero; .endm
#define RVTEST_RV64UF .macro init; fscsr zero; .endm
#define RVTEST_CODE_BEGIN .text; .globl _start; _start: init
#define RVTEST_CODE_END unimp
#define RVTEST_PASS li a0, 0; li a7, 93; ecall
#define RVTEST_FAIL mv a0, gp; li a7, 93; ecall
#define RVTEST_DATA_BEGIN .align 4;
#define RVTEST_DATA_END
#define TESTNUM gp
