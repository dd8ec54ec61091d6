//go:build linux && !nogpu

package hiprt

// Functions of libamdhip64, indices of hipProtos.
const (
	hipInit = iota
	hipRuntimeGetVersion
	hipGetDeviceCount
	hipSetDevice
	hipDeviceGetPCIBusId
	hipGetDevicePropertiesR0600
	hipGetDeviceProperties
	hipGetErrorName
	hipGetErrorString
	hipMemGetInfo
	hipMalloc
	hipFree
	hipHostMalloc
	hipHostFree
	hipHostGetDevicePointer
	hipMemcpyAsync
	hipMemcpyDtoDAsync
	hipMemcpyPeerAsync
	hipMemsetAsync
	hipModuleLoadData
	hipModuleUnload
	hipModuleGetFunction
	hipModuleLaunchKernel
	hipStreamCreateWithFlags
	hipStreamDestroy
	hipStreamSynchronize
	hipStreamWaitEvent
	hipStreamBeginCapture
	hipStreamEndCapture
	hipEventCreateWithFlags
	hipEventDestroy
	hipEventRecord
	hipEventSynchronize
	hipEventElapsedTime
	hipGraphInstantiate
	hipGraphDestroy
	hipGraphExecDestroy
	hipGraphLaunch
	hipDeviceCanAccessPeer
	hipDeviceEnablePeerAccess
	hipExtMallocWithFlags
)

