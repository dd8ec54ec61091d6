package roofline

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_hip/limits"
)

// sampledGroups is how many workgroups of a launch are executed; the others are taken to do the same.
const sampledGroups = 32

// coster says what launches of a model cost on a GPU. Launches of one kernel with the same sizes are executed once.
type coster struct {
	dev     *opship.Device
	gpu     limits.GPU
	experts int
	sampler *opship.Sampler
	known   map[string][]limits.Work // by node
}

func newCoster(dev *opship.Device, g limits.GPU, m declaredModel) (*coster, error) {
	s, err := opship.NewSampler(dev, sampledGroups)
	return &coster{dev, g, m.experts, s, map[string][]limits.Work{}}, err
}

func (c *coster) close() error { return c.sampler.Close() }

// node returns what each of the launches of a node executes; bytes are those of traffic.
func (c *coster) node(p plan, ls []opship.Planned) ([]limits.Work, error) {
	var key strings.Builder
	fmt.Fprintf(&key, "%d %d", p.context, p.seqs)
	for _, l := range ls {
		fmt.Fprintf(&key, " %s %v %x", l.Launch.Symbol, l.Launch.Grid, l.Launch.Args.Scalars())
		for _, v := range l.Launch.Args.Values() {
			fmt.Fprintf(&key, " %v", v.Type())
		}
	}
	if ws, ok := c.known[key.String()]; ok {
		return ws, nil
	}
	counted, err := c.sampler.Node(ls, stepContents(p.index, c.experts))
	if err != nil {
		return nil, err
	}
	var ws []limits.Work
	for i, k := range counted {
		groups := 1.0
		for _, n := range ls[i].Launch.Grid {
			groups *= float64(max(1, n))
		}
		w := k.Work().Times(groups / float64(k.Workgroups))
		if w.Bytes, err = p.moved(ls[i]); err != nil {
			return nil, err
		}
		ws = append(ws, w)
	}
	c.known[key.String()] = ws
	return ws, nil
}

// cost is what the launches of a kernel, or all of a plan, need at least, in seconds, one after the other as a stream
// runs them.
type cost struct {
	launches   int
	least      float64 // where matrix and vector instructions overlap if the GPU may do that
	apart      float64 // where they share the unit
	achievable float64 // least, with memory at the rate that it has been seen to reach
	binds      map[limits.Resource]float64
}

func (c *cost) add(w limits.Work, g limits.GPU) {
	if c.binds == nil {
		c.binds = map[limits.Resource]float64{}
	}
	b := w.Bound(g, true)
	c.launches++
	c.least += b.Seconds()
	c.achievable += b.Achievable(g)
	c.apart += w.Bound(g, false).Seconds()
	c.binds[b.Binding()] += b.Seconds()
}

// list says what binds for how long: "memory 5.12 ms, issue 0.30 ms".
func (c cost) list() string {
	var parts []string
	for _, r := range []limits.Resource{limits.Memory, limits.Issue, limits.L0, limits.LDS, limits.Latency} {
		if t := c.binds[r]; t > 0 {
			parts = append(parts, fmt.Sprintf("%s %.3f ms", r, 1e3*t))
		}
	}
	return strings.Join(parts, ", ")
}

// planCost is what the launches of a plan need.
type planCost struct {
	all     cost
	symbols map[string]*cost
}

// plan returns what the launches of p need.
func (c *coster) plan(ctx context.Context, p plan) (planCost, error) {
	t := planCost{symbols: map[string]*cost{}}
	for ls := p.launches; len(ls) > 0; {
		if err := ctx.Err(); err != nil {
			return t, err
		}
		n := 1
		for n < len(ls) && ls[n].Node == ls[0].Node {
			n++
		}
		ws, err := c.node(p, ls[:n])
		if err != nil {
			return t, err
		}
		for i, w := range ws {
			symbol := ls[i].Launch.Symbol
			if t.symbols[symbol] == nil {
				t.symbols[symbol] = &cost{}
			}
			t.symbols[symbol].add(w, c.gpu)
			t.all.add(w, c.gpu)
		}
		ls = ls[n:]
	}
	return t, nil
}

// write prints the bound of a step of so many tokens, and of each kernel if each is true.
func (t planCost) write(w io.Writer, g limits.GPU, name string, s step, each bool) {
	launch := 1e-6 * g.LaunchMicro * float64(t.all.launches)
	rate := func(seconds float64) float64 { return float64(s.tokens) / (seconds + launch) }
	apart := ""
	if t.all.apart > t.all.least {
		apart = fmt.Sprintf(", %.1f if matrix and vector instructions share the unit", rate(t.all.apart))
	}
	fmt.Fprintf(w, "%s\tbound/%s\t%s\t≤ %.1f token/s (%.1f with achievable memory%s)\t%.3f ms: launches %.3f ms, %s\t[%s]\n",
		g.Name, name, s.name, rate(t.all.least), rate(t.all.achievable), apart, 1e3*(t.all.least+launch), 1e3*launch,
		t.all.list(), limits.Label)
	if !each {
		return
	}
	symbols := slices.SortedFunc(maps.Keys(t.symbols), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.symbols[b].least, t.symbols[a].least), cmp.Compare(a, b))
	})
	for _, symbol := range symbols {
		c := t.symbols[symbol]
		fmt.Fprintf(w, "%s\tbound/%s\t%s\t%d x %s\t%.3f ms: %s\t[%s]\n", g.Name, name, s.name, c.launches, symbol,
			1e3*c.least, c.list(), limits.Label)
	}
}
