// Breaks a rule when it is compiled with -mwavefrontsize64.
extern "C" __attribute__((global)) void wave64(unsigned *out) { out[0] = __builtin_amdgcn_workitem_id_x(); }
