package exec

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/check"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/mem"
)

// DefaultBudget is the number of wave-instructions that a launch may execute
// when its Budget is zero.
const DefaultBudget = 20_000_000_000

const (
	maxLDS       = 65536
	timeSlice    = 200_000 // wave-instructions before another wave of the workgroup runs
	maxWorkgroup = 1024
)

// Launch describes one kernel launch.
type Launch struct {
	Program *Program
	Desc    codeobj.Descriptor
	Kernel  string
	Entry   uint64 // virtual address of the code

	Space    *mem.Space
	LoadBase uint64 // device address of virtual address 0
	Grid     [3]uint32
	Block    [3]uint32
	LDS      uint32 // static and dynamic bytes
	Private  uint32 // scratch bytes per work-item
	Kernarg  uint64 // device address of the kernel arguments
	Dispatch uint64 // device address of the dispatch packet, 0 for none

	Workers              int    // goroutines; 0 means GOMAXPROCS
	Budget               uint64 // wave-instructions; 0 means DefaultBudget
	AllowPartialPermlane bool   // permit v_permlane* with inactive lanes
	StrictAlign          bool   // refuse vector accesses that are not aligned to their size or 4 bytes
	Checks               check.Options
	ReadOnly             []*mem.Alloc // allocations that this launch must not write
	Footprint            bool         // count the distinct bytes that are loaded and stored
	Trips                bool         // count chains of loads; there must be no checks
	Groups               []uint64     // workgroups to run, by their number with x fastest; nil: all

	allocs   []*mem.Alloc
	readOnly map[*mem.Alloc]bool
	touched  map[*mem.Alloc]*footprint // nil without Footprint
}

// workgroup is the state that the waves of one workgroup share.
type workgroup struct {
	l      *Launch
	worker *worker
	id     [3]uint32
	lds    []byte
	waves  []*wave
	phase  int // completed barrier phases
	shadow *check.LDS
}

// worker runs workgroups one after the other and reuses their storage.
type worker struct {
	stats  Stats
	hits   []uint64
	allocs []*mem.Alloc // by vector memory instruction
	wg     workgroup
	pool   []*wave
	file   []uint32
	left   int64 // budget taken from the launch and not used yet
}

// worker returns a worker whose storage an earlier launch may have used: short
// launches would spend most of their time on allocating registers.
func (t *threaded) worker() *worker {
	if k, ok := t.workers.Get().(*worker); ok {
		return k
	}
	return &worker{hits: make([]uint64, len(t.ops)), file: t.prog.scalarFile(),
		allocs: make([]*mem.Alloc, t.prog.slots)}
}

// release keeps the worker for later launches, without references to this one.
func (k *worker) release(t *threaded) {
	clear(k.allocs)
	k.stats, k.left = Stats{}, 0
	k.wg.l, k.wg.shadow, k.wg.waves = nil, nil, nil
	for _, w := range k.pool {
		w.alloc, w.fault, w.chk = nil, nil, nil
	}
	t.workers.Put(k)
}

// Run executes the launch. A fault of the guest is a *Fault.
func Run(ctx context.Context, l *Launch) (Stats, error) {
	total := Stats{}
	threads := uint64(l.Block[0]) * uint64(l.Block[1]) * uint64(l.Block[2])
	groups := uint64(l.Grid[0]) * uint64(l.Grid[1])
	switch {
	case threads == 0 || threads > maxWorkgroup || max(l.Block[0], l.Block[1], l.Block[2]) > maxWorkgroup:
		return total, fmt.Errorf("exec: kernel %q: block %v has %d work-items, want 1 to %d", l.Kernel, l.Block,
			threads, maxWorkgroup)
	case l.Grid[0] == 0 || l.Grid[1] == 0 || l.Grid[2] == 0 || groups > 1<<40/uint64(l.Grid[2]):
		return total, fmt.Errorf("exec: kernel %q: grid %v is empty or larger than 2^40 workgroups", l.Kernel, l.Grid)
	case l.LDS > maxLDS:
		return total, fmt.Errorf("exec: kernel %q: %d bytes of LDS, a workgroup has %d", l.Kernel, l.LDS, maxLDS)
	case l.Private > 1<<20:
		return total, fmt.Errorf("exec: kernel %q: %d bytes of scratch per work-item is above 1 MiB", l.Kernel,
			l.Private)
	}
	groups *= uint64(l.Grid[2])
	if l.Trips && l.Checks.Any() {
		return total, fmt.Errorf("exec: kernel %q: trips cannot be counted with checks on", l.Kernel)
	}
	for _, n := range l.Groups {
		if n >= groups {
			return total, fmt.Errorf("exec: kernel %q: workgroup %d of %d", l.Kernel, n, groups)
		}
	}
	if l.Groups != nil {
		groups = uint64(len(l.Groups))
	}
	l.allocs = l.Space.Allocs()
	for _, a := range l.ReadOnly {
		if l.readOnly == nil {
			l.readOnly = map[*mem.Alloc]bool{}
		}
		l.readOnly[a] = true
	}
	if l.Footprint {
		l.touched = footprints(l)
	}
	thr := l.Program.plain
	if l.Checks.Any() || l.Trips {
		thr = l.Program.checked
	}
	entry := thr.operation(l.Entry)
	if entry < 0 {
		return total, fmt.Errorf("exec: kernel %q: entry %#x is no instruction", l.Kernel, l.Entry)
	}
	workers := l.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = int(min(uint64(workers), groups))
	var budget atomic.Int64
	budget.Store(DefaultBudget)
	if l.Budget != 0 {
		budget.Store(int64(min(l.Budget, 1<<62)))
	}
	var next atomic.Uint64
	var stop atomic.Bool
	var mu sync.Mutex
	var first error
	var at uint64
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			k := thr.worker()
			for !stop.Load() {
				n := next.Add(1) - 1
				if n >= groups {
					break
				}
				group := n
				if l.Groups != nil {
					group = l.Groups[n]
				}
				err := k.run(ctx, l, thr, entry, group, &budget)
				if err != nil {
					stop.Store(true)
					mu.Lock()
					if first == nil || n < at {
						first, at = err, n
					}
					mu.Unlock()
				}
			}
			for op, n := range k.hits {
				if n == 0 {
					continue
				}
				k.hits[op] = 0
				k.stats.count(thr.past[op], n)
				if !thr.empty[op] {
					k.stats.Instructions += n
					k.stats.ByClass[thr.class[op]] += n
				}
			}
			mu.Lock()
			total.Add(k.stats)
			mu.Unlock()
			k.release(thr)
		})
	}
	done.Wait()
	for _, f := range l.touched {
		total.LoadedOnce += f.loaded.count()
		total.StoredOnce += f.stored.count()
	}
	return total, first
}

