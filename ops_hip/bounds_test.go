package opship

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna"
	"github.com/hipengine/hipengine/ops_hip/limits"
)

// TestBoundsOfKnownKernels executes kernels of which it is known what bounds them, and how.
func TestBoundsOfKnownKernels(t *testing.T) {
	for _, g := range limits.GPUs {
		t.Run(g.Target, func(t *testing.T) {
			image, err := os.ReadFile(filepath.Join("internal", "rdna", "testdata", g.Target, "bounds.co"))
			must(t, err)
			simdClocks := float64(2*g.CUs) * g.GHz * 1e9
			near := func(what string, got, want float64) {
				t.Helper()
				if math.Abs(got-want) > 0.02*want {
					t.Errorf("%s: %g, want %g", what, got, want)
				}
			}

			// Each load says where the next one is: nothing but the chain matters.
			const links = 200
			chain := make([]byte, 4*64*(links+2)) // a line in two: as many lines as loads
			for at := 0; at < len(chain); at += 4 {
				binary.LittleEndian.PutUint32(chain[at:], uint32(at/4+64))
			}
			w := boundedWork(t, g.Target, image, "chase", 1, 32, chain, 4*32, links)
			near("a chain of loads", w.Bound(g, true).Latency, 1e-9*links*g.MissNs)
			binds(t, "a chain of loads", w, g, limits.Latency)

			// The same loads of waves that do not wait for each other take the bus, where enough of them run at once.
			const blocks, rows = 64, 40
			in := make([]byte, blocks*rows*512)
			w = boundedWork(t, g.Target, image, "fed", blocks, 32, in, blocks*512, rows)
			w = w.Times(1000) // more blocks than the largest of the GPUs runs at once
			near("bytes of sums", w.Bytes, 1000*(float64(len(in))+blocks*512))
			binds(t, "sums of waves that fill the GPU", w, g, limits.Memory)
			w = boundedWork(t, g.Target, image, "starved", blocks, 32, in, blocks*512, rows)
			w = w.Times(1000)
			if w.Block.SIMDWaves(g.Target) != 0.5 {
				t.Errorf("%g waves a SIMD with LDS for two on a workgroup processor", w.Block.SIMDWaves(g.Target))
			}
			near("sums of few waves at a time", w.Bound(g, true).Latency,
				1e-9*g.MissNs*1000*blocks*rows/float64(g.CUs))
			binds(t, "sums of few waves at a time", w, g, limits.Latency)

			// A load of 16 bytes a lane takes four clocks of the LDS that two SIMDs share.
			const loads = 500
			w = boundedWork(t, g.Target, image, "lds_sum", 4, 128, nil, 4*512, loads)
			near("loads from LDS", w.Bound(g, true).LDS, 4*4*4*loads/(float64(g.CUs)*g.GHz*1e9))
			binds(t, "loads from LDS", w, g, limits.LDS)

			// Matrix instructions and 24 others: one after the other on RDNA3, where they share a unit.
			const steps = 300
			w = boundedWork(t, g.Target, image, "mixed", 8, 32, nil, 8*128, steps)
			wmma := 32.0
			if g.Target == "gfx1201" {
				wmma = 16
			}
			near("matrix instructions", w.WMMA, 8*steps)
			near("one after the other", w.Bound(g, false).Issue, 8*steps*(wmma+24)/simdClocks)
			near("part of matrix instructions", w.MatrixShare(g), wmma/(wmma+24))
			want := wmma + 24
			if !g.MMAShares {
				want = 24
			}
			near("as the GPU may", w.Bound(g, true).Issue, 8*steps*want/simdClocks)
			binds(t, "matrix and vector instructions", w, g, limits.Issue)
		})
	}
}

// binds fails unless a resource is what binds.
func binds(t *testing.T, what string, w limits.Work, g limits.GPU, want limits.Resource) {
	t.Helper()
	if b := w.Bound(g, true); b.Binding() != want {
		t.Errorf("%s: %s binds, want %s: %+v", what, b.Binding(), want, b)
	}
}

// boundedWork returns what a launch of a test kernel executes. Its arguments are an input, unless that is nil, an
// output of out bytes, and n.
func boundedWork(t *testing.T, target string, image []byte, kernel string, blocks, threads uint32, in []byte,
	out int64, n int32) limits.Work {
	t.Helper()
	m := &machine{Device: rdna.NewDevice(0), target: target, opt: rdna.Options{Footprint: true, Trips: true}}
	p, err := m.Load(image)
	must(t, err)
	var args []byte
	if in != nil {
		addr, err := m.Alloc(int64(len(in)))
		must(t, err)
		must(t, m.Write(addr, in))
		args = binary.LittleEndian.AppendUint64(args, addr)
	}
	addr, err := m.Alloc(out)
	must(t, err)
	args = binary.LittleEndian.AppendUint64(args, addr)
	args = binary.LittleEndian.AppendUint32(args, uint32(n))
	must(t, p.Launch(kernel, [3]uint32{blocks, 1, 1}, [3]uint32{threads, 1, 1}, args))
	return m.counts.snapshot()[kernel].Work()
}
