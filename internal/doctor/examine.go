package doctor

import (
	"fmt"
	"io/fs"
	"slices"
)

// Options say what is examined.
type Options struct {
	Root fs.FS // of the machine: sys, proc, etc, dev, usr and opt are read

	Targets []string // instruction sets that the program has kernels for

	// Open tries to open a device to read and write; nil goes by owners and modes, as for the tree of another machine.
	Open func(path string) error

	// GTT is how much memory, in bytes, integrated GPUs shall be able to use; 0 is what is sensible.
	GTT int64
}

// Examine reads a machine. It never fails: what is not there is a finding, or empty.
func Examine(o Options) *Report {
	t := tree{o.Root}
	r := &Report{Findings: []Finding{}}
	r.system(t)
	r.libraries(t)
	r.gpus(t, o.Targets)
	r.permissions(t, o.Open)
	r.cards()
	r.hip()
	r.known()
	r.gtt(t, o.GTT)
	r.bars()
	r.translation()
	r.environment(t)
	r.choose()
	return r
}

// choose names the usable cards as --device does, and the one that auto takes: the order is that of the program.
func (r *Report) choose() {
	n := 0
	var usable []*GPU
	for _, g := range r.GPUs {
		if g.Node < 0 {
			continue
		}
		if g.Problem == "" {
			g.Device = fmt.Sprintf("hip:%d", n)
			usable = append(usable, g)
		}
		n++
	}
	slices.SortStableFunc(usable, func(a, b *GPU) int {
		rank := func(g *GPU) []int64 {
			shared := int64(0)
			if g.Integrated {
				shared = 1
			}
			return []int64{shared, -(g.Usable >> 20), -g.bandwidth}
		}
		return slices.Compare(rank(a), rank(b))
	})
	r.Auto = Choice{Device: "cpu", Why: []string{}}
	if len(usable) > 0 {
		best := usable[0]
		r.Auto.Device = best.Device
		r.Auto.Why = append(r.Auto.Why, fmt.Sprintf("%s is the best GPU that can be used", best.Name))
		for _, g := range usable[1:] {
			why := "less memory"
			if g.Integrated && !best.Integrated {
				why = "a part of the processor"
			} else if g.Usable>>20 == best.Usable>>20 {
				why = "no better"
			}
			r.Auto.Why = append(r.Auto.Why, fmt.Sprintf("%s, %s, is %s", g.Device, g.Name, why))
		}
	} else if len(r.GPUs) == 0 {
		r.Auto.Why = append(r.Auto.Why, "there is no AMD GPU")
	}
	for _, g := range r.GPUs {
		if g.Problem != "" {
			r.Auto.Why = append(r.Auto.Why, fmt.Sprintf("%s cannot be used: %s", g.Name, g.Problem))
		}
	}
}
