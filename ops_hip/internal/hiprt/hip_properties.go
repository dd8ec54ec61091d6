//go:build linux && !nogpu

package hiprt

import (
	"strings"
	"unsafe"
)

// hipPropR0600 is hipDeviceProp_t of ROCm 6 and later, the members that are used.
type hipPropR0600 struct {
	name                [256]byte
	_                   [32]byte
	totalGlobalMem      uint64
	sharedMemPerBlock   uint64
	_                   int32
	warpSize            int32
	_                   [36]byte
	clockRate           int32
	_                   [36]byte
	multiProcessorCount int32
	_                   int32
	integrated          int32
	_                   [208]byte
	memoryClockRate     int32
	memoryBusWidth      int32
	_                   [544]byte
	gcnArchName         [256]byte
	_                   [48]byte
	isLargeBar          int32
	asicRevision        int32
}

// hipPropR0000 is hipDeviceProp_t of ROCm 5, the members that are used.
type hipPropR0000 struct {
	name                [256]byte
	totalGlobalMem      uint64
	sharedMemPerBlock   uint64
	_                   int32
	warpSize            int32
	_                   [28]byte
	clockRate           int32
	memoryClockRate     int32
	memoryBusWidth      int32
	_                   [16]byte
	multiProcessorCount int32
	_                   [56]byte
	gcnArchName         [256]byte
	integrated          int32
}

// The compiler checks the layouts: each difference must be zero in both directions.
const (
	_ = -(unsafe.Sizeof(hipPropR0600{}) ^ 1472)
	_ = -(unsafe.Offsetof(hipPropR0600{}.totalGlobalMem) ^ 288)
	_ = -(unsafe.Offsetof(hipPropR0600{}.sharedMemPerBlock) ^ 296)
	_ = -(unsafe.Offsetof(hipPropR0600{}.warpSize) ^ 308)
	_ = -(unsafe.Offsetof(hipPropR0600{}.clockRate) ^ 348)
	_ = -(unsafe.Offsetof(hipPropR0600{}.multiProcessorCount) ^ 388)
	_ = -(unsafe.Offsetof(hipPropR0600{}.integrated) ^ 396)
	_ = -(unsafe.Offsetof(hipPropR0600{}.memoryClockRate) ^ 608)
	_ = -(unsafe.Offsetof(hipPropR0600{}.memoryBusWidth) ^ 612)
	_ = -(unsafe.Offsetof(hipPropR0600{}.gcnArchName) ^ 1160)
	_ = -(unsafe.Offsetof(hipPropR0600{}.isLargeBar) ^ 1464)
	_ = -(unsafe.Offsetof(hipPropR0600{}.asicRevision) ^ 1468)
	_ = -(unsafe.Offsetof(hipPropR0000{}.totalGlobalMem) ^ 256)
	_ = -(unsafe.Offsetof(hipPropR0000{}.gcnArchName) ^ 396)
)

// propertiesR0600 decodes the struct of ROCm 6 and later.
func propertiesR0600(buf *[hipPropertiesBytes]byte) Properties {
	p := (*hipPropR0600)(unsafe.Pointer(buf))
	return hipProperties(p.name[:], p.gcnArchName[:], p.totalGlobalMem, p.warpSize, p.multiProcessorCount,
		p.integrated,
		p.clockRate, p.memoryClockRate, p.memoryBusWidth)
}

// propertiesR0000 decodes the struct of ROCm 5.
func propertiesR0000(buf *[hipPropertiesBytes]byte) Properties {
	p := (*hipPropR0000)(unsafe.Pointer(buf))
	return hipProperties(p.name[:], p.gcnArchName[:], p.totalGlobalMem, p.warpSize, p.multiProcessorCount,
		p.integrated,
		p.clockRate, p.memoryClockRate, p.memoryBusWidth)
}

func hipProperties(name, arch []byte, memory uint64, wave, units, integrated, clock, memClock, bus int32) Properties {
	target, _, _ := strings.Cut(goString(arch), ":") // "gfx906:sramecc+:xnack-"
	if strings.HasPrefix(target, "gfx1") {
		units *= hipWorkgroupProcessorUnits
	}
	return Properties{Name: goString(name), Target: target, Memory: int64(memory), Wave: int(wave), CUs: int(units),
		Integrated: integrated != 0, ClockKHz: int(clock), MemKHz: int(memClock), BusBits: int(bus)}
}
