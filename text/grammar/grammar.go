package grammar

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// Grammar is a set of texts over a vocabulary. It may be used by many matchers, in several goroutines.
type Grammar struct {
	vocab  *Vocabulary
	nodes  []node
	loops  []loop
	start  int32
	inLoop []int32 // for each node, the loop that it is in a turn of, or -1

	class   [256]uint8 // bytes that every node treats alike have one class
	classes int

	mu         sync.Mutex
	frames     map[frameKey]*frame
	states     map[string]*state
	serial     uint64 // of the last frame
	generation uint64 // of the states
	key        []byte
	path       []*state // of a walk over the trie
	budget     int      // steps that the mask being made may still take
}

// Bounds of matching.
const (
	maxDepth   = 512     // rules within rules; deeper ones are not entered
	maxConfigs = 1024    // ways to read a text at once
	maxStates  = 1 << 14 // that are kept
	maxWork    = 1 << 26 // steps that one mask may take
)

// newGrammar compiles a source over a vocabulary.
func newGrammar(s source, v *Vocabulary) (*Grammar, error) {
	c := &compiler{limits: defaultLimits, special: v.special, rules: slices.Clone(s.rules)}
	if err := c.run(); err != nil {
		return nil, err
	}
	g := &Grammar{vocab: v, nodes: c.nodes, loops: c.loopDefs, start: c.starts[0]}
	var cut [257]bool
	for _, n := range g.nodes {
		for _, e := range n.edges {
			cut[e.lo], cut[int(e.hi)+1] = true, true
		}
	}
	for b := range 256 {
		if b > 0 && cut[b] {
			g.classes++
		}
		g.class[b] = uint8(g.classes)
	}
	g.classes++
	g.inLoop = g.loopOfNodes()
	g.forget()
	return g, nil
}

// forget drops all states. Matchers keep theirs.
func (g *Grammar) forget() {
	g.frames, g.states = map[frameKey]*frame{}, map[string]*state{}
	g.generation++
}

// frame is a rule that has called another: where it goes on, the turns of the loop that it is in, and who called it.
type frame struct {
	id     uint64 // no two frames of a grammar have the same
	ret    int32
	count  int32
	parent *frame // nil for the first rule
	depth  int
}

type frameKey struct {
	ret, count int32
	parent     uint64
}

func (f *frame) number() uint64 {
	if f == nil {
		return 0
	}
	return f.id
}

// push returns the frame of a call.
func (g *Grammar) push(ret, count int32, parent *frame) *frame {
	key := frameKey{ret, count, parent.number()}
	f := g.frames[key]
	if f == nil {
		g.serial++
		f = &frame{id: g.serial, ret: ret, count: count, parent: parent, depth: 1}
		if parent != nil {
			f.depth += parent.depth
		}
		g.frames[key] = f
	}
	return f
}

// config is a way to read a text: a node, the turns of its loop, and who called its rule.
type config struct {
	node, count int32
	frame       *frame
}

// state is all ways to read a text.
type state struct {
	configs    []config // whose nodes read bytes, in a fixed order
	final      bool     // the text may end here
	tooMany    bool     // there are more ways than the limit: an error
	generation uint64
	next       []*state // by class of bytes; nil is not yet known
}

// dead is the state of a text that fits no more.
var dead = &state{}

func (s *state) isDead() bool { return len(s.configs) == 0 && !s.final && !s.tooMany }

// closer collects what is reached without reading.
type closer struct {
	g     *Grammar
	seen  map[config]bool
	out   []config
	final bool
	full  bool
}

