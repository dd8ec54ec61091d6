//go:build linux && !nogpu

package hiprt

// Functions of libcuda, indices of cudaProtos.
const (
	cuInit = iota
	cuDriverGetVersion
	cuDeviceGetCount
	cuDeviceGet
	cuDeviceGetName
	cuDeviceTotalMem
	cuDeviceGetAttribute
	cuDeviceGetPCIBusId
	cuDevicePrimaryCtxRetain
	cuCtxSetCurrent
	cuGetErrorName
	cuGetErrorString
	cuMemGetInfo
	cuMemAlloc
	cuMemFree
	cuMemHostAlloc
	cuMemFreeHost
	cuMemHostGetDevicePointer
	cuMemcpyHtoDAsync
	cuMemcpyDtoHAsync
	cuMemcpyDtoDAsync
	cuMemcpyPeerAsync
	cuMemsetD8Async
	cuModuleLoadDataEx
	cuModuleUnload
	cuModuleGetFunction
	cuLaunchKernel
	cuLaunchKernelEx
	cuStreamCreate
	cuStreamDestroy
	cuStreamSynchronize
	cuStreamWaitEvent
	cuStreamBeginCapture
	cuStreamEndCapture
	cuEventCreate
	cuEventDestroy
	cuEventRecord
	cuEventSynchronize
	cuEventElapsedTime
	cuGraphInstantiateWithFlags
	cuGraphDestroy
	cuGraphExecDestroy
	cuGraphLaunch
	cuDeviceCanAccessPeer
	cuCtxEnablePeerAccess
)

// cudaProtos are prototypes from cuda.h of CUDA 11.4 to 13. The symbols that end in _v2 are what the header's
// plain names stand for.
var cudaProtos = []proto{
	cuInit:                    "cuInit(unsigned int flags)",
	cuDriverGetVersion:        "cuDriverGetVersion(int *version)",
	cuDeviceGetCount:          "cuDeviceGetCount(int *count)",
	cuDeviceGet:               "cuDeviceGet(CUdevice *device, int ordinal)",
	cuDeviceGetName:           "cuDeviceGetName(char *name, int len, CUdevice device)",
	cuDeviceTotalMem:          "cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)",
	cuDeviceGetAttribute:      "cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)",
	cuDeviceGetPCIBusId:       "cuDeviceGetPCIBusId(char *id, int len, CUdevice device)",
	cuDevicePrimaryCtxRetain:  "cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)",
	cuCtxSetCurrent:           "cuCtxSetCurrent(CUcontext context)",
	cuGetErrorName:            "cuGetErrorName(CUresult error, const char **name)",
	cuGetErrorString:          "cuGetErrorString(CUresult error, const char **text)",
	cuMemGetInfo:              "cuMemGetInfo_v2(size_t *free, size_t *total)",
	cuMemAlloc:                "cuMemAlloc_v2(CUdeviceptr *ptr, size_t size)",
	cuMemFree:                 "cuMemFree_v2(CUdeviceptr ptr)",
	cuMemHostAlloc:            "cuMemHostAlloc(void **ptr, size_t size, unsigned int flags)",
	cuMemFreeHost:             "cuMemFreeHost(void *ptr)",
	cuMemHostGetDevicePointer: "cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *host, unsigned int flags)",
	cuMemcpyHtoDAsync:         "cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t size, CUstream stream)",
	cuMemcpyDtoHAsync:         "cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t size, CUstream stream)",
	cuMemcpyDtoDAsync:         "cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t size, CUstream stream)",
	cuMemcpyPeerAsync:         "cuMemcpyPeerAsync(CUdeviceptr dst, CUcontext dstContext, CUdeviceptr src, CUcontext srcContext, size_t size, CUstream stream)",
	cuMemsetD8Async:           "cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t size, CUstream stream)",
	cuModuleLoadDataEx:        "cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int numOptions, CUjit_option *options, void **values)",
	cuModuleUnload:            "cuModuleUnload(CUmodule module)",
	cuModuleGetFunction:       "cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)",
	cuLaunchKernel: "cuLaunchKernel(CUfunction f, unsigned int gridX, unsigned int gridY, unsigned int gridZ, " +
		"unsigned int blockX, unsigned int blockY, unsigned int blockZ, unsigned int sharedBytes, CUstream stream, void **params, void **extra)",
	cuLaunchKernelEx:            "*cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **params, void **extra)",
	cuStreamCreate:              "cuStreamCreate(CUstream *stream, unsigned int flags)",
	cuStreamDestroy:             "cuStreamDestroy_v2(CUstream stream)",
	cuStreamSynchronize:         "cuStreamSynchronize(CUstream stream)",
	cuStreamWaitEvent:           "cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)",
	cuStreamBeginCapture:        "cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)",
	cuStreamEndCapture:          "cuStreamEndCapture(CUstream stream, CUgraph *graph)",
	cuEventCreate:               "cuEventCreate(CUevent *event, unsigned int flags)",
	cuEventDestroy:              "cuEventDestroy_v2(CUevent event)",
	cuEventRecord:               "cuEventRecord(CUevent event, CUstream stream)",
	cuEventSynchronize:          "cuEventSynchronize(CUevent event)",
	cuEventElapsedTime:          "cuEventElapsedTime(float *ms, CUevent from, CUevent to)",
	cuGraphInstantiateWithFlags: "cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags)",
	cuGraphDestroy:              "cuGraphDestroy(CUgraph graph)",
	cuGraphExecDestroy:          "cuGraphExecDestroy(CUgraphExec exec)",
	cuGraphLaunch:               "cuGraphLaunch(CUgraphExec exec, CUstream stream)",
	cuDeviceCanAccessPeer:       "*cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)",
	cuCtxEnablePeerAccess:       "*cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags)",
}

// Constants of cuda.h.
const (
	cudaSuccess          = 0
	cudaErrorOutOfMemory = 2
	cudaErrorNoDevice    = 100
	cudaErrorBadDevice   = 101
	cudaErrorPeerReached = 704 // access is enabled already

	cudaAttrWarpSize        = 10
	cudaAttrClockRate       = 13
	cudaAttrMultiprocessors = 16
	cudaAttrIntegrated      = 18
	cudaAttrMemoryClockRate = 36
	cudaAttrBusWidth        = 37
	cudaAttrMajor           = 75
	cudaAttrMinor           = 76

	cudaHostAllocDeviceMap     = 2
	cudaStreamNonBlocking      = 1
	cudaEventDefault           = 0
	cudaCaptureModeThreadLocal = 1

	cudaLaunchProgrammaticStreamSerialization = 6

	cudaJITErrorLog     = 5
	cudaJITErrorLogSize = 6
)
