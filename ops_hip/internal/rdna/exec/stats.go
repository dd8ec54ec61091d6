package exec

import (
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// Class groups instructions for counting.
type Class uint8

// Instruction classes. Waits, delays and hints have fields of their own in Stats.
const (
	ClassSALU    Class = iota // scalar arithmetic
	ClassBranch               // branches, barriers, ends, mode changes
	ClassSMEM                 // scalar loads
	ClassVALU                 // vector arithmetic; a dual-issue instruction counts once
	ClassMul                  // vector products of integers of 32 bits, with or without a sum
	ClassF64                  // vector arithmetic of doubles
	ClassTrans                // transcendental functions
	ClassDot                  // dot products and mixed precision
	ClassWMMA                 // matrix instructions
	ClassLDS                  // LDS instructions, permutes included
	ClassVMEM                 // global and flat loads, stores and atomics
	ClassScratch              // scratch loads and stores
	ClassOther
	NumClasses
)

var classNames = [NumClasses]string{"salu", "branch", "smem", "valu", "mul", "f64", "trans", "dot", "wmma", "lds",
	"vmem", "scratch", "other"}

// String returns the lower-case name of the class.
func (c Class) String() string {
	if c < NumClasses {
		return classNames[c]
	}
	return "?"
}

// Stats counts what a launch did. Bytes are those that active lanes asked for,
// before any coalescing or caching.
type Stats struct {
	Instructions uint64 // wave-instructions; waits, delays and hints do not count
	ByClass      [NumClasses]uint64
	Workgroups   uint64
	Waves        uint64

	// What a wave passes without computing anything. Waits are for memory counters, Delays are s_delay_alu, and Hints
	// is the rest: s_nop, s_clause, priorities, prefetches and cache maintenance.
	Waits, Delays, Hints uint64

	// LoadedOnce and StoredOnce are the distinct bytes of buffers and code objects that the launch loads and stores:
	// what must cross the memory bus if no cache holds anything before. Kernel arguments and scratch memory do not
	// count. Zero unless Launch.Footprint asks for them.
	LoadedOnce, StoredOnce uint64

	// Trips is the length of the chain of vector loads that wait for each other, summed over waves; loads in flight
	// together are one link. FreshTrips counts links that load a line of 128 bytes which nothing in the launch has
	// loaded before. LongestTrips and LongestFresh are those of the waves with most. Zero unless Launch.Trips asks
	// for them; without Launch.Footprint every link is fresh.
	Trips, FreshTrips, LongestTrips, LongestFresh uint64

	GlobalLoadBytes, GlobalStoreBytes uint64 // atomics count as both
	LDSLoadBytes, LDSStoreBytes       uint64
	ScratchLoadBytes                  uint64
	ScratchStoreBytes                 uint64
	ScalarBytes                       uint64
}

// Add adds the counts of another launch.
func (s *Stats) Add(o Stats) {
	s.Instructions += o.Instructions
	for i := range s.ByClass {
		s.ByClass[i] += o.ByClass[i]
	}
	s.Waits += o.Waits
	s.Delays += o.Delays
	s.Hints += o.Hints
	s.LoadedOnce += o.LoadedOnce
	s.StoredOnce += o.StoredOnce
	s.Trips += o.Trips
	s.FreshTrips += o.FreshTrips
	s.LongestTrips = max(s.LongestTrips, o.LongestTrips)
	s.LongestFresh = max(s.LongestFresh, o.LongestFresh)
	s.Workgroups += o.Workgroups
	s.Waves += o.Waves
	s.GlobalLoadBytes += o.GlobalLoadBytes
	s.GlobalStoreBytes += o.GlobalStoreBytes
	s.LDSLoadBytes += o.LDSLoadBytes
	s.LDSStoreBytes += o.LDSStoreBytes
	s.ScratchLoadBytes += o.ScratchLoadBytes
	s.ScratchStoreBytes += o.ScratchStoreBytes
	s.ScalarBytes += o.ScalarBytes
}

// bytes counts a vector memory access.
func (s *Stats) bytes(f decode.Format, store bool, n int) {
	switch {
	case f == decode.SCRATCH && store:
		s.ScratchStoreBytes += uint64(n)
	case f == decode.SCRATCH:
		s.ScratchLoadBytes += uint64(n)
	case store:
		s.GlobalStoreBytes += uint64(n)
	default:
		s.GlobalLoadBytes += uint64(n)
	}
}

func classify(i *decode.Inst) Class {
	switch i.Format {
	case decode.SOP1, decode.SOP2, decode.SOPC, decode.SOPK:
		if strings.HasPrefix(i.Name, "s_barrier") || strings.Contains(i.Name, "pc_b64") {
			return ClassBranch
		}
		return ClassSALU
	case decode.SOPP:
		return ClassBranch
	case decode.SMEM:
		return ClassSMEM
	case decode.DS:
		return ClassLDS
	case decode.FLAT, decode.GLOBAL:
		return ClassVMEM
	case decode.SCRATCH:
		return ClassScratch
	case decode.MUBUF:
		return ClassOther
	case decode.VOP3P:
		switch {
		case strings.Contains(i.Name, "wmma"):
			return ClassWMMA
		case strings.HasPrefix(i.Name, "v_dot"), strings.HasPrefix(i.Name, "v_fma_mix"):
			return ClassDot
		}
		return ClassVALU
	}
	for _, t := range [...]string{"v_exp_", "v_log_", "v_rcp_", "v_rsq_", "v_sqrt_", "v_sin_", "v_cos_", "v_s_"} {
		if strings.HasPrefix(i.Name, t) {
			return ClassTrans
		}
	}
	switch {
	case strings.HasPrefix(i.Name, "v_dot"):
		return ClassDot
	case strings.Contains(i.Name, "_f64"):
		return ClassF64
	}
	for _, m := range [...]string{"v_mul_lo_u32", "v_mul_hi_u32", "v_mul_hi_i32", "v_mad_u64_u32", "v_mad_i64_i32",
		"v_mad_co_u64_u32", "v_mad_co_i64_i32"} {
		if i.Name == m {
			return ClassMul
		}
	}
	return ClassVALU
}

// passed counts instructions that a wave passes without computing anything.
type passed struct{ waits, delays, hints uint16 }

// add counts one instruction, which must be droppable.
func (p *passed) add(i *decode.Inst) {
	switch {
	case waitInst(i.Name):
		p.waits++
	case i.Name == "s_delay_alu":
		p.delays++
	default:
		p.hints++
	}
}

// count adds n executions of p.
func (s *Stats) count(p passed, n uint64) {
	s.Waits += n * uint64(p.waits)
	s.Delays += n * uint64(p.delays)
	s.Hints += n * uint64(p.hints)
}
