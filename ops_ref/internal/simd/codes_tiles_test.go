//go:build amd64 && !noasm

package simd

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
)

// TestRoundedCodes compares tiles made of a panel with what they stand for: each element rounded to float32 and then to
// bfloat16, halves upwards. That takes no tile registers.
func TestRoundedCodes(t *testing.T) {
	if !Has(AVX512) {
		t.Skipf("SKIPPED: this machine or build has %v at most", best)
	}
	restore, _ := Force(AVX512)
	defer restore()
	const k = 512
	w := codesRows(rand.New(rand.NewPCG(54, 54)), TileRows, k)["random"]
	panel, tile := cast.Bytes(int64(Codes.PanelsBytes(1, k))), cast.Bytes(int64(Rounded.PanelBytes(k)))
	Codes.Repack(panel, 0, w, len(w)/TileRows, k)
	asmRound(Codes, &tile[0], &panel[0], k/256)
	for r := range TileRows {
		for i := range k {
			block := w[r*len(w)/TileRows+i/256*codesBytes:]
			scale := floatAt(block[codesD:]) * float32(int8(block[codesScale+i%256/16]))
			x := scale * float32(int(block[i%256])-128)
			want := uint16((math.Float32bits(x) + 0x8000) >> 16)
			at := (i/32*2+r/16)*1024 + i%16*64 + r%16*4 + i%32/16*2
			if got := binary.LittleEndian.Uint16(tile[at:]); got != want && (got|want)&0x7fff != 0 {
				t.Fatalf("row %d, element %d: %#04x, want %#04x", r, i, got, want)
			}
		}
	}
}
