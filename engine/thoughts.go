package engine

import (
	"strings"
)

// Thoughts bound how many tokens a sequence may think. They are told from the answer by the markers in its text.
type Thoughts struct {
	Budget  int      // tokens; 0 ends thoughts where they begin
	Open    bool     // the prompt ends within thoughts
	Opener  string   // text with which they begin
	Closers []string // texts of which each ends them
	End     []int32  // tokens that end them where the budget is used up
}

// thinking follows the thoughts of one sequence.
type thinking struct {
	Thoughts
	open  bool
	used  int    // tokens of thoughts so far
	tail  string // end of the text, in which a marker may begin
	mute  int    // tokens in a row without text: a character is not complete, and a marker would break it
	marks int    // bytes of the longest marker
}

// maxMute is how many tokens a character can take before its last.
const maxMute = 3

func newThinking(t *Thoughts) *thinking {
	if t == nil {
		return nil
	}
	k := &thinking{Thoughts: *t, open: t.Open, marks: len(t.Opener)}
	for _, c := range t.Closers {
		k.marks = max(k.marks, len(c))
	}
	return k
}

// take goes on by a token, whose text is what the decoder made of it.
func (k *thinking) take(text string) {
	if k.open {
		k.used++
	}
	if k.mute++; text != "" {
		k.mute = 0
	}
	k.tail += text
	for {
		markers := []string{k.Opener}
		if k.open {
			markers = k.Closers
		}
		rest, found := after(k.tail, markers)
		if !found {
			break
		}
		k.open, k.tail = !k.open, rest
	}
	k.tail = k.tail[max(0, len(k.tail)-k.marks+1):]
}

// after returns what follows the marker that ends first in text.
func after(text string, markers []string) (rest string, found bool) {
	at := len(text) + 1
	for _, m := range markers {
		if i := strings.Index(text, m); m != "" && i >= 0 {
			at = min(at, i+len(m))
		}
	}
	if at > len(text) {
		return "", false
	}
	return text[at:], true
}

// over reports whether the budget is used up and thoughts can be ended here.
func (k *thinking) over() bool {
	return k.open && k.used >= k.Budget && (k.mute == 0 || k.mute > maxMute || k.used == 0)
}
