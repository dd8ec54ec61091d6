package codeobj

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDelta edits objects at random and expects them back, by deltas that are as small as the edits.
func TestDelta(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 36))
		base := make([]byte, r.IntN(1<<14))
		for i := range base {
			base[i] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 {
			base = append([]byte("\x7fELF"), base...)
		}
		object := slices.Clone(base)
		edits := r.IntN(8)
		for range edits {
			i := r.IntN(len(object)/4+1) * 4
			switch r.IntN(3) {
			case 0:
				object = slices.Insert(object, i, byte(r.Uint32()), 1, 2, 3)
			case 1:
				object = slices.Delete(object, i, min(i+8, len(object)))
			case 2:
				copy(object[i:], "other")
			}
		}
		delta := Delta(base, object)
		if got, err := Patch(base, delta); err != nil || !bytes.Equal(got, object) {
			t.Fatalf("seed %d: %d bytes for %d, %v", seed, len(got), len(object), err)
		}
		if most := 16 + 64*edits; len(delta) > most {
			t.Errorf("seed %d: %d bytes for %d edits", seed, len(delta), edits)
		}
	}
	if got, err := Patch(nil, Delta(nil, []byte("alone"))); err != nil || string(got) != "alone" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzPatch(f *testing.F) {
	base := []byte("0123456789abcdef0123456789abcdefg")
	f.Add(base, Delta(base, []byte("x0123456789abcdef0123456789abcdefy")))
	f.Add(base, []byte{3, 0, 33, 1})
	f.Add(base, []byte{200})
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		out, err := Patch(base, delta)
		if err != nil {
			return
		}
		if again, err := Patch(base, Delta(base, out)); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%x became %x, %v", out, again, err)
		}
	})
}
