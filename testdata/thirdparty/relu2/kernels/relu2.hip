// y[i] = max(x[i], 0)², and the same times up[i]. One thread an element, blocks of 256, grid ⌈n/256⌉. NaN stays NaN.
// Launched by launch.go.
#define KERNEL extern "C" __attribute__((global, amdgpu_flat_work_group_size(256, 256))) void

static __attribute__((device)) inline unsigned index() {
  return __builtin_amdgcn_workgroup_id_x() * 256 + __builtin_amdgcn_workitem_id_x();
}

static __attribute__((device)) inline float relu2(float v) { return v < 0 ? 0 : v * v; }

KERNEL relu2_f32(const float *__restrict x, float *__restrict y, unsigned n) {
  unsigned i = index();
  if (i < n) y[i] = relu2(x[i]);
}

KERNEL reglu2_f32(const float *__restrict gate, const float *__restrict up, float *__restrict y, unsigned n) {
  unsigned i = index();
  if (i < n) y[i] = relu2(gate[i]) * up[i];
}
