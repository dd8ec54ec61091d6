package grammar

import "fmt"

// nfa is a nondeterministic automaton over bytes, in which a step may also be a call of a rule or a counted loop.
type nfa struct{ states []nfaState }

type nfaState struct {
	free  []int32 // states that are reached without reading anything
	edges []nfaEdge
}

// kinds of what an edge reads.
type edgeKind uint8

const (
	readByte edgeKind = iota
	readRule          // what the rule matches
	readLoop          // what the counted loop matches
)

type nfaEdge struct {
	kind   edgeKind
	lo, hi byte
	index  int // of the rule or loop
	to     int32
}

// unrollLimit is the number of states up to which a repetition is written out; longer ones are counted.
const unrollLimit = 128

// nfaBuilder writes expressions into an automaton.
type nfaBuilder struct {
	c      *compiler
	n      nfa
	inLoop bool // a further loop becomes a rule: a frame has one counter
}

func (b *nfaBuilder) state() int32 {
	b.n.states = append(b.n.states, nfaState{})
	return int32(len(b.n.states) - 1)
}

func (b *nfaBuilder) free(from, to int32) {
	s := &b.n.states[from]
	s.free = append(s.free, to)
}

func (b *nfaBuilder) edge(from int32, e nfaEdge) {
	s := &b.n.states[from]
	s.edges = append(s.edges, e)
}

// add writes e behind the state from and returns the state at its end.
func (b *nfaBuilder) add(e *expr, from int32) (int32, error) {
	if err := b.c.spend(1 + len(e.ranges)); err != nil {
		return 0, err
	}
	if len(b.n.states) > b.c.limits.nfaStates {
		return 0, fmt.Errorf("%w: a rule needs more than %d states", ErrTooLarge, b.c.limits.nfaStates)
	}
	switch e.op {
	case opNever:
		return b.state(), nil // which nothing reaches
	case opEmpty:
		return from, nil
	case opLiteral:
		return b.bytes(e.text, from), nil
	case opSpecial:
		return b.bytes(b.c.special(e.text), from), nil
	case opClass:
		to := b.state()
		for _, r := range e.ranges {
			utf8Sequences(r.lo, r.hi, func(seq []byteRange) {
				at := from
				for i, br := range seq {
					next := to
					if i < len(seq)-1 {
						next = b.state()
					}
					b.edge(at, nfaEdge{kind: readByte, lo: br.lo, hi: br.hi, to: next})
					at = next
				}
			})
		}
		return to, nil
	case opSeq:
		var err error
		for _, s := range e.subs {
			if from, err = b.add(s, from); err != nil {
				return 0, err
			}
		}
		return from, nil
	case opAlt:
		to := b.state()
		for _, s := range e.subs {
			begin := b.state()
			b.free(from, begin)
			end, err := b.add(s, begin)
			if err != nil {
				return 0, err
			}
			b.free(end, to)
		}
		return to, nil
	case opRepeat:
		return b.repeat(e, from)
	case opRef:
		if b.c.inline(e.rule) {
			return b.add(b.c.rules[e.rule], from)
		}
		to := b.state()
		b.edge(from, nfaEdge{kind: readRule, index: e.rule, to: to})
		return to, nil
	default: // opDFA
		return b.automaton(e.dfa, from), nil
	}
}

func (b *nfaBuilder) bytes(text string, from int32) int32 {
	for i := range len(text) {
		to := b.state()
		b.edge(from, nfaEdge{kind: readByte, lo: text[i], hi: text[i], to: to})
		from = to
	}
	return from
}

// repeat writes short repetitions out and leaves long ones to a counter.
func (b *nfaBuilder) repeat(e *expr, from int32) (int32, error) {
	times := max(e.min, e.max)
	if times > 1 && !b.c.flat && b.c.length(e.subs[0])*times > unrollLimit {
		to := b.state()
		if b.inLoop {
			b.c.rules = append(b.c.rules, e)
			b.edge(from, nfaEdge{kind: readRule, index: len(b.c.rules) - 1, to: to})
			return to, nil
		}
		b.c.loops = append(b.c.loops, loopExpr{e.subs[0], e.min, e.max})
		b.edge(from, nfaEdge{kind: readLoop, index: len(b.c.loops) - 1, to: to})
		return to, nil
	}
	var err error
	for range e.min {
		if from, err = b.add(e.subs[0], from); err != nil {
			return 0, err
		}
	}
	to := b.state()
	if e.max < 0 {
		head := b.state()
		b.free(from, head)
		end, err := b.add(e.subs[0], head)
		if err != nil {
			return 0, err
		}
		b.free(end, head)
		b.free(head, to)
		return to, nil
	}
	for range e.max - e.min {
		b.free(from, to)
		begin := b.state() // a state of its own, so that what loops at its end stays there
		b.free(from, begin)
		if from, err = b.add(e.subs[0], begin); err != nil {
			return 0, err
		}
	}
	b.free(from, to)
	return to, nil
}

// automaton writes a copy of d.
func (b *nfaBuilder) automaton(d *dfa, from int32) int32 {
	base := int32(len(b.n.states))
	for range d.nodes {
		b.state()
	}
	to := b.state()
	for i, n := range d.nodes {
		at := base + int32(i)
		for _, e := range n.edges {
			b.edge(at, nfaEdge{kind: readByte, lo: e.lo, hi: e.hi, to: base + e.to})
		}
		if n.accept {
			b.free(at, to)
		}
	}
	b.free(from, base)
	return to
}
