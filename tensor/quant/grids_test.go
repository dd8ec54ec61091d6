package quant

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"
)

func TestGrids(t *testing.T) {
	for _, c := range []struct {
		name            string
		grid            *grid
		points, dim     int
		codes, expanded string // SHA-256 of the packed codes and of GGML's tables of values
	}{
		{"IQ3XXS", gridIQ3XXS(), 256, 4, "c9678803c61b2210fbd8cbbb3f965a835409cd7d88a04d086d236261bd221d11",
			"46e35f5a997efdee6c99ce57854c8a0d4f0ff8ca57e5e8a60c0793ea580acf5d"},
		{"IQ3S", gridIQ3S(), 512, 4, "353274c58dd7d8dc5ee960dc8fc54ff9164eaf2b49206b841cd49415cf393f81",
			"bd1af4945a1717c65610b0284e4628b9a1ba3b306fae3a06f6e5f597356e349f"},
		{"IQ2XXS", gridIQ2XXS(), 256, 8, "915952ebc4af8ddba8113583ca1316fc818843f7b825bbf1a25ae1c39bf0e16d",
			"05826b5d3e472a3a78f196be62ac78acf81df0f909626e12ab9fa2a5d490dd54"},
		{"IQ2XS", gridIQ2XS(), 512, 8, "f66435966ca8d64e9e4a6e3c91e64afcf9015e700ec85962f527283ebae207b9",
			"06e47aaca60b4dc1d9b5a3f34540437058a6b142b4d7a59d5ded769b4d1bf1de"},
		{"IQ2S", gridIQ2S(), 1024, 8, "e6e75e121b65e8afa5c1f92b71463cfbe217b83893f438acde22fd5db06a43f7",
			"e1aa1473412b0552c2174c30ef22ab4073f6a181b85a17056e8249bd2932fd88"},
		{"IQ1S", gridIQ1S(), 2048, 8, "e9ffebfc997ad6023063a667c0bf4eedd8ebf7f56b3da399cbc7d1b1f7ea52c6",
			"07540ffc1aeaf6ad4d97e96b0fcc765aae39671d4ae4a27bbd0e796fde167c6a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(c.grid.codes) != c.points || c.grid.dim != c.dim {
				t.Fatalf("%d points of %d coordinates, want %d of %d", len(c.grid.codes), c.grid.dim, c.points, c.dim)
			}
			if !slices.IsSorted(c.grid.codes) {
				t.Error("codes are not ascending")
			}
			var codes, values []byte
			for _, x := range c.grid.codes {
				codes = binary.LittleEndian.AppendUint16(codes, x)
			}
			for _, v := range c.grid.values {
				values = append(values, byte(v))
			}
			if h := sha256.Sum256(codes); hex.EncodeToString(h[:]) != c.codes {
				t.Errorf("codes have hash %x, want %s", h, c.codes)
			}
			if h := sha256.Sum256(values); hex.EncodeToString(h[:]) != c.expanded {
				t.Errorf("values have hash %x, want %s", h, c.expanded)
			}
		})
	}
}
