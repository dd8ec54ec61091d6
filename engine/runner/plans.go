package runner

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// planCache keeps the most recently used plans. Their memory is the arena of the runner, so that one costs no more
// than its record and what a device captured of it.
type planCache struct {
	order []cachedPlan // oldest first
	arena uint64       // generation of the arena that they were used with
}

type cachedPlan struct {
	key  planKey
	plan ops.Plan
	uses int // with this arena
}

// planKey says what a plan computes.
type planKey struct {
	models.Sizes
	top    int  // largest logits of each row; 0: all logits
	hidden bool // the hidden state of each row in place of logits
	drafts int  // drafts one after the other; 0: a step of the model itself
	vocab  int  // tokens that drafts are among, the first of all; 0: any
}

// maxPlans bounds the records: prompts of many lengths would otherwise each leave one behind. It holds the sizes in
// powers of two of a step's tokens and sequences, and in powers of four of pages, that a busy server sees.
const maxPlans = 32

func (c *planCache) get(k planKey) ops.Plan {
	for i, e := range c.order {
		if e.key == k {
			e.uses++
			copy(c.order[i:], c.order[i+1:])
			c.order[len(c.order)-1] = e
			return e.plan
		}
	}
	return nil
}

func (c *planCache) put(k planKey, p ops.Plan) error {
	c.order = append(c.order, cachedPlan{k, p, 1})
	if len(c.order) <= maxPlans {
		return nil
	}
	old := c.order[0]
	c.order = append(c.order[:0], c.order[1:]...)
	if err := old.plan.Close(); err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	return nil
}

func (c *planCache) close() error {
	var errs []error
	for _, e := range c.order {
		errs = append(errs, e.plan.Close())
	}
	c.order = nil
	return errors.Join(errs...)
}

// moved tells with which arena plans are used from now on: in another place they start anew.
func (c *planCache) moved(arena uint64) {
	if arena == c.arena {
		return
	}
	c.arena = arena
	for i := range c.order {
		c.order[i].uses = 0
	}
}

// Fresh reports whether the last step, or the last Draft, took longer than another like it would: its plan was compiled
// for it, or had to find its memory anew.
func (r *Runner) Fresh() bool {
	n := len(r.plans.order)
	return n == 0 || r.plans.order[n-1].uses <= 1
}

// outputs returns what a step of the key reads of a graph.
func (k planKey) outputs(g *ops.Graph, out models.Outputs) []ops.Value {
	switch {
	case k.hidden:
		return []ops.Value{out.Hidden}
	case k.top == 0:
		return []ops.Value{out.Result()}
	}
	ids, values := ops.TopK(g, out.Logits, k.top)
	if k.top == 1 {
		return []ops.Value{ids, values}
	}
	return []ops.Value{ids, values, out.Logits} // see Logits
}

// recordPlan records what a plan of the key computes of m.
func (o Options) recordPlan(m models.Model, w models.Weights, states map[string]tensor.Tensor, k planKey) (*ops.Graph,
	[]ops.Value, error) {
	if k.drafts > 0 {
		g, ids, _, err := models.RecordChain(m.(*models.Drafting), w, states, o.Context, k.Sizes, k.drafts,
			k.vocab)
		if err != nil {
			return nil, nil, fmt.Errorf("runner: %w", err)
		}
		g.Invariant = o.Invariant
		return g, ids, nil
	}
	g, out, err := o.record(m, w, states, k.Sizes)
	if err != nil {
		return nil, nil, err
	}
	return g, k.outputs(g, out), nil
}

// plan returns the compiled step of a key.
func (r *Runner) plan(k planKey) (ops.Plan, error) {
	if p := r.plans.get(k); p != nil {
		return p, nil
	}
	o := Options{Context: r.limits.Context, Invariant: r.limits.Invariant}
	g, outs, err := o.recordPlan(r.model, r.weights, r.states, k)
	if err != nil {
		return nil, err
	}
	p, err := r.dev.Compile(g, &r.arena, outs...)
	if errors.Is(err, ops.ErrOutOfMemory) && len(r.plans.order) > 0 {
		// Plans for other sizes can be compiled again when they are needed.
		if err = errors.Join(r.plans.close(), r.arena.Free()); err == nil {
			p, err = r.dev.Compile(g, &r.arena, outs...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("runner: compiling %s for %d tokens: %w", r.model.Params().Arch, k.Tokens, err)
	}
	_, arena := r.arena.Buffer()
	r.plans.moved(arena)
	return p, r.plans.put(k, p)
}
