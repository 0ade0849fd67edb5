/* What picolibc asks of the system: an end, and a place for characters. */
#include <stdio.h>

static long call(long number, long a, long b, long c) {
  register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return a0;
}

void _exit(int status) {
  for (;;) call(93, status, 0, 0);
}

static int put(char c, FILE *f) {
  (void)f;
  call(64, 1, (long)&c, 1);
  return c;
}

static FILE terminal = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdin = &terminal, *const stdout = &terminal, *const stderr = &terminal;