// hipProtos are prototypes from hip_runtime_api.h of ROCm 5.2 to 7. All of these functions pass integers and
// pointers only. The symbol hipGetDeviceProperties always fills the struct of ROCm 5, although the headers of
// ROCm 6 redirect its name to hipGetDevicePropertiesR0600; both are bound under their symbol names.
var hipProtos = []proto{
	hipInit:                     "hipInit(unsigned int flags)",
	hipRuntimeGetVersion:        "hipRuntimeGetVersion(int *version)",
	hipGetDeviceCount:           "hipGetDeviceCount(int *count)",
	hipSetDevice:                "hipSetDevice(int device)",
	hipDeviceGetPCIBusId:        "hipDeviceGetPCIBusId(char *id, int len, int device)",
	hipGetDevicePropertiesR0600: "*hipGetDevicePropertiesR0600(hipDeviceProp_tR0600 *prop, int device)",
	hipGetDeviceProperties:      "*hipGetDeviceProperties(hipDeviceProp_tR0000 *prop, int device)",
	hipGetErrorName:             "hipGetErrorName(hipError_t error)",
	hipGetErrorString:           "hipGetErrorString(hipError_t error)",
	hipMemGetInfo:               "hipMemGetInfo(size_t *free, size_t *total)",
	hipMalloc:                   "hipMalloc(void **ptr, size_t size)",
	hipFree:                     "hipFree(void *ptr)",
	hipHostMalloc:               "hipHostMalloc(void **ptr, size_t size, unsigned int flags)",
	hipHostFree:                 "hipHostFree(void *ptr)",
	hipHostGetDevicePointer:     "hipHostGetDevicePointer(void **device, void *host, unsigned int flags)",
	hipMemcpyAsync:              "hipMemcpyAsync(void *dst, const void *src, size_t size, hipMemcpyKind kind, hipStream_t stream)",
	hipMemcpyDtoDAsync:          "hipMemcpyDtoDAsync(hipDeviceptr_t dst, hipDeviceptr_t src, size_t size, hipStream_t stream)",
	hipMemcpyPeerAsync:          "hipMemcpyPeerAsync(void *dst, int dstDevice, const void *src, int srcDevice, size_t size, hipStream_t stream)",
	hipMemsetAsync:              "hipMemsetAsync(void *dst, int value, size_t size, hipStream_t stream)",
	hipModuleLoadData:           "hipModuleLoadData(hipModule_t *module, const void *image)",
	hipModuleUnload:             "hipModuleUnload(hipModule_t module)",
	hipModuleGetFunction:        "hipModuleGetFunction(hipFunction_t *function, hipModule_t module, const char *name)",
	hipModuleLaunchKernel: "hipModuleLaunchKernel(hipFunction_t f, unsigned int gridX, unsigned int gridY, unsigned int gridZ, " +
		"unsigned int blockX, unsigned int blockY, unsigned int blockZ, unsigned int sharedBytes, hipStream_t stream, void **params, void **extra)",
	hipStreamCreateWithFlags: "hipStreamCreateWithFlags(hipStream_t *stream, unsigned int flags)",
	hipStreamDestroy:         "hipStreamDestroy(hipStream_t stream)",
	hipStreamSynchronize:     "hipStreamSynchronize(hipStream_t stream)",
	hipStreamWaitEvent:       "hipStreamWaitEvent(hipStream_t stream, hipEvent_t event, unsigned int flags)",
	hipStreamBeginCapture:    "hipStreamBeginCapture(hipStream_t stream, hipStreamCaptureMode mode)",
	hipStreamEndCapture:      "hipStreamEndCapture(hipStream_t stream, hipGraph_t *graph)",
	hipEventCreateWithFlags:  "hipEventCreateWithFlags(hipEvent_t *event, unsigned int flags)",
	hipEventDestroy:          "hipEventDestroy(hipEvent_t event)",
	hipEventRecord:           "hipEventRecord(hipEvent_t event, hipStream_t stream)",
	hipEventSynchronize:      "hipEventSynchronize(hipEvent_t event)",
	hipEventElapsedTime:      "hipEventElapsedTime(float *ms, hipEvent_t from, hipEvent_t to)",
	hipGraphInstantiate:      "hipGraphInstantiate(hipGraphExec_t *exec, hipGraph_t graph, hipGraphNode_t *errorNode, char *log, size_t logSize)",
	hipGraphDestroy:          "hipGraphDestroy(hipGraph_t graph)",
	hipGraphExecDestroy:      "hipGraphExecDestroy(hipGraphExec_t exec)",
	hipGraphLaunch:           "hipGraphLaunch(hipGraphExec_t exec, hipStream_t stream)",

	hipDeviceCanAccessPeer:    "*hipDeviceCanAccessPeer(int *can, int device, int peer)",
	hipDeviceEnablePeerAccess: "*hipDeviceEnablePeerAccess(int peer, unsigned int flags)",
	hipExtMallocWithFlags:     "*hipExtMallocWithFlags(void **ptr, size_t size, unsigned int flags)",
}

// Constants of hip_runtime_api.h.
const (
	hipSuccess          = 0
	hipErrorOutOfMemory = 2
	hipErrorNoDevice    = 100
	hipErrorPeerReached = 704 // access is enabled already
	hipErrorBadDevice   = 101 // what hipInit of ROCm 5.2 returns on a machine without a device

	hipMemcpyHostToDevice = 1
	hipMemcpyDeviceToHost = 2

	hipStreamNonBlocking       = 1
	hipEventDefault            = 0
	hipCaptureModeThreadLocal  = 1
	hipHostMallocMapped        = 2
	hipMallocUncached          = 3 // by the device's caches; since ROCm 5.3
	hipMallocFinegrained       = 1
	hipPropertiesBytes         = 4096 // more than any version of the struct
	hipWorkgroupProcessorUnits = 2    // compute units of a workgroup processor, what RDNA parts count
)

// asyncErrors are codes that report the failure of work enqueued before. HIP and CUDA share them: 214 ECC, 700
// illegal address, 702 timeout, 710 assert, 714-718 hardware exceptions, 719 launch failure, 999 unknown.
func asyncError(code uint32) bool {
	switch code {
	case 214, 700, 702, 710, 714, 715, 716, 717, 718, 719, 999:
		return true
	}
	return false
}
