package opship

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// Plan is a compiled graph: launches with final addresses. Its first run issues them one by one, since runtimes load
// code when it is first launched and must not do so while capturing. The second run captures them into a graph of
// the runtime, which it and later runs replay; if that fails, or is switched off, all runs are like the first. When
// the plan's arena has moved, the next run is a first one again.
type Plan struct {
	dev      *Device
	arena    *ops.Arena // inputs, activations, outputs, then scratch memory
	own      bool       // arena is of this plan alone
	bytes    int64      // of the arena, that the plan takes
	args     *buffer    // argument blocks, in host memory
	counters *buffer    // of launches that have some: all 0 between launches; nil if none has
	steps    []step
	launches []hiprt.Launch // of all steps, in order
	moving   []moving       // their addresses in the arena
	inputs   map[string]tensor.Tensor
	outs     []tensor.Tensor // as inputs: without a buffer if in the arena
	quiet    bool            // a failure to capture is not logged

	took atomic.Int64 // nanoseconds from its last run to when its results were there; 0 if that is not known

	// Used in the device's turn only.
	closed   bool
	bound    uint64      // generation of the arena that launches point to
	graph    hiprt.Graph // 0 while launches are issued one by one
	ran      bool        // there was a first run
	captured bool        // capturing has been tried
	noGraph  error       // why it failed
}

// moving is an address in an arena.
type moving struct {
	launch int   // index of the launch that has it
	at     int   // where in its argument block
	off    int64 // from the start of the arena
}

// Input returns the place of an input.
func (p *Plan) Input(name string) (tensor.Tensor, bool) {
	t, ok := p.inputs[name]
	if ok {
		t.Buf, _ = p.arena.Buffer()
	}
	return t, ok
}

// Output returns the place of output i.
func (p *Plan) Output(i int) tensor.Tensor {
	t := p.outs[i]
	if t.Buf == nil {
		t.Buf, _ = p.arena.Buffer()
	}
	return t
}

// bind points the launches to the arena where it lies now, which need not be where it lay before: the plan then
// starts like a new one. It runs in the device's turn.
func (p *Plan) bind(arena tensor.Buffer, gen uint64) error {
	b, ok := arena.(*buffer)
	switch {
	case arena == nil:
		return errors.New("the memory of the plan's arena was freed")
	case !ok || b.dev != p.dev:
		return fmt.Errorf("the plan's arena is of another device (buffer %T)", arena)
	case b.addr == 0:
		return errors.New("the memory of the plan's arena was freed")
	case b.size < p.bytes:
		return fmt.Errorf("the plan needs %d bytes, its arena has %d", p.bytes, b.size)
	}
	if err := p.closeGraph(); err != nil {
		return err
	}
	p.ran, p.captured, p.noGraph = false, false, nil
	for _, m := range p.moving {
		putPtr(p.launches[m.launch].Args[m.at:], b.addr+hiprt.Ptr(m.off))
	}
	mem := p.args.host.Bytes
	for i := range p.launches {
		l := &p.launches[i]
		n := argBytes(l)
		p.dev.rt.Prepare(l, mem[:n:n])
		mem = mem[n:]
	}
	p.bound = gen
	return nil
}

// closeGraph drops what was captured. It runs in the device's turn.
func (p *Plan) closeGraph() error {
	if p.graph == 0 {
		return nil
	}
	g := p.graph
	p.graph = 0
	return p.dev.rt.CloseGraph(g)
}

// Kernels returns, for each node that runs, the node and the name of the kernel that was chosen for it.
func (p *Plan) Kernels() []string {
	names := make([]string, len(p.steps))
	for i, s := range p.steps {
		names[i] = fmt.Sprintf("%v -> %s", s.node, s.kernel)
	}
	return names
}

// Mode says how the plan ran last: "graph", "direct", "direct: " with the reason why capturing failed, or "not run".
// It must not be called while the plan runs.
func (p *Plan) Mode() string {
	mode := "direct"
	err := p.dev.thread.Do(background, func() error {
		switch {
		case p.graph != 0:
			mode = "graph"
		case p.noGraph != nil:
			mode = "direct: " + p.noGraph.Error()
		case !p.ran:
			mode = "not run"
		}
		return nil
	})
	if err != nil {
		return "closed"
	}
	return mode
}

// Close releases the plan's memory, but not an arena that it was given. It may be called more than once.
func (p *Plan) Close() error {
	err := p.dev.thread.Do(background, func() error {
		p.closed = true
		return p.closeGraph()
	})
	if err != nil {
		err = fmt.Errorf("opship: %s: %w", p.dev.info.Name, err)
	}
	if p.own {
		err = errors.Join(err, p.arena.Free())
	}
	for _, b := range []**buffer{&p.args, &p.counters} {
		if *b != nil {
			err = errors.Join(err, (*b).Free())
			*b = nil
		}
	}
	return err
}

// issue enqueues one run on s, with the arena as it was when the run was asked for. It runs in the device's turn.
func (p *Plan) issue(s hiprt.Stream, arena tensor.Buffer, gen uint64) error {
	if p.closed {
		return errors.New("the plan is closed")
	}
	if gen != p.bound {
		if err := p.bind(arena, gen); err != nil {
			return err
		}
	}
	if p.ran && !p.captured {
		p.captured = true
		switch {
		case p.dev.noGraphs != nil:
			p.noGraph = p.dev.noGraphs
		case !p.dev.opt.Direct && len(p.launches) > 1:
			p.capture()
		}
	}
	p.ran = true
	if p.graph != 0 {
		return p.dev.rt.LaunchGraph(p.graph, s)
	}
	return p.launchAll(s)
}

// launchAll issues every launch.
func (p *Plan) launchAll(s hiprt.Stream) error {
	i := 0
	for _, st := range p.steps {
		for range st.launches {
			if err := p.dev.rt.Launch(&p.launches[i], s); err != nil {
				return fmt.Errorf("%s: %v: kernel %s: %w", st.node.Pos, st.node, st.kernel, err)
			}
			i++
		}
	}
	return nil
}

// capture records the launches as a graph. A failure is logged and remembered, since the launches can still be
// issued one by one.
func (p *Plan) capture() {
	d := p.dev
	err := d.rt.BeginCapture(d.service)
	if err == nil {
		lerr := p.launchAll(d.service)
		var g hiprt.Graph
		g, err = d.rt.EndCapture(d.service) // also after a failed launch, to leave capture mode
		if lerr != nil && g != 0 {
			err = errors.Join(err, d.rt.CloseGraph(g))
			g = 0
		}
		if err = errors.Join(lerr, err); err == nil {
			p.graph = g
			return
		}
	}
	p.noGraph = err
	if !p.quiet && !errors.Is(err, hiprt.ErrNoGraphs) {
		d.opt.Log.Warn("kernels are launched one by one: capturing a graph failed", "device", d.info.Name, "launches",
			len(p.launches), "reason", err)
	}
}
