package grammar

import (
	"fmt"
	"math"
)

// limits bound what compiling may take.
type limits struct {
	nodes     int // states of all automata
	nfaStates int // of one rule
	rules     int
	fuel      int // steps of compiling
}

var defaultLimits = limits{nodes: 1 << 16, nfaStates: 1 << 17, rules: 1 << 14, fuel: 16 << 20}

// source is a grammar before it is compiled. Rule 0 is the first.
type source struct {
	rules []*expr
}

// loopExpr is a repetition that is counted while matching.
type loopExpr struct {
	body     *expr
	min, max int // max -1 is no bound
}

// compiler turns rules into the nodes of a [Grammar].
type compiler struct {
	limits  limits
	special func(text string) string // the bytes that stand for a control token
	flat    bool                     // nothing may be counted or called
	fuel    int

	rules   []*expr
	loops   []loopExpr
	inlined []int8 // whether a rule is written into those that refer to it: 0 not yet known, 1 yes, -1 no

	nodes     []node
	starts    []int32 // of the rules
	instances map[callEdge]int32
	loopDefs  []loop
}

// node is a state of a compiled grammar.
type node struct {
	edges   []dfaEdge
	calls   []call
	loops   []int32 // that begin here
	accept  bool    // the rule may end here
	loopEnd int32   // a turn of this loop may end here; -1 for none
}

// call goes on at start, and at ret when that rule has ended; with ret -1, the caller's rule has then ended too.
type call struct{ start, ret int32 }

// loop is a repetition whose turns the state counts.
type loop struct {
	start, after int32
	min, max     int32 // max -1 is no bound
}

// spend uses up fuel.
func (c *compiler) spend(n int) error {
	if c.fuel += n; c.fuel > c.limits.fuel {
		return fmt.Errorf("%w: compiling takes more than %d steps", ErrTooLarge, c.limits.fuel)
	}
	return nil
}

// budget is what is left of the steps of making automata, which all patterns of a grammar share.
type budget struct{ left int }

func newBudget() *budget { return &budget{defaultLimits.fuel} }

// spend uses up steps.
func (b *budget) spend(n int) error {
	if b.left -= n; b.left < 0 {
		return fmt.Errorf("%w: its patterns take more than %d steps", ErrTooLarge, defaultLimits.fuel)
	}
	return nil
}

// regular makes an automaton of an expression without rules.
func (b *budget) regular(e *expr) (*dfa, error) {
	c := &compiler{limits: defaultLimits, special: func(s string) string { return s }, flat: true}
	c.limits.fuel = b.left
	d, err := c.automaton(e, false)
	b.left -= c.fuel
	if err != nil {
		return nil, err
	}
	return d.trim(), nil
}

// automaton makes an automaton of an expression.
func (c *compiler) automaton(e *expr, inLoop bool) (*dfa, error) {
	b := &nfaBuilder{c: c, inLoop: inLoop}
	begin := b.state()
	end, err := b.add(e, begin)
	if err != nil {
		return nil, err
	}
	last := b.state()
	b.free(end, last)
	return b.determinize(begin, last)
}

// inlineSize is the size up to which rules are written into those that refer to them.
const inlineSize = 24

// inline reports whether references to a rule are replaced by the rule.
func (c *compiler) inline(rule int) bool {
	for len(c.inlined) < len(c.rules) {
		c.inlined = append(c.inlined, 0)
	}
	if c.inlined[rule] == 0 {
		c.inlined[rule] = -1 // also while it is being looked at, which ends recursion
		if c.inlinable(c.rules[rule]) {
			c.inlined[rule] = 1
		}
	}
	return c.inlined[rule] > 0
}

// inlinable reports whether an expression is small and refers to rules alone that are.
func (c *compiler) inlinable(e *expr) bool {
	if e.size(inlineSize+1) > inlineSize {
		return false
	}
	for _, s := range e.subs {
		if !c.inlinable(s) {
			return false
		}
	}
	if e.op == opRef {
		return c.inline(e.rule)
	}
	return true
}

