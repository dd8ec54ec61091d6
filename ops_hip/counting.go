package opship

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/ops_hip/internal/kmeta"
)

// OpenCounting opens the emulator of target as a device of cus compute units that runs one registered kernel, by name,
// wherever it can and nothing else but what packs activations for it, or all kernels if the name is empty, and that
// counts distinct bytes and trips to memory as well, which excludes the checks of [EnvChecks]. With cus the launches
// are those that a card of that size gets: how far attention is split depends on it.
func OpenCounting(target, kernel string, cus int) (*Device, error) {
	only, err := onlyKernel(kernel)
	if err != nil {
		return nil, err
	}
	o := FromEnv()
	o.kernels = only
	d, err := OpenWith("emu:"+target, o)
	if err != nil {
		return nil, err
	}
	choices := d.target.choices
	d.target = NewTarget(target, cus)
	d.target.choices = choices
	m := hiprt.MachineOf(d.rt).(*machine)
	m.opt.Footprint, m.opt.Trips = true, true
	return d, nil
}

// onlyKernel returns the registry without the other kernels of any op but packOp, and the registry itself without a
// name.
func onlyKernel(kernel string) (registry, error) {
	if kernel == "" {
		return kernels, nil
	}
	only := registry{}
	for op, ks := range kernels {
		for _, k := range ks {
			if k.Name == kernel || op == packOp {
				only[op] = append(only[op], k)
			}
		}
	}
	if !slices.ContainsFunc(slices.Concat(slices.Collect(maps.Values(only))...),
		func(k Kernel) bool { return k.Name == kernel }) {
		return nil, fmt.Errorf("opship: no kernel %q is registered", kernel)
	}
	return only, nil
}

// Candidate is a registered kernel that can run a node.
type Candidate struct {
	Kernel  string
	Symbols []string // kernels of code objects that it launches, in order
}

// Candidates returns the registered kernels that can run n on a device of target with cus compute units, the one that
// is chosen first. It needs no device.
func Candidates(n *ops.Node, target string, cus int) ([]Candidate, error) {
	t := NewTarget(target, cus)
	type scored struct {
		Candidate
		score int
	}
	var found []scored
	for _, k := range kernels[n.Op] {
		score := k.Match(n, t)
		if score < 0 {
			continue
		}
		node := *n
		steps, err := alone(&node, k, t)
		if err != nil {
			return nil, fmt.Errorf("opship: %v: kernel %s: %w", n, k.Name, err)
		}
		c := scored{Candidate{Kernel: k.Name}, score}
		for _, s := range steps {
			for _, l := range s.launches {
				c.Symbols = append(c.Symbols, l.Symbol)
			}
		}
		found = append(found, c)
	}
	if k, ok := kernels.chosen(n, t); ok {
		i := slices.IndexFunc(found, func(s scored) bool { return s.Kernel == k.Name })
		found[i].score = math.MaxInt
	}
	slices.SortStableFunc(found, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	cs := make([]Candidate, len(found))
	for i, f := range found {
		cs[i] = f.Candidate
	}
	return cs, nil
}

// Shipped returns the kernels in the code objects of target, by symbol and sorted. Code objects are those that devices
// load: the linked ones, or the folder that the environment names.
func Shipped(target string) ([]string, error) {
	set, err := codeobj.For(target, FromEnv().CodeObjects)
	if err != nil {
		return nil, fmt.Errorf("opship: %w", err)
	}
	var symbols []string
	for _, name := range set.Names() {
		image, err := set.Read(name)
		if err != nil {
			return nil, fmt.Errorf("opship: %w", err)
		}
		o, err := kmeta.Read(image)
		if err != nil {
			return nil, fmt.Errorf("opship: code object %s: %w", name, err)
		}
		for _, k := range o.Kernels {
			symbols = append(symbols, k.Name)
		}
	}
	slices.Sort(symbols)
	return symbols, nil
}
