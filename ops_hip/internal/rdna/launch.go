package rdna

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/exec"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// Options adjusts a launch. The zero value runs on all CPUs without checks.
type Options struct {
	Workers int    // goroutines that run workgroups; 0 means GOMAXPROCS, 1 makes the order of workgroups fixed
	Budget  uint64 // wave-instructions after which the launch faults; 0 means exec.DefaultBudget
	// AllowPartialPermlane permits v_permlane* while lanes are inactive. Their
	// result then depends on stale registers, so this is a fault otherwise.
	AllowPartialPermlane bool
	// StrictAlign refuses vector loads and stores that are not aligned to their
	// size or to 4 bytes. HSA runs kernels in unaligned access mode and LLVM
	// merges narrow loads accordingly, so this is a portability check; scalar
	// loads and atomics always have to be aligned.
	StrictAlign bool
	Footprint   bool     // count Stats.LoadedOnce and StoredOnce, which costs time and a quarter of the memory
	Trips       bool     // count chains of loads, which excludes checks
	Groups      []uint64 // workgroups to run, by their number with x fastest; nil: all
	Checks      Checks
}

// Launch runs a kernel and waits for it. grid counts workgroups, block counts
// work-items of a workgroup; dynLDS bytes follow the static LDS. kernarg holds
// the explicit arguments as HIP lays them out; hidden arguments are filled in. A
// misbehaving kernel gives a *Fault; memory then holds what was written so far.
func (m *Module) Launch(ctx context.Context, kernel string, grid, block [3]uint32, dynLDS uint32, kernarg []byte,
	o Options) (Stats, error) {
	k := m.obj.Kernel(kernel)
	if k == nil {
		return Stats{}, fmt.Errorf("rdna: module has no kernel %q", kernel)
	}
	l, err := m.prepare(k, grid, block, dynLDS, o)
	if err != nil {
		return Stats{}, err
	}
	args, err := hiddenArgs(k, grid, block, dynLDS, kernarg)
	if err != nil {
		return Stats{}, err
	}
	if o.Checks.Normalize().ReadOnly {
		l.ReadOnly = m.readOnlyArgs(k, args)
	}
	// Kernel arguments live in memory of their own; a kernel may load up to a
	// cache line beyond them, as the hardware's allocation would allow.
	seg, err := m.dev.space.Alloc(int64(len(args)+63)&^63+64, "kernel arguments", true)
	if err != nil {
		return Stats{}, fmt.Errorf("rdna: kernel %q: %w", kernel, err)
	}
	defer func() { _ = m.dev.space.Free(seg.Base) }()
	copy(seg.Data, args)
	l.Kernarg = seg.Base
	if k.Descriptor.Properties&codeobj.PropDispatchPtr != 0 {
		p, err := m.dispatchPacket(k, grid, block, dynLDS, seg.Base)
		if err != nil {
			return Stats{}, err
		}
		defer func() { _ = m.dev.space.Free(p.Base) }()
		l.Dispatch = p.Base
	}
	return exec.Run(ctx, l)
}

func (m *Module) prepare(k *codeobj.Function, grid, block [3]uint32, dynLDS uint32, o Options) (*exec.Launch, error) {
	threads := uint64(block[0]) * uint64(block[1]) * uint64(block[2])
	switch {
	case k.Wave != 0 && k.Wave != 32:
		return nil, fmt.Errorf("rdna: kernel %q: wavefront size %d, only 32 is supported", k.Name, k.Wave)
	case k.MaxThreads != 0 &&
		(threads > uint64(k.MaxThreads) || max(block[0], block[1], block[2]) > uint32(k.MaxThreads)):
		return nil, fmt.Errorf("rdna: kernel %q: block %v has %d work-items, the kernel was built for at most %d",
			k.Name, block, threads, k.MaxThreads)
	case k.DynamicStack:
		return nil, fmt.Errorf("rdna: kernel %q: a dynamic stack is not supported", k.Name)
	}
	have := exec.VGPRs(k.Descriptor)
	if want := m.prog.MaxVGPR(k.Entry, k.CodeEnd); want > have {
		return nil, fmt.Errorf("rdna: kernel %q: names v%d, its descriptor allocates %d VGPRs", k.Name, want-1, have)
	}
	lds := uint64(k.Descriptor.LDS) + uint64(dynLDS)
	if lds > 65536 {
		return nil, fmt.Errorf("rdna: kernel %q: %d bytes of LDS, a workgroup has 65536", k.Name, lds)
	}
	return &exec.Launch{Program: m.prog, Desc: k.Descriptor, Kernel: k.Name, Entry: k.Entry, Space: &m.dev.space,
		LoadBase: m.base,
		Grid:     grid, Block: block, LDS: uint32(lds), Private: k.Descriptor.Private, Workers: o.Workers,
		Budget:               o.Budget,
		AllowPartialPermlane: o.AllowPartialPermlane, StrictAlign: o.StrictAlign, Footprint: o.Footprint,
		Trips:  o.Trips,
		Groups: o.Groups, Checks: o.Checks.Normalize()}, nil
}

