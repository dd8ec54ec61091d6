package grammar

import (
	"fmt"
	"math/bits"
)

// partial is what one config makes of the tokens, whoever called its rule: those that end within the rule or at its
// end, and the nodes of the trie at which the rule ends and tokens go on.
type partial struct {
	ids   []int32  // tokens, if they are few
	bits  []uint64 // else a bit for each
	exits []int32
}

func (p *partial) bytes() int64 { return int64(len(p.ids)*4+len(p.bits)*8+len(p.exits)*4) + 64 }

// fewIDs is the number of tokens up to which they are listed.
const fewIDs = 256

// partialKey finds a partial.
type partialKey struct {
	g           *Grammar
	node, count int32
}

// sameCount returns a count that every token treats as it does this one, since its loop's bounds are farther away
// than a token is long.
func (g *Grammar) sameCount(l *loop, count int32) int32 {
	far := int32(min(g.vocab.longest, 1<<20)) + 1
	switch {
	case l.max < 0 && l.min-count > far:
		return 0
	case l.max < 0:
		return count
	case l.min-count > far: // then the upper bound is far, too
		return 0
	case count >= l.min && l.max-count > far:
		return l.min
	}
	return count
}

// loopOfNodes returns for each node the loop whose turns its count is of, or -1.
func (g *Grammar) loopOfNodes() []int32 {
	of := make([]int32, len(g.nodes))
	for i := range of {
		of[i] = -1
	}
	mark := func(n, l int32) {
		for stack := []int32{n}; len(stack) > 0; {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if of[at] == l {
				continue
			}
			of[at] = l
			for _, e := range g.nodes[at].edges {
				stack = append(stack, e.to)
			}
			for _, e := range g.nodes[at].calls {
				if e.ret >= 0 {
					stack = append(stack, e.ret)
				}
			}
		}
	}
	for i, l := range g.loops {
		if l.max != 0 {
			mark(l.start, int32(i))
		}
	}
	return of
}

// partial returns what a config makes of the tokens.
func (g *Grammar) partial(at config) *partial {
	count := at.count
	if l := g.inLoop[at.node]; l >= 0 {
		count = g.sameCount(&g.loops[l], count)
	}
	key := partialKey{g, at.node, count}
	if p, ok := g.vocab.masks.get(key).(*partial); ok {
		return p
	}
	p := &partial{}
	start := g.closure(config{at.node, count, nil})
	g.walk(0, start, func(n int32, s *state) {
		if s.final && g.vocab.trie.end[n] > n+1 {
			p.exits = append(p.exits, n)
		}
	}, func(id int32) {
		if p.bits == nil {
			if p.ids = append(p.ids, id); len(p.ids) > fewIDs {
				p.bits = make([]uint64, (len(g.vocab.tokens)+63)/64)
				for _, id := range p.ids {
					p.bits[id/64] |= 1 << (id % 64)
				}
				p.ids = nil
			}
			return
		}
		p.bits[id/64] |= 1 << (id % 64)
	})
	if g.budget >= 0 {
		g.vocab.masks.put(key, p, p.bytes())
	}
	return p
}

// walk goes through the trie below node n, at which the state is s. It calls visit at each node at which the text
// fits, and token for each token that does.
func (g *Grammar) walk(n int32, s *state, visit func(n int32, s *state), token func(id int32)) {
	t := &g.vocab.trie
	base := t.depthOf(n)
	if len(g.path) <= t.rows {
		g.path = make([]*state, t.rows+1)
	}
	g.path[base] = s
	for i := n + 1; i < t.end[n] && g.budget >= 0; {
		g.budget--
		d := t.depthOf(i)
		to := g.step(g.path[d-1], t.bytes[i])
		if to == dead {
			i = t.end[i]
			continue
		}
		g.path[d] = to
		if id := t.token[i]; id >= 0 {
			token(id)
			if more := t.more; len(more) > 0 {
				for _, id := range more[i] {
					token(id)
				}
			}
		}
		if visit != nil {
			visit(i, to)
		}
		i++
	}
}

// mask returns the tokens that may come at s, a bit for each.
func (g *Grammar) mask(s *state) ([]uint64, error) {
	if m, ok := g.vocab.masks.get(s).([]uint64); ok {
		return m, nil
	}
	g.budget = maxWork
	m := make([]uint64, (len(g.vocab.tokens)+63)/64)
	set := func(id int32) { m[id/64] |= 1 << (id % 64) }
	for _, at := range s.configs {
		p := g.partial(at)
		for _, id := range p.ids {
			set(id)
		}
		for i, w := range p.bits {
			m[i] |= w
		}
		if at.frame == nil || len(p.exits) == 0 {
			continue
		}
		behind := g.closure(config{at.frame.ret, at.frame.count, at.frame.parent})
		for _, n := range p.exits {
			g.walk(n, behind, nil, set)
		}
	}
	if s.final {
		for _, id := range g.vocab.eog {
			set(id)
		}
	}
	if g.budget < 0 {
		return nil, fmt.Errorf("%w: a mask takes more than %d steps", ErrAmbiguous, maxWork)
	}
	g.vocab.masks.put(s, m, int64(len(m)*8)+64)
	return m, nil
}

// count returns the number of tokens in a mask.
func count(mask []uint64) int {
	n := 0
	for _, w := range mask {
		n += bits.OnesCount64(w)
	}
	return n
}
