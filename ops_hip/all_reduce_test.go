package opship

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna"
	"github.com/hipengine/hipengine/tensor"
)

// TestAllReduceKernel runs the kernel of several ranks at once on one emulated memory, many times with parts that come
// late at random, and compares every element with the sum in the order of the ranks.
func TestAllReduceKernel(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("SKIPPED: emulated ranks share memory as GPUs do, without what the detector knows of order")
	}
	rounds := 60
	if testing.Short() {
		t.Log("SKIPPED: -short leaves most rounds, and each number of ranks on each target, to make emulator")
		rounds = 4
	}
	for i, target := range []string{"gfx1100", "gfx1201"} {
		for _, n := range []int{2, 3} {
			if testing.Short() && n != 3-i {
				continue
			}
			t.Run(fmt.Sprintf("%s/ranks=%d", target, n), func(t *testing.T) {
				t.Parallel()
				allReduceRounds(t, target, n, rounds)
			})
		}
	}
}

func allReduceRounds(t *testing.T, target string, n, rounds int) {
	set, err := codeobj.For(target, "")
	if err != nil {
		t.Fatal(err)
	}
	image, err := set.Read("all_reduce")
	if err != nil {
		t.Fatal(err)
	}
	dev := rdna.NewDevice(1 << 30)
	alloc := func(b []byte) uint64 {
		p, err := dev.Alloc(int64(len(b)))
		if err == nil {
			err = dev.Write(p, b)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	r := &ranks{blocks: 4}
	most := 3*r.blocks*pieceFloats + 4*77 // more than one piece a block
	var x, y []uint64
	var mods []*rdna.Module
	for range n {
		r.boxes = append(r.boxes, &box{addr: hiprt.Ptr(alloc(make([]byte, boxBytes(n))))})
		x, y = append(x, alloc(make([]byte, 4*most))), append(y, alloc(make([]byte, 4*most)))
		m, err := dev.Load(target, image)
		if err != nil {
			t.Fatal(err)
		}
		mods = append(mods, m)
	}
	for _, b := range r.boxes {
		var table []byte
		for _, o := range r.boxes {
			table = binary.LittleEndian.AppendUint64(table, uint64(o.addr))
		}
		if err := dev.Write(uint64(b.addr), table); err != nil {
			t.Fatal(err)
		}
	}
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	sizes := []int{5120, 4, 4 * 77, most, pieceFloats}
	for round := range rounds {
		elems := sizes[round%len(sizes)]
		want := make([]float32, elems)
		for rank := range n {
			var b []byte
			for i := range elems {
				v := float32(rnd.NormFloat64())
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
				if rank == 0 {
					want[i] = v
				} else {
					want[i] += v
				}
			}
			if err := dev.Write(x[rank], b); err != nil {
				t.Fatal(err)
			}
		}
		g := &ops.Graph{}
		var wg sync.WaitGroup
		for rank := range n {
			part := g.Input("x", tensor.F32, elems)
			v, ok := r.AllReduce(g, rank, part)
			if !ok {
				t.Fatalf("%d elements are refused", elems)
			}
			k, _ := kernels.find(v.Node(), NewTarget(target, 4))
			ls, err := k.Launch(v.Node(), NewTarget(target, 4))
			if err != nil {
				t.Fatal(err)
			}
			args := ls[0].Args.bytes()
			putPtr(args, hiprt.Ptr(x[rank]))
			putPtr(args[8:], hiprt.Ptr(y[rank]))
			late := time.Duration(rnd.IntN(3)) * time.Millisecond
			wg.Go(func() {
				time.Sleep(late)
				if _, err := mods[rank].Launch(t.Context(), ls[0].Symbol, ones(ls[0].Grid), ones(ls[0].Block), 0, args,
					rdna.Options{}); err != nil {
					t.Errorf("rank %d: %v", rank, err)
				}
			})
		}
		wg.Wait()
		for rank := range n {
			got := make([]byte, 4*elems)
			if err := dev.Read(got, y[rank]); err != nil {
				t.Fatal(err)
			}
			for i, w := range want {
				if v := math.Float32frombits(binary.LittleEndian.Uint32(got[4*i:])); v != w {
					t.Fatalf("round %d, rank %d: element %d of %d is %v, want %v", round, rank, i, elems, v, w)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}