func (c *closer) visit(at config) {
	if c.full || c.seen[at] {
		return
	}
	if len(c.seen) >= maxConfigs {
		c.full = true
		return
	}
	c.seen[at] = true
	n := &c.g.nodes[at.node]
	if len(n.edges) > 0 {
		c.out = append(c.out, at)
	}
	if n.accept {
		if at.frame == nil {
			c.final = true
		} else {
			c.visit(config{at.frame.ret, at.frame.count, at.frame.parent})
		}
	}
	if n.loopEnd >= 0 {
		c.turn(n.loopEnd, at.count+1, at.frame)
	}
	for _, e := range n.calls {
		f := at.frame
		if e.ret >= 0 {
			if f != nil && f.depth >= maxDepth {
				continue
			}
			f = c.g.push(e.ret, at.count, f)
		}
		c.visit(config{e.start, 0, f})
	}
	for _, l := range n.loops {
		c.turn(l, 0, at.frame)
	}
}

// turn is a loop with count turns behind it.
func (c *closer) turn(index, count int32, f *frame) {
	l := &c.g.loops[index]
	if l.max < 0 {
		count = min(count, l.min)
	}
	if count >= l.min {
		c.visit(config{l.after, 0, f})
	}
	if l.max < 0 || count < l.max {
		c.visit(config{l.start, count, f})
	}
}

// closure returns the state of configs and of what they reach.
func (g *Grammar) closure(configs ...config) *state {
	c := closer{g: g, seen: make(map[config]bool, len(configs))}
	for _, at := range configs {
		c.visit(at)
	}
	if len(c.out) == 0 && !c.final && !c.full {
		return dead
	}
	slices.SortFunc(c.out, func(a, b config) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.count, b.count),
			cmp.Compare(a.frame.number(), b.frame.number()))
	})
	g.key = g.key[:0]
	for _, at := range c.out {
		g.key = binary.LittleEndian.AppendUint32(g.key, uint32(at.node))
		g.key = binary.LittleEndian.AppendUint32(g.key, uint32(at.count))
		g.key = binary.LittleEndian.AppendUint64(g.key, at.frame.number())
	}
	g.key = append(g.key, flag(c.final)|flag(c.full)<<1)
	s := g.states[string(g.key)]
	if s == nil {
		s = &state{configs: c.out, final: c.final, tooMany: c.full, generation: g.generation}
		g.states[string(g.key)] = s
	}
	return s
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// current returns s as a state of the present generation.
func (g *Grammar) current(s *state) *state {
	if s.generation == g.generation || s == dead {
		return s
	}
	moved := map[*frame]*frame{nil: nil}
	var move func(f *frame) *frame
	move = func(f *frame) *frame {
		to, ok := moved[f]
		if !ok {
			to = g.push(f.ret, f.count, move(f.parent))
			moved[f] = to
		}
		return to
	}
	configs := make([]config, len(s.configs))
	for i, at := range s.configs {
		configs[i] = config{at.node, at.count, move(at.frame)}
	}
	n := g.closure(configs...)
	if s.final && !n.final { // what made it final reads no bytes, and so is no config
		n = g.withFinal(n)
	}
	return n
}

// withFinal returns s as a state at which the text may end.
func (g *Grammar) withFinal(s *state) *state {
	return &state{configs: s.configs, final: true, tooMany: s.tooMany, generation: g.generation}
}

// step returns the state behind a byte.
func (g *Grammar) step(s *state, b byte) *state {
	class := g.class[b]
	if s.next == nil {
		if s == dead {
			return dead
		}
		s.next = make([]*state, g.classes)
	}
	if n := s.next[class]; n != nil {
		return n
	}
	g.budget -= 16 * len(s.configs)
	var to []config
	for _, at := range s.configs {
		for _, e := range g.nodes[at.node].edges {
			if b < e.lo {
				break
			}
			if b <= e.hi {
				to = append(to, config{e.to, at.count, at.frame})
				break
			}
		}
	}
	n := dead
	if len(to) > 0 {
		n = g.closure(to...)
	}
	s.next[class] = n
	return n
}

// Vocabulary returns the vocabulary of the grammar.
func (g *Grammar) Vocabulary() *Vocabulary { return g.vocab }

// String says how large the grammar is.
func (g *Grammar) String() string {
	return fmt.Sprintf("grammar of %d states and %d loops", len(g.nodes), len(g.loops))
}
