package conformance

import (
	"fmt"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

// TestProbe checks that scales are found where the formats' documentation says they are.
func TestProbe(t *testing.T) {
	want := map[string]string{
		"F32": "[f32@0]", "F16": "[f16@0]", "BF16": "[bf16@0]", "Q4_0": "[f16@0]", "Q4_1": "[f16@0 f16@2]",
		"Q8_0": "[f16@0]",
		"Q2_K": "[f16@80 f16@82]", "Q3_K": "[f16@108]", "Q4_K": "[f16@0 f16@2]", "Q6_K": "[f16@208]",
		"Q8_K":   "[f32@0]",
		"IQ4_XS": "[f16@0]", "IQ1_M": "[]", "MXFP4": "[]", "NVFP4": "[]",
	}
	for name, fields := range want {
		d, ok := tensor.ParseDType(name)
		if !ok {
			t.Errorf("%s is not registered", name)
			continue
		}
		f, _ := d.Format()
		got := []string{}
		for _, x := range probe(f) {
			got = append(got, fmt.Sprintf("%s@%d", x.kind.name, x.off))
		}
		if fmt.Sprint(got) != fields {
			t.Errorf("%s: found %v, want %s", name, got, fields)
		}
	}
}

// TestHostileRows checks that every block type meets NaN or infinity, zero and negative numbers, except where its
// encoding has none.
func TestHostileRows(t *testing.T) {
	tame := map[string]bool{"NVFP4": true, "MXFP4": false} // UE4M3 scales have no NaN; 2^128 times 6 overflows
	for _, f := range weightFormats() {
		var bad, zero, negative bool
		rows := hostileRows(f, 2, newRand(0, "test"))
		for _, r := range rows {
			for _, v := range dequantize(f, r.data) {
				bad = bad || v-v != 0
				zero = zero || v == 0
				negative = negative || v < 0
			}
		}
		if bad == tame[f.Name] || !zero || !negative {
			t.Errorf("%s: %d rows: not finite %v, zero %v, negative %v", f.Name, len(rows), bad, zero, negative)
		}
	}
}
