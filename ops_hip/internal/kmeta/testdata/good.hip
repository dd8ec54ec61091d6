// Keeps all rules and has every kind of argument: a pointer, numbers of 4, 8, 2 and 1 bytes.
extern "C" __attribute__((global)) __attribute__((amdgpu_flat_work_group_size(64, 64))) void good(float *out, float a, double b, short c, char d) {
  __attribute__((shared)) static float part[32];
  part[__builtin_amdgcn_workitem_id_x() & 31] = a;
  __builtin_amdgcn_s_barrier();
  out[0] = part[c & 31] + (float)b + d;
}
