package check

import "fmt"

// Counter is a memory counter of a wave. GFX11 has the first three, GFX12 the
// others; DS and KM together are GFX11's LGKM.
type Counter uint8

// Counters.
const (
	None Counter = iota
	VM           // vector loads and returning atomics; loadcnt on GFX12
	VS           // vector stores and other atomics; storecnt on GFX12
	LGKM         // LDS and scalar memory on GFX11
	DS           // LDS on GFX12
	KM           // scalar memory on GFX12
	numCounters
)

var counterNames = [numCounters]string{"", "vmcnt/loadcnt", "vscnt/storecnt", "lgkmcnt", "dscnt", "kmcnt"}

// String names the counter as assembly does.
func (c Counter) String() string { return counterNames[c] }

// ticket identifies an instruction in flight by its counter and its number.
type ticket struct {
	counter Counter
	seq     uint32
}

// Waits models which registers wait for memory. Vector memory and LDS complete
// in order, scalar loads in any order.
type Waits struct {
	issued, done [numCounters]uint32
	scalar       [numCounters]uint32 // number of the last scalar load
	v            [256][2]ticket      // flat loads wait for two counters
	s            [128]ticket
	lds          []ldsAccess
}

type ldsAccess struct {
	seq   uint32
	addr  uint32
	n     int
	write bool
}

func (w *Waits) pending(t ticket) bool { return t.counter != None && t.seq > w.done[t.counter] }

// Issue counts an instruction and returns its number.
func (w *Waits) Issue(c Counter, scalar bool) uint32 {
	w.issued[c]++
	if scalar {
		w.scalar[c] = w.issued[c]
	}
	return w.issued[c]
}

// LoadV marks a vector register as the destination of instruction seq.
func (w *Waits) LoadV(reg int, c Counter, seq uint32, c2 Counter, seq2 uint32) {
	w.v[reg&255] = [2]ticket{{c, seq}, {c2, seq2}}
}

// LoadS marks a scalar register as the destination of instruction seq.
func (w *Waits) LoadS(reg int, c Counter, seq uint32) {
	if reg < len(w.s) {
		w.s[reg] = ticket{c, seq}
	}
}

// V returns what a use of a vector register would have to wait for, or "".
// A load may overwrite the destination of an earlier load on the same counter.
func (w *Waits) V(reg int, overwriteBy Counter) string {
	for _, t := range w.v[reg&255] {
		if w.pending(t) && (overwriteBy == None || t.counter != overwriteBy) {
			return fmt.Sprintf("v%d is the destination of a load that %v has not been waited for", reg, t.counter)
		}
	}
	return ""
}

// S returns what a use of a scalar register would have to wait for, or "".
func (w *Waits) S(reg int) string {
	if reg < len(w.s) && w.pending(w.s[reg]) {
		return fmt.Sprintf("scalar register %d is the destination of a load that %v has not been waited for", reg,
			w.s[reg].counter)
	}
	return ""
}

// Wait lowers a counter to n: all but the last n instructions are complete. With
// scalar loads in flight only n = 0 says anything.
func (w *Waits) Wait(c Counter, n uint32) {
	if n > 0 && w.scalar[c] > w.done[c] || n >= w.issued[c] {
		return
	}
	w.done[c] = max(w.done[c], w.issued[c]-n)
	if c == LGKM || c == DS {
		k := 0
		for _, a := range w.lds {
			if a.seq > w.done[c] {
				w.lds[k] = a
				k++
			}
		}
		w.lds = w.lds[:k]
	}
}

// LDS remembers an LDS access that is in flight.
func (w *Waits) LDS(seq, addr uint32, n int, write bool) {
	w.lds = append(w.lds, ldsAccess{seq, addr, n, write})
}

// InFlightLDS calls f for every LDS access that has not been waited for.
func (w *Waits) InFlightLDS(f func(addr uint32, n int, write bool)) {
	for _, a := range w.lds {
		f(a.addr, a.n, a.write)
	}
}
