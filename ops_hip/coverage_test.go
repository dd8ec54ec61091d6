package opship

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/kmeta"
)

// TestEveryKernelHasACase checks that the cases which TestKernels executes launch every kernel of the objects.
func TestEveryKernelHasACase(t *testing.T) {
	for _, name := range []string{"gfx1100", "gfx1201"} {
		target := NewTarget(name, 4) // as emulated devices have
		launched := map[string]bool{}
		for _, op := range ops.Defs() {
			for _, c := range kernelCases(op) {
				for _, k := range kernels[op] {
					n := caseNode(t, op, c)
					if k.Match(n, target) < 0 {
						continue
					}
					steps, err := alone(n, k, target)
					must(t, err)
					for _, s := range steps {
						for _, l := range s.launches {
							launched[l.Symbol] = true
						}
					}
				}
			}
		}
		set := objects(t, name)
		for _, object := range set.Names() {
			b, err := set.Read(object)
			must(t, err)
			o, err := kmeta.Read(b)
			must(t, err)
			for _, k := range o.Kernels {
				// TestAllReduceKernel launches this one, which waits for others.
				if !launched[k.Name] && k.Name != "all_reduce_f32" {
					t.Errorf("%s: no case launches %s of %s", name, k.Name, object)
				}
			}
		}
	}
}
