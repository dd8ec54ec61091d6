package grammar

import (
	"fmt"
	"slices"
)

// Matcher follows one text through a grammar, token by token. It serves one goroutine.
type Matcher struct {
	g     *Grammar
	at    *state
	ended bool // by an end-of-generation token
}

// NewMatcher returns a matcher at the beginning of a text.
func (g *Grammar) NewMatcher() *Matcher {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &Matcher{g: g, at: g.closure(config{node: g.start})}
}

// Clone returns a matcher at the same place.
func (m *Matcher) Clone() *Matcher {
	c := *m
	return &c
}

// Complete reports whether the text may end here.
func (m *Matcher) Complete() bool { return m.ended || m.at.final }

// Mask returns the tokens that may come next, a bit for each id; end-of-generation tokens are among them where the
// text may end. The slice is shared and must not be changed. The error wraps [ErrNoToken] if there is none.
func (m *Matcher) Mask() ([]uint64, error) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	if m.at.tooMany {
		return nil, fmt.Errorf("%w: more than %d readings", ErrAmbiguous, maxConfigs)
	}
	if m.ended {
		return nil, fmt.Errorf("%w: the text has ended", ErrNoToken)
	}
	m.refresh()
	mask, err := m.g.mask(m.at)
	if err != nil {
		return nil, err
	}
	if count(mask) == 0 {
		return nil, ErrNoToken
	}
	return mask, nil
}

// refresh keeps the number of states within bounds.
func (m *Matcher) refresh() {
	if len(m.g.states) > maxStates || len(m.g.frames) > 4*maxStates {
		m.g.forget()
	}
	m.at = m.g.current(m.at)
}

// Accept goes on by a token. The error wraps [ErrRejected] if the token does not fit; the matcher then stays where it
// is.
func (m *Matcher) Accept(id int32) error {
	if id < 0 || int(id) >= len(m.g.vocab.tokens) {
		return fmt.Errorf("%w: %d is outside the vocabulary of %d tokens", ErrRejected, id, len(m.g.vocab.tokens))
	}
	if m.ended {
		return fmt.Errorf("%w: token %d comes behind the end", ErrRejected, id)
	}
	if slices.Contains(m.g.vocab.eog, id) {
		if !m.at.final {
			return fmt.Errorf("%w: the text cannot end here", ErrRejected)
		}
		m.ended = true
		return nil
	}
	text := m.g.vocab.bytesOf(id)
	if len(text) == 0 {
		return fmt.Errorf("%w: token %d has no text", ErrRejected, id)
	}
	return m.acceptBytes(text)
}

func (m *Matcher) acceptBytes(text []byte) error {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	m.refresh()
	s := m.at
	for i, b := range text {
		if s = m.g.step(s, b); s.isDead() {
			return fmt.Errorf("%w: %q, at byte %d", ErrRejected, text, i)
		}
	}
	m.at = s
	return nil
}

// AcceptText goes on by a text, whatever tokens spell it. Control tokens are not in it.
func (m *Matcher) AcceptText(text string) error {
	if m.ended {
		return fmt.Errorf("%w: text behind the end", ErrRejected)
	}
	return m.acceptBytes([]byte(text))
}

// maxForced bounds the bytes that Forced looks ahead.
const maxForced = 4096

// ForcedText returns the bytes that must come next, in which a control token is spelled as the grammar sees it.
func (m *Matcher) forcedBytes() (text []byte, end bool) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	m.refresh()
	s := m.at
	for len(text) < maxForced && !s.final && !s.tooMany {
		b, ok := m.g.only(s)
		if !ok {
			break
		}
		text = append(text, b)
		s = m.g.step(s, b)
	}
	return text, s.final && len(s.configs) == 0
}

// only returns the byte that must come at s, if there is one.
func (g *Grammar) only(s *state) (b byte, ok bool) {
	for _, at := range s.configs {
		edges := g.nodes[at.node].edges
		if len(edges) > 1 || edges[0].lo != edges[0].hi || ok && edges[0].lo != b {
			return 0, false
		}
		b, ok = edges[0].lo, true
	}
	return b, ok
}

// Forced returns the tokens that must come next, which are not accepted yet: those of the bytes without a choice, as
// far as no token that the model may prefer reaches beyond them, and the end-of-generation token where nothing else
// can follow.
func (m *Matcher) Forced() []int32 {
	if m.ended || m.at.isDead() {
		return nil
	}
	text, end := m.forcedBytes()
	ids := []int32{}
	for len(text) > 0 {
		if text[0] == controlMark {
			if len(text) < 4 {
				return ids
			}
			ids = append(ids, int32(text[1])<<16|int32(text[2])<<8|int32(text[3]))
			text = text[4:]
			continue
		}
		n := slices.Index(text, controlMark)
		closed := n >= 0 || end // no token reaches beyond the text
		if n < 0 {
			n = len(text)
		}
		part, whole := m.g.vocab.split(text[:n], closed)
		if ids = append(ids, part...); !whole {
			return ids
		}
		text = text[n:]
	}
	if end && len(m.g.vocab.eog) > 0 {
		ids = append(ids, m.g.vocab.eog[0])
	}
	return ids
}

// split returns the tokens of a text. Unless it is closed they end before one that is the beginning of a longer one
// with what may follow. whole says if they are all.
func (v *Vocabulary) split(text []byte, closed bool) (ids []int32, whole bool) {
	if v.encode == nil {
		return nil, false
	}
	all, err := v.encode(string(text))
	if err != nil {
		return nil, false
	}
	at := 0
	for i, id := range all {
		if id < 0 || int(id) >= len(v.tokens) || v.tokens[id].Control {
			return nil, false
		}
		if !closed && v.reachesBeyond(text[at:]) {
			return all[:i], false
		}
		b := v.tokens[id].Bytes
		if len(b) == 0 || at+len(b) > len(text) || string(text[at:at+len(b)]) != string(b) {
			return nil, false // a tokenizer that does not give the text back, such as one that puts a space before it
		}
		at += len(b)
	}
	return all, at == len(text)
}

// reachesBeyond reports whether a token is text and more.
func (v *Vocabulary) reachesBeyond(text []byte) bool {
	if len(text) > v.longest {
		return false
	}
	n := int32(0)
	for _, b := range text {
		if n = v.trie.child(n, b); n < 0 {
			return false
		}
	}
	return v.trie.end[n] > n+1
}