// run executes workgroup n.
func (k *worker) run(ctx context.Context, l *Launch, thr *threaded, entry int32, n uint64,
	budget *atomic.Int64) error {
	wg := &k.wg
	wg.l, wg.worker, wg.phase = l, k, 0
	wg.id = [3]uint32{uint32(n % uint64(l.Grid[0])), uint32(n / uint64(l.Grid[0]) % uint64(l.Grid[1])),
		uint32(n / uint64(l.Grid[0]) / uint64(l.Grid[1]))}
	if len(wg.lds) != int(l.LDS) {
		wg.lds = make([]byte, l.LDS)
	}
	for i := 0; i+4 <= len(wg.lds); i += 4 {
		binary.LittleEndian.PutUint32(wg.lds[i:], poisonWord)
	}
	threads := int(l.Block[0] * l.Block[1] * l.Block[2])
	count := (threads + lanes - 1) / lanes
	for len(k.pool) < count {
		k.pool = append(k.pool, &wave{})
	}
	wg.waves = k.pool[:count]
	wg.shadow = nil
	if l.Checks.Any() {
		wg.shadow = check.NewLDS(l.Checks, len(wg.lds))
	}
	for id, w := range wg.waves {
		w.reset(wg, thr, id, threads-id*lanes)
		w.pc = entry
	}
	k.stats.Workgroups++
	k.stats.Waves += uint64(count)
	order := make([]int, count)
	for i := range order {
		order[i] = i
	}
	var shuffle *rand.Rand
	if l.Checks.WaveSeed != 0 {
		shuffle = rand.New(rand.NewPCG(l.Checks.WaveSeed, n))
	}
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("exec: kernel %q: %w", l.Kernel, err)
		}
		if shuffle != nil {
			shuffle.Shuffle(count, func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		live, progress := false, false
		for _, id := range order {
			w := wg.waves[id]
			if w.state == waiting && wg.released(w) {
				w.state = running
			}
			if w.state == yielded {
				w.state = running
			}
			if w.state == running {
				if need := timeSlice - k.left; need > 0 { // top up from the launch's budget
					k.left += max(0, min(need, budget.Add(-need)+need))
				}
				w.slice = int(min(k.left, timeSlice))
				before := w.slice
				w.run()
				k.left -= int64(before - max(w.slice, 0) - w.passed)
				w.passed = 0
				progress = true
				if w.state == yielded && k.left <= 0 && budget.Load() <= 0 {
					w.pc = max(w.pc, 1)
					w.fail(Budget, -1, "the launch executed as many instructions as it may")
				}
			}
			switch w.state {
			case faulted:
				return w.fault
			case ended:
			default:
				live = true
			}
		}
		if !live {
			k.countTrips()
			return nil
		}
		if !progress && !wg.canProgress() {
			w := wg.stuck()
			w.fail(Deadlock, -1, "every wave that is left waits at a barrier")
			return w.fault
		}
	}
}

