package conformance_test

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

func TestListKernels(t *testing.T) {
	dev := opsref.New(opsref.Options{Threads: 1, Without: map[*ops.Def]bool{ops.SwiGLUOp: true}})
	defer dev.Close()
	var b strings.Builder
	if err := conformance.ListKernels(t.Context(), dev, &b); err != nil {
		t.Fatal(err)
	}
	for _, arch := range models.Architectures() {
		if strings.Count("\n"+b.String(), "\n"+arch+" on ref, a step of ") != 2 {
			t.Errorf("%s is not listed for prefill and decoding", arch)
		}
	}
	if strings.Contains(b.String(), "-> swiglu\n") || !strings.Contains(b.String(), "-> silu\n") {
		t.Error("a node that the device cannot run is not listed as its expansion")
	}
	if err := conformance.ListKernels(t.Context(),
		opsref.New(opsref.Options{Without: map[*ops.Def]bool{ops.MulMatOp: true}}), &b); err == nil ||
		!strings.Contains(err.Error(), "mul_mat(") {
		t.Errorf("err = %v", err)
	}
}