// length estimates the states that an expression takes.
func (c *compiler) length(e *expr) int {
	const most = math.MaxInt32 >> 8
	n := 0
	for _, s := range e.subs {
		n = min(n+c.length(s), most)
	}
	switch e.op {
	case opLiteral, opSpecial:
		return len(e.text)
	case opClass:
		return 1 + len(e.ranges)
	case opRepeat:
		return min(max(1, e.min, e.max)*n, most)
	case opRef:
		if c.inline(e.rule) {
			return c.length(c.rules[e.rule])
		}
		return 8
	case opDFA:
		return len(e.dfa.nodes)
	}
	return n
}

// run compiles the rules.
func (c *compiler) run() error {
	c.instances = map[callEdge]int32{}
	needed := []int{0} // rules that are called from elsewhere
	place := map[int]int{0: 0}
	for i := 0; i < len(needed); i++ { // grows
		if len(c.rules) > c.limits.rules {
			return fmt.Errorf("%w: more than %d rules", ErrTooLarge, c.limits.rules)
		}
		d, err := c.automaton(c.rules[needed[i]], false)
		if err != nil {
			return err
		}
		need := func(d *dfa) {
			for _, n := range d.nodes {
				for _, e := range n.calls {
					if _, ok := place[e.index]; !ok {
						place[e.index] = len(needed)
						needed = append(needed, e.index)
					}
				}
			}
		}
		need(d)
		base, err := c.append(d, -1, need)
		if err != nil {
			return err
		}
		c.starts = append(c.starts, base)
	}
	for i := range c.nodes {
		n := &c.nodes[i]
		for j := range n.calls {
			n.calls[j].start = c.starts[place[int(n.calls[j].start)]]
		}
	}
	if err := c.prune(); err != nil {
		return err
	}
	return c.checkRecursion()
}

// append adds the nodes of an automaton, and of the loops in it, and returns the first. loopEnd is the loop whose turn
// it is, or -1. need is called with the automata of loops.
func (c *compiler) append(d *dfa, loopEnd int32, need func(*dfa)) (int32, error) {
	base := int32(len(c.nodes))
	if len(c.nodes)+len(d.nodes) > c.limits.nodes {
		return 0, fmt.Errorf("%w: more than %d states", ErrTooLarge, c.limits.nodes)
	}
	for range d.nodes {
		c.nodes = append(c.nodes, node{loopEnd: -1})
	}
	for i, n := range d.nodes {
		at := base + int32(i)
		out := node{accept: n.accept && loopEnd < 0, loopEnd: -1}
		if n.accept {
			out.loopEnd = loopEnd
		}
		for _, e := range n.edges {
			out.edges = append(out.edges, dfaEdge{e.lo, e.hi, base + e.to})
		}
		for _, e := range n.calls {
			out.calls = append(out.calls, call{start: int32(e.index), ret: base + e.to}) // start becomes a node in run
		}
		for _, e := range n.loops {
			id, err := c.loop(e.index, base+e.to, need)
			if err != nil {
				return 0, err
			}
			out.loops = append(out.loops, id)
		}
		c.nodes[at] = out
	}
	return base, nil
}

// loop returns the loop that goes on at the node after.
func (c *compiler) loop(index int, after int32, need func(*dfa)) (int32, error) {
	key := callEdge{index, after}
	if id, ok := c.instances[key]; ok {
		return id, nil
	}
	id := int32(len(c.loopDefs))
	c.instances[key] = id
	l := c.loops[index]
	c.loopDefs = append(c.loopDefs, loop{after: after, min: int32(l.min), max: int32(l.max)})
	d, err := c.automaton(l.body, true)
	if err != nil {
		return 0, err
	}
	need(d)
	start, err := c.append(d, id, need)
	c.loopDefs[id].start = start
	return id, err
}