// countTrips adds up the clocks of the workgroup's waves.
func (k *worker) countTrips() {
	if !k.wg.l.Trips {
		return
	}
	for _, w := range k.wg.waves {
		c := w.trips.Now()
		k.stats.Trips += c.Loads
		k.stats.FreshTrips += c.Fresh
		k.stats.LongestTrips = max(k.stats.LongestTrips, c.Loads)
		k.stats.LongestFresh = max(k.stats.LongestFresh, c.Fresh)
	}
}

// released reports whether a wave that waits at a barrier may go on: all waves
// that have not ended have signalled the phase it waits for.
func (wg *workgroup) released(w *wave) bool {
	for _, o := range wg.waves {
		if o.state != ended && o.signals < w.waits {
			return false
		}
	}
	return true
}

func (wg *workgroup) canProgress() bool {
	for _, w := range wg.waves {
		if w.state == running || w.state == yielded || w.state == waiting && wg.released(w) {
			return true
		}
	}
	return false
}

func (wg *workgroup) stuck() *wave {
	for _, w := range wg.waves {
		if w.state == waiting {
			return w
		}
	}
	return wg.waves[0]
}

// firstSignal reports whether no other wave has signalled the current phase yet.
func (wg *workgroup) firstSignal(w *wave) bool {
	for _, o := range wg.waves {
		if o != w && o.signals > w.signals {
			return false
		}
	}
	return true
}

// reset puts a wave into the state that the dispatcher creates: identifiers and
// pointers in their registers and garbage everywhere else.
func (w *wave) reset(wg *workgroup, thr *threaded, id, threads int) {
	l := wg.l
	file := wg.worker.file
	if len(w.s) != len(file) {
		w.s = make([]uint32, len(file))
	}
	copy(w.s, file)
	w.initVGPRs(l.Desc)
	if size := int(l.Private) * lanes; len(w.scratch) != size {
		w.scratch = make([]byte, size)
	}
	for i := range w.scratch {
		w.scratch[i] = 0xbe
	}
	w.wg, w.thr, w.id = wg, thr, id
	w.state, w.fault, w.alloc = running, nil, nil
	w.signals, w.waits, w.passed = 0, 0, 0
	w.mode, w.ieee, w.dx10 = l.Desc.FloatMode(), l.Desc.IEEE(), l.Desc.DX10Clamp()
	gfx12 := l.Program.gen == decode.GFX12
	if gfx12 { // the bits mean other things and clamping always drops NaN
		w.ieee, w.dx10 = false, true
	}
	exec := uint32(fullExec)
	if threads < lanes {
		exec = 1<<threads - 1
	}
	w.s[execIdx], w.s[execIdx+1], w.s[decode.Null] = exec, 0, 0
	var set check.Registers
	n := 0
	put := func(v uint64) {
		w.setS64(uint16(n), v)
		set.SetS(n)
		set.SetS(n + 1)
		n += 2
	}
	p := l.Desc.Properties
	if p&codeobj.PropPrivateSegmentBuffer != 0 {
		n += 4
	}
	if p&codeobj.PropDispatchPtr != 0 {
		put(l.Dispatch)
	}
	if p&codeobj.PropQueuePtr != 0 {
		put(0)
	}
	if p&codeobj.PropKernargPtr != 0 {
		put(l.Kernarg)
	}
	if p&codeobj.PropDispatchID != 0 {
		put(0)
	}
	if p&codeobj.PropFlatScratchInit != 0 {
		put(0)
	}
	if p&codeobj.PropPrivateSegmentSize != 0 {
		w.s[n] = l.Private
		set.SetS(n)
	}
	if gfx12 {
		w.s[decode.TTMP0+9] = wg.id[0]
		w.s[decode.TTMP0+7] = wg.id[1]&0xffff | wg.id[2]<<16
		set.SetS(decode.TTMP0 + 9)
		set.SetS(decode.TTMP0 + 7)
	} else {
		n = l.Desc.UserSGPRs() // LLVM counts its padding to 16 registers on gfx1100 in here
		for axis := range wg.id {
			if l.Desc.WorkgroupID(axis) {
				w.s[n] = wg.id[axis]
				set.SetS(n)
				n++
			}
		}
	}
	for k := range w.v[0] {
		t := uint32(id*lanes + k)
		x, y, z := t%l.Block[0], t/l.Block[0]%l.Block[1], t/l.Block[0]/l.Block[1]
		w.v[0][k] = x | y<<10 | z<<20
	}
	w.chk = nil
	w.trips.Reset()
	if l.Checks.Any() {
		w.chk = newChecker(l.Checks, set)
	}
	w.checkMode()
}

// initVGPRs poisons the registers that the wave has.
func (w *wave) initVGPRs(d codeobj.Descriptor) {
	for i := range w.v[:VGPRs(d)] {
		splat(&w.v[i], poisonWord)
	}
}

// VGPRs returns the number of vector registers that a descriptor allocates for
// wave32, in granules of 8.
func VGPRs(d codeobj.Descriptor) int { return min(8*(int(d.Rsrc1&63)+1), 256) }
