package own

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// What the device has kernels for, and what it runs by expansion alone, is what the reference computes: in all weight
// types, run to run, inside its own memory.
func TestConformance(t *testing.T) {
	native := []string{"relu2", "add", "mul", "silu", "gelu", "mul_mat", "reshape"}
	expanded := []string{"reglu2", "swiglu", "geglu"}
	names := strings.Join(append(native, expanded...), "|")
	d := New()
	match := regexp.MustCompile(`^(Ops|Quant|Graph|Stream|Memory)/(` + names + `)/|` +
		`^Stream/(copy|zero|event)$|^Memory/arena$`)
	rep, err := conformance.Run(t.Context(), d, conformance.Options{Match: match})
	if err == nil {
		err = rep.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	passed := map[string]int{} // by layer and op
	for _, r := range rep.Results {
		part := strings.Split(r.Name, "/")
		if r.Verdict == conformance.Pass || part[0] == "Graph" && r.Optional { // nothing fused to compare with
			passed[part[0]+"/"+part[1]]++
		}
	}
	for _, layer := range []string{"Ops", "Stream", "Memory"} {
		for _, op := range append(native, expanded...) {
			if passed[layer+"/"+op] == 0 {
				t.Errorf("no check of %s/%s passed", layer, op)
			}
		}
	}
	for _, check := range []string{"Stream/copy", "Stream/zero", "Stream/event", "Memory/arena"} {
		if passed[check] == 0 {
			t.Errorf("%s did not pass", check)
		}
	}
	for _, op := range expanded {
		if passed["Graph/"+op] == 0 {
			t.Errorf("the expansion of %s was not compared", op)
		}
	}
	if n := d.used.Load(); n != 0 {
		t.Errorf("%d bytes are still allocated", n)
	}
}

// What the device cannot do is refused with the reason.
func TestRefuses(t *testing.T) {
	d := New()
	g := &ops.Graph{}
	_, err := d.Compile(g, nil, ops.Softcap(g, g.Input("x", tensor.F32, 3), 2))
	if !errors.Is(err, ops.ErrUnsupported) || !strings.Contains(err.Error(), "softcap(F32[3]) {Cap:2} on own") {
		t.Errorf("softcap: %v", err)
	}
	if _, err := d.Alloc(memory+1, ops.MemState); !errors.Is(err, ops.ErrOutOfMemory) {
		t.Errorf("too much memory: %v", err)
	}
	other, err := New().Alloc(16, ops.MemWeights)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	err = s.Upload(tensor.Tensor{Name: "w", Buf: other}, make([]byte, 16))
	if err == nil || !strings.Contains(err.Error(), "another device") {
		t.Errorf("memory of another device: %v", err)
	}
}
