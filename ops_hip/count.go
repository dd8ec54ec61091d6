package opship

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// Sampler runs launches of plans, or some workgroups of them, one node at a time and without the rest of the graph,
// on an emulated device that counts.
type Sampler struct {
	dev    *Device
	on     *machine
	groups int // workgroups of a launch, at most

	weights     uint64 // memory for weights, all zeros
	weightBytes int64
}

// NewSampler returns a sampler on a device of [OpenCounting] that runs up to so many workgroups of a launch, drawn
// evenly over the grid and the same each time, and fewer where some are seen to be alike. Close it before the device.
func NewSampler(d *Device, groups int) (*Sampler, error) {
	m, ok := hiprt.MachineOf(d.rt).(*machine)
	if !ok || groups < 1 {
		return nil, fmt.Errorf("opship: %s: %d workgroups cannot be sampled here", d.info.Name, groups)
	}
	return &Sampler{dev: d, on: m, groups: groups}, nil
}

// Close frees the memory of the sampler.
func (s *Sampler) Close() error {
	if s.weightBytes == 0 {
		return nil
	}
	s.weightBytes = 0
	return s.on.Free(s.weights)
}

// Node runs the launches of one node, which follow each other in a plan, and returns what each executed; Workgroups
// tells of how many. contents returns the bytes that a value holds, nil for zeros. What one launch leaves in scratch
// memory, the next finds there as far as its workgroups ran, so that launches which others depend on must be small.
func (s *Sampler) Node(ls []Planned, contents func(ops.Value) []byte) (counted []KernelStats, err error) {
	mem, err := s.place(ls)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, addr := range mem.own {
			err = errors.Join(err, s.on.Free(addr))
		}
	}()
	for v, addr := range mem.at {
		if b := contents(v); b != nil {
			if err := s.on.Write(addr, b); err != nil {
				return nil, fmt.Errorf("opship: %v: %w", v.Node(), err)
			}
		}
	}
	err = s.dev.thread.Do(background, func() error {
		for _, l := range ls {
			k, err := s.launch(l, mem)
			if err != nil {
				return fmt.Errorf("opship: %v: kernel %s: %w", l.Node, l.Launch.Symbol, err)
			}
			counted = append(counted, k)
		}
		return nil
	})
	return counted, err
}

// placed is where the values of a node lie.
type placed struct {
	at      map[ops.Value]uint64 // by the owner of the storage
	scratch uint64
	own     []uint64 // what must be freed
}

// place gives memory to all values that the launches point to.
func (s *Sampler) place(ls []Planned) (p placed, err error) {
	p.at = map[ops.Value]uint64{}
	defer func() {
		if err != nil {
			for _, addr := range p.own {
				err = errors.Join(err, s.on.Free(addr))
			}
		}
	}()
	alloc := func(size int64) (uint64, error) {
		addr, err := s.on.AllocZeros(max(1, size))
		if err == nil {
			p.own = append(p.own, addr)
		}
		return addr, err
	}
	var weights []ops.Value
	var scratch, total int64
	for _, l := range ls {
		scratch = max(scratch, l.Launch.Scratch)
		for _, v := range l.Launch.Args.Values() {
			v = ops.Owner(v)
			if _, known := p.at[v]; known {
				continue
			}
			size, err := sizeOf(v)
			if err != nil {
				return p, fmt.Errorf("opship: %v: %w", v.Node(), err)
			}
			if v.Node().Leaf == ops.Weight {
				weights, p.at[v] = append(weights, v), uint64(total)
				total += aligned(size)
				continue
			}
			if p.at[v], err = alloc(size); err != nil {
				return p, err
			}
		}
	}
	if p.scratch, err = alloc(scratch); err != nil {
		return p, err
	}
	if total > s.weightBytes {
		if err := s.Close(); err != nil {
			return p, err
		}
		if s.weights, err = s.on.AllocZeros(total); err != nil {
			return p, err
		}
		s.weightBytes = total
	}
	for _, v := range weights {
		p.at[v] += s.weights
	}
	return p, nil
}

// sizeOf returns the bytes of a value that owns its storage.
func sizeOf(v ops.Value) (int64, error) {
	if v.Node().Leaf == ops.Weight {
		return ops.WeightBytes(v.Node().Tensor)
	}
	return tensor.Bytes(v.DType(), v.Shape())
}

// launch runs workgroups of l. It runs in the device's turn.
func (s *Sampler) launch(l Planned, mem placed) (KernelStats, error) {
	f, err := s.dev.function(&l.Launch)
	if err != nil {
		return KernelStats{}, err
	}
	counters := uint64(0)
	if n := l.Launch.Counters; n > 0 {
		if counters, err = s.on.AllocZeros(4 * int64(n)); err != nil {
			return KernelStats{}, err
		}
		defer s.on.Free(counters)
	}
	args := l.Launch.Args.bytes()
	for _, r := range l.Launch.Args.relocs {
		addr := mem.scratch
		if r.counters {
			addr = counters
		} else if r.value.Valid() {
			addr = mem.at[ops.Owner(r.value)]
		}
		putPtr(args[r.at:], hiprt.Ptr(addr+uint64(r.off)))
	}
	grid := ones(l.Launch.Grid)
	defer func() { s.on.opt.Groups = nil }()
	run := func(groups []uint64) (uint64, error) {
		s.on.opt.Groups = groups
		was := s.dev.Executed()[l.Launch.Symbol].Instructions
		err := s.dev.rt.Launch(&hiprt.Launch{Func: f, Grid: grid, Block: ones(l.Launch.Block), Args: args},
			s.dev.service)
		return s.dev.Executed()[l.Launch.Symbol].Instructions - was, err
	}
	s.dev.TakeExecuted()
	groups := sample(uint64(grid[0])*uint64(grid[1])*uint64(grid[2]), s.groups)
	if len(groups) < 2*pilots {
		_, err = run(groups)
		return s.dev.TakeExecuted()[l.Launch.Symbol], err
	}
	// Few workgroups tell as much as many where they are all alike.
	a, err := run(pick(&groups))
	if err != nil {
		return KernelStats{}, err
	}
	b, err := run(pick(&groups))
	if err == nil && a != b {
		_, err = run(groups)
	}
	return s.dev.TakeExecuted()[l.Launch.Symbol], err
}

// pilots is how many workgroups of a launch are executed, twice, to see whether they are alike.
const pilots = 3

// pick takes pilots out of groups, spread evenly.
func pick(groups *[]uint64) (picked []uint64) {
	n := len(*groups)
	for i := pilots - 1; i >= 0; i-- {
		at := (2*i + 1) * n / (2 * pilots)
		picked = append(picked, (*groups)[at])
		*groups = slices.Delete(*groups, at, at+1)
	}
	return picked
}

// sample draws up to n of all numbers, one of each of n parts of equal size, or returns nil for all.
func sample(all uint64, n int) []uint64 {
	if all <= uint64(n) {
		return nil
	}
	random := rand.New(rand.NewPCG(1, all))
	drawn := make([]uint64, n)
	for i := range drawn {
		from, to := all*uint64(i)/uint64(n), all*uint64(i+1)/uint64(n) // grids have at most 2^40 workgroups
		drawn[i] = from + random.Uint64N(to-from)
	}
	return drawn
}
