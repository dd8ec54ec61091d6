// Breaks a rule: a large array that is written and read at places known at run time lives in scratch memory.
extern "C" __attribute__((global)) void scratch(unsigned *out, unsigned i) {
  unsigned a[200];
  for (unsigned j = 0; j < 200; j++) a[(j * i) % 200] = out[j];
  out[0] = a[i % 200] + a[(i + out[1]) % 200];
}
