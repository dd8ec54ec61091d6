// What test kernels need of HIP and CUDA without either's headers.
#pragma once

#if defined(__NVPTX__)
#define KERNEL(threads) extern "C" __attribute__((global)) __attribute__((launch_bounds(threads))) void
#else
#define KERNEL(threads) extern "C" __attribute__((global)) __attribute__((amdgpu_flat_work_group_size(threads, threads))) void
#endif
#define SHARED __attribute__((shared))
#define DEVICE static inline __attribute__((device))

#if defined(__NVPTX__)
DEVICE unsigned thread_id() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE unsigned block_id() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE void barrier() { __nvvm_bar_sync(0); }
DEVICE float square_root(float x) { return __nvvm_sqrt_rn_f(x); }
#else
DEVICE unsigned thread_id() { return __builtin_amdgcn_workitem_id_x(); }
DEVICE unsigned block_id() { return __builtin_amdgcn_workgroup_id_x(); }
DEVICE void barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
DEVICE float square_root(float x) { return __builtin_sqrtf(x); }
#endif
