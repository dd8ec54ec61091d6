package opship

import (
	"maps"
	"sync"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/exec"
	"github.com/hipengine/hipengine/ops_hip/limits"
)

// KernelStats counts what the launches of one kernel executed. Bytes are those that active lanes asked for, before
// coalescing and caches: a byte that two lanes load counts twice.
type KernelStats struct {
	Launches     uint64
	Workgroups   uint64
	Waves        uint64
	Instructions uint64 // wave-instructions; waits, delays and hints count below

	// What waves pass without computing anything: waits for memory counters, s_delay_alu, and everything else of that
	// kind (s_nop, s_clause, priorities, prefetches, cache maintenance).
	Waits, Delays, Hints uint64

	// ByClass divides Instructions. The classes are salu, branch, smem, valu (a dual-issue instruction counts once),
	// mul (products of integers of 32 bits), f64, trans (transcendental functions), dot (dot products and mixed
	// precision), wmma, lds, vmem, scratch and other. Those that did not occur are missing.
	ByClass map[string]uint64

	GlobalLoadBytes, GlobalStoreBytes uint64 // atomics count as both
	ScalarBytes                       uint64
	LDSLoadBytes, LDSStoreBytes       uint64
	ScratchBytes                      uint64 // loads and stores; spilled registers

	// LoadedOnce and StoredOnce are the distinct bytes of each launch, summed over launches: what must cross the
	// memory bus if no cache holds anything when a launch starts. They are counted on devices of [OpenCounting]
	// alone.
	LoadedOnce, StoredOnce uint64

	// Trips is the length of the chains of loads from global memory that wait for each other, summed over waves, and
	// FreshTrips that of links which load a line that nothing in the launch has loaded; loads in flight together are
	// one link. LongestTrips and LongestFresh are those of the waves with most. They too are counted on devices of
	// [OpenCounting] alone.
	Trips, FreshTrips, LongestTrips, LongestFresh uint64

	VGPRs, LDS int // vector registers of a lane, bytes of LDS of a block
}

// Work returns what bounds are computed from.
func (k KernelStats) Work() limits.Work {
	c := limits.FromClasses(k.ByClass)
	c.Bytes = float64(k.LoadedOnce + k.StoredOnce)
	c.Loaded = float64(k.GlobalLoadBytes)
	c.LDSLoad, c.LDSStored = float64(k.LDSLoadBytes), float64(k.LDSStoreBytes)
	c.Trips, c.Fresh = float64(k.Trips), float64(k.FreshTrips)
	c.LongestTrips, c.LongestFresh = float64(k.LongestTrips), float64(k.LongestFresh)
	block := limits.Block{Threads: waveLanes * int(k.Waves/max(1, k.Workgroups)), VGPRs: k.VGPRs, LDS: k.LDS}
	return limits.Work{Counts: c, Block: block, Waves: float64(k.Waves)}
}

// Executed returns what an emulated device has executed since it was opened, by the symbol of the kernel. Launches
// that failed do not count. It returns nil for hardware, which does not count.
func (d *Device) Executed() map[string]KernelStats {
	m, ok := hiprt.MachineOf(d.rt).(*machine)
	if !ok {
		return nil
	}
	return m.counts.snapshot()
}

// TakeExecuted is Executed, and starts counting anew.
func (d *Device) TakeExecuted() map[string]KernelStats {
	m, ok := hiprt.MachineOf(d.rt).(*machine)
	if !ok {
		return nil
	}
	m.counts.mu.Lock()
	defer m.counts.mu.Unlock()
	by := m.counts.by
	m.counts.by = nil
	return by
}

// executed adds up the launches of each kernel.
type executed struct {
	mu sync.Mutex
	by map[string]KernelStats
}

func (e *executed) add(f *codeobj.Function, s *rdna.Stats) {
	kernel := f.Name
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.by == nil {
		e.by = map[string]KernelStats{}
	}
	k := e.by[kernel]
	if k.ByClass == nil {
		k.ByClass = map[string]uint64{}
	}
	k.Launches++
	k.Workgroups += s.Workgroups
	k.Waves += s.Waves
	k.Instructions += s.Instructions
	k.Waits += s.Waits
	k.Delays += s.Delays
	k.Hints += s.Hints
	k.VGPRs, k.LDS = f.VGPRs, f.LDS
	k.Trips += s.Trips
	k.FreshTrips += s.FreshTrips
	k.LongestTrips = max(k.LongestTrips, s.LongestTrips)
	k.LongestFresh = max(k.LongestFresh, s.LongestFresh)
	k.LoadedOnce += s.LoadedOnce
	k.StoredOnce += s.StoredOnce
	for c, n := range s.ByClass {
		if n > 0 {
			k.ByClass[exec.Class(c).String()] += n
		}
	}
	k.GlobalLoadBytes += s.GlobalLoadBytes
	k.GlobalStoreBytes += s.GlobalStoreBytes
	k.ScalarBytes += s.ScalarBytes
	k.LDSLoadBytes += s.LDSLoadBytes
	k.LDSStoreBytes += s.LDSStoreBytes
	k.ScratchBytes += s.ScratchLoadBytes + s.ScratchStoreBytes
	e.by[kernel] = k
}

// snapshot returns a copy that the caller may keep.
func (e *executed) snapshot() map[string]KernelStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make(map[string]KernelStats, len(e.by))
	for name, k := range e.by {
		k.ByClass = maps.Clone(k.ByClass)
		all[name] = k
	}
	return all
}
