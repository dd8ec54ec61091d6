package mutant_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/conformance/mutant"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// TestMutants runs the layer in which each mutant must be caught and demands that it fails there, and only there. The
// device that the mutants are made from must pass the same checks.
func TestMutants(t *testing.T) {
	ref := opsref.New(opsref.Options{})
	defer ref.Close()
	clean := map[string]bool{}
	for _, m := range mutant.All() {
		t.Run(m.Name, func(t *testing.T) {
			layer, _, _ := strings.Cut(m.Caught, "/")
			o := conformance.Options{Match: regexp.MustCompile("^" + layer + "/")}
			if !clean[layer] {
				r, err := conformance.Run(t.Context(), ref, o)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Err(); err != nil {
					t.Fatalf("the reference fails: %v", err)
				}
				clean[layer] = true
			}
			dev := m.New()
			defer dev.Close()
			r, err := conformance.Run(t.Context(), dev, o)
			if err != nil {
				t.Fatal(err)
			}
			caught := 0
			for _, f := range r.Failures() {
				if !strings.HasPrefix(f.Name, m.Caught) {
					t.Errorf("failed elsewhere: %s: %s", f.Name, f.Detail)
					continue
				}
				if caught++; caught == 1 {
					t.Logf("%s: %s", f.Name, f.Detail)
				}
			}
			if caught == 0 {
				t.Errorf("%s: not caught by %s", m.Models, m.Caught)
			}
		})
	}
}
