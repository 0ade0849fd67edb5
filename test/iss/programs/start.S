/* Start-up of a bare program: the registers that the compiler's code takes for granted, then main(argc, argv). */
.globl _start
_start:
.option push
.option norelax
  la gp, __global_pointer$
.option pop
  la tp, thread
  lw a0, 0(sp)
  addi a1, sp, 4
  call main
  j _exit
.comm thread, 256, 16
