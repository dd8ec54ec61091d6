// Breaks a rule: recursion needs a stack whose size is known at run time only.
__attribute__((device, noinline)) unsigned sum(unsigned n) { return n < 2 ? n : sum(n - 1) + sum(n - 2); }
extern "C" __attribute__((global)) void dynamic(unsigned *out) { out[0] = sum(out[1]); }
