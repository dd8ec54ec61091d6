// libcuda for tests; see fake.h.
#include "fake.h"
#include <stdio.h>

static char context[1];

int cuInit(unsigned flags) { return flags ? INVALID : OK; }
int cuDriverGetVersion(int *v) { *v = 12080; return OK; }
int cuDeviceGetCount(int *n) { *n = 1; return OK; }
int cuDeviceGet(int *d, int i) { *d = 7; return i ? NO_DEVICE : OK; }
int cuDeviceGetName(char *name, int len, int d) { strncpy(name, "Fake H100", len); return d != 7; }
int cuDeviceTotalMem_v2(size_t *n, int d) { *n = TOTAL; return d != 7; }
int cuDeviceGetAttribute(int *v, int a, int d) {
  switch (a) {
  case 10: *v = 32; break;
  case 16: *v = 132; break;
  case 75: *v = 9; break;
  case 76: *v = 0; break;
  default: *v = 0;
  }
  return d != 7;
}
int cuDeviceGetPCIBusId(char *id, int len, int d) { strncpy(id, "0000:0A:00.0", len); return d != 7; }
int cuDevicePrimaryCtxRetain(void **c, int d) { *c = context; return d != 7; }
int cuCtxSetCurrent(void *c) { have_device = c == context; return c == context ? OK : INVALID; }
int cuGetErrorName(int e, const char **s) { *s = e == NO_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : e == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR_FAKE"; return OK; }
int cuGetErrorString(int e, const char **s) { *s = e == NO_MEMORY ? "out of memory" : "fake error"; return OK; }

int cuMemGetInfo_v2(size_t *f, size_t *t) { *f = TOTAL / 2; *t = TOTAL; return have_device ? OK : NO_DEVICE; }
int cuMemAlloc_v2(void **p, size_t n) { return fake_malloc(p, n); }
int cuMemFree_v2(void *p) { free(p); return OK; }
int cuMemHostAlloc(void **p, size_t n, unsigned flags) { return flags != 2 ? INVALID : fake_malloc(p, n); }
int cuMemFreeHost(void *p) { free(p); return OK; }
int cuMemHostGetDevicePointer_v2(void **d, void *h, unsigned flags) { *d = h; return flags ? INVALID : OK; }
int cuMemcpyHtoDAsync_v2(void *dst, const void *src, size_t n, stream *s) { return fake_copy(dst, src, n, s); }
int cuMemcpyDtoHAsync_v2(void *dst, void *src, size_t n, stream *s) { return fake_copy(dst, src, n, s); }
int cuMemcpyDtoDAsync_v2(void *dst, void *src, size_t n, stream *s) { return fake_copy(dst, src, n, s); }
int cuMemcpyPeerAsync(void *dst, void *to, void *src, void *from, size_t n, stream *s) { return to != context || from != context ? INVALID : fake_copy(dst, src, n, s); }
int cuMemsetD8Async(void *dst, unsigned char v, size_t n, stream *s) { return fake_set(dst, v, n, s); }

int cuModuleLoadDataEx(int **m, const char *image, unsigned n, const int *options, void **values) {
  const char *wrong = strstr(image, "nosuchinstruction"); // image ends with a zero
  if (wrong && n == 2 && options[0] == 5 && options[1] == 6) snprintf(values[0], (uintptr_t)values[1], "ptxas: unknown %.17s", wrong);
  return wrong ? 218 : fake_module(m);
}
int cuModuleUnload(int *m) { if (*m != MODULE) return INVALID; free(m); return OK; }
int cuModuleGetFunction(function **f, int *m, const char *name) { return fake_function(f, m, name); }
int cuLaunchKernel(function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, stream *s, void **params, void **extra) {
  return fake_launch(f, gx, gy, gz, bx, by, bz, shared, s, params, extra);
}

int cuStreamCreate(stream **s, unsigned flags) { return fake_stream(s, flags); }
int cuStreamDestroy_v2(stream *s) { return fake_close_stream(s); }
int cuStreamSynchronize(stream *s) { return fake_sync(s); }
int cuStreamBeginCapture_v2(stream *s, int mode) { return fake_begin(s, mode); }
int cuStreamEndCapture(stream *s, graph **g) { return fake_end(s, g); }
int cuEventCreate(int **e, unsigned flags) { return flags ? INVALID : fake_event(e); }
int cuEventDestroy_v2(int *e) { int r = fake_event_use(e); free(e); return r; }
int cuEventRecord(int *e, stream *s) { return fake_sync(s) ? INVALID : fake_event_use(e); }
int cuStreamWaitEvent(stream *s, int *e, unsigned flags) { return fake_sync(s) || flags ? INVALID : fake_event_use(e); }
int cuEventSynchronize(int *e) { return fake_event_use(e); }
int cuEventElapsedTime(float *ms, int *a, int *b) { *ms = 1; return OK; }
int cuGraphInstantiateWithFlags(graph **x, graph *g, unsigned long long flags) { return flags ? INVALID : fake_instantiate(x, g); }
int cuGraphDestroy(graph *g) { return fake_graph_free(g, GRAPH); }
int cuGraphExecDestroy(graph *x) { return fake_graph_free(x, EXEC); }
int cuGraphLaunch(graph *x, stream *s) { return fake_graph_launch(x, s); }
