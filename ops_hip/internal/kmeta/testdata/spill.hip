// Breaks a rule: more values are alive than there are registers.
extern "C" __attribute__((global)) __attribute__((amdgpu_num_vgpr(24))) void spill(float *x) {
  float a[64];
  for (int i = 0; i < 64; i++) a[i] = x[i];
  __builtin_amdgcn_s_barrier();
  for (int i = 0; i < 64; i++) x[63 - i] = a[i] * a[63 - i];
}
