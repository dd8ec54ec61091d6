package rdna

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/codeobj"
)

// TestMutatedKernels runs kernels with random bits of their code flipped. The
// guest may fault in any way; the host must neither panic nor hang.
func TestMutatedKernels(t *testing.T) {
	rounds := 150
	if testing.Short() {
		t.Log("SKIPPED: -short leaves most mutations to make emulator")
		rounds = 10
	}
	for _, target := range committed {
		for _, name := range []string{"norm", "mat_vec", "gemm", "attention", "misc", "arith", "cross_lane"} {
			good := object(t, target, name)
			obj, err := codeobj.Parse(good)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := obj.Text()
			at := strings.Index(string(good), string(text))
			r := rng(uint64(len(name)) + uint64(target[3]))
			for round := range rounds {
				b := slices.Clone(good)
				k := obj.Kernels[r.IntN(len(obj.Kernels))]
				first := at + int(k.Entry-obj.Segments[1].Addr)
				for range 1 + r.IntN(3) {
					w := b[first+r.IntN(int(k.CodeEnd-k.Entry)/4)*4:]
					binary.LittleEndian.PutUint32(w, binary.LittleEndian.Uint32(w)^1<<r.IntN(32)^1<<r.IntN(32))
				}
				d := NewDevice(1 << 28)
				m, err := d.Load(target, b)
				if err != nil {
					t.Fatalf("the code of %s is no part of its structure, yet: %v", name, err)
				}
				buf, err := d.Alloc(1 << 16)
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Write(buf, make([]byte, 1<<16)); err != nil {
					t.Fatal(err)
				}
				kernarg := make([]byte, k.KernargSize)
				for _, a := range k.Args {
					if a.Kind == "global_buffer" {
						binary.LittleEndian.PutUint64(kernarg[a.Offset:], buf)
					} else if a.Size == 4 {
						binary.LittleEndian.PutUint32(kernarg[a.Offset:], 16)
					}
				}
				o := Options{Workers: 1, Budget: 1 << 19}
				o.Checks.AllChecks = round&1 != 0
				_, err = m.Launch(context.Background(), k.Name, [3]uint32{1, 1, 1},
					[3]uint32{uint32(k.MaxThreads), 1, 1}, 256, kernarg, o)
				var f *Fault
				if err != nil && !errors.As(err, &f) && !strings.Contains(err.Error(), "VGPRs") {
					t.Errorf("%s: error %v is no fault", k.Name, err)
				}
			}
		}
	}
}