// hiddenArgs extends the explicit arguments to the whole kernarg segment.
func hiddenArgs(k *codeobj.Function, grid, block [3]uint32, dynLDS uint32, kernarg []byte) ([]byte, error) {
	explicit := 0
	for _, a := range k.Args {
		if !a.Hidden() {
			explicit = max(explicit, a.Offset+a.Size)
		}
	}
	if len(kernarg) < explicit || len(kernarg) > k.KernargSize {
		return nil, fmt.Errorf("rdna: kernel %q: %d bytes of arguments, want %d (or up to %d with hidden ones)",
			k.Name, len(kernarg), explicit, k.KernargSize)
	}
	b := make([]byte, k.KernargSize)
	copy(b, kernarg)
	dims := uint64(1)
	for i := range 3 {
		if grid[i] > 1 || block[i] > 1 {
			dims = uint64(i + 1)
		}
	}
	values := map[string]uint64{"hidden_grid_dims": dims, "hidden_dynamic_lds_size": uint64(dynLDS),
		"hidden_private_base": 0x20000000, "hidden_shared_base": 0x10000000}
	for i, axis := range [...]string{"x", "y", "z"} {
		values["hidden_block_count_"+axis] = uint64(grid[i])
		values["hidden_group_size_"+axis] = uint64(block[i])
	}
	for _, a := range k.Args {
		if a.Kind == "" || a.Offset < explicit {
			continue
		}
		v := values[a.Kind] // others, such as offsets, remainders and queues, are 0
		for n := range min(a.Size, 8) {
			b[a.Offset+n] = byte(v >> (8 * n))
		}
	}
	return b, nil
}

// readOnlyArgs returns the allocations that arguments point to and that the
// compiler saw no store to. A buffer that another argument may write stays
// writable.
func (m *Module) readOnlyArgs(k *codeobj.Function, args []byte) []*mem.Alloc {
	table := m.dev.space.Allocs()
	ro, rw := map[*mem.Alloc]bool{}, map[*mem.Alloc]bool{}
	for _, a := range k.Args {
		if a.Kind != "global_buffer" || a.Size != 8 {
			continue
		}
		p := mem.Find(table, binary.LittleEndian.Uint64(args[a.Offset:]))
		if p == nil {
			continue
		}
		if a.Access == "read_only" {
			ro[p] = true
		} else {
			rw[p] = true
		}
	}
	var list []*mem.Alloc
	for p := range ro {
		if !rw[p] {
			list = append(list, p)
		}
	}
	return list
}

// dispatchPacket builds the AQL packet that kernels built for code object
// version 4 read block and grid sizes from.
func (m *Module) dispatchPacket(k *codeobj.Function, grid, block [3]uint32, dynLDS uint32, kernarg uint64) (*mem.Alloc,
	error) {
	a, err := m.dev.space.Alloc(64, "dispatch packet", true)
	if err != nil {
		return nil, fmt.Errorf("rdna: kernel %q: %w", k.Name, err)
	}
	le, p := binary.LittleEndian, a.Data
	clear(p)
	le.PutUint16(p[2:], 3)
	for i := range 3 {
		le.PutUint16(p[4+2*i:], uint16(block[i]))
		le.PutUint32(p[12+4*i:], grid[i]*block[i])
	}
	le.PutUint32(p[24:], k.Descriptor.Private)
	le.PutUint32(p[28:], k.Descriptor.LDS+dynLDS)
	le.PutUint64(p[32:], m.base+k.DescriptorAddr)
	le.PutUint64(p[40:], kernarg)
	return a, nil
}
