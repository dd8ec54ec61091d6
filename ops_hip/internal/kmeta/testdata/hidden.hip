// Breaks a rule: reads the block size from a hidden argument.
extern "C" __attribute__((global)) void hidden(unsigned *out) { out[0] = __builtin_amdgcn_workgroup_size_x(); }
