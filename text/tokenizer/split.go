package tokenizer

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// SplitKind names a way to split text into words.
type SplitKind int

// Kinds of splits.
const (
	SplitRegex       SplitKind = iota // at matches of the regular expression Pattern; unknown ones are slow
	SplitLiteral                      // at occurrences of the text Pattern
	SplitMetaspace                    // spaces become Pattern (U+2581), which Prefix may also put in front
	SplitPrefixSpace                  // no split: put a space before a piece that does not begin with one
)

// Behavior says what becomes of the matches of a split, in the terms of Hugging Face tokenizers.
type Behavior int

// Behaviors of splits.
const (
	Isolated           Behavior = iota // each match and each gap between matches is a piece
	MatchesOnly                        // each match is a piece, gaps are dropped (Removed with invert)
	Removed                            // each gap is a piece, matches are dropped
	MergedWithPrevious                 // a match joins the gap before it
	MergedWithNext                     // a match joins the gap after it
	Contiguous                         // as Isolated, and matches that touch are one piece
)

// PrefixScheme says where SplitMetaspace puts its prefix: only before pieces that do not begin with it.
type PrefixScheme int

// Prefix schemes.
const (
	PrefixNever  PrefixScheme = iota
	PrefixFirst               // before the piece that begins the text
	PrefixAlways              // before each piece
)

// Split is one step of pre-tokenization. Steps apply in turn, each to the pieces of the one before.
type Split struct {
	Kind     SplitKind
	Pattern  string
	Behavior Behavior     // SplitRegex and SplitLiteral; for SplitMetaspace MergedWithNext splits, Isolated does not
	Prefix   PrefixScheme // SplitMetaspace
}

// stage is a Split made ready.
type stage struct {
	Split
	match   matcher
	pattern *pattern // in place of match, for patterns without one
}

func newStage(s Split) (stage, error) {
	st := stage{Split: s}
	switch s.Kind {
	case SplitRegex:
		if s.Behavior < Isolated || s.Behavior > Contiguous {
			return st, fmt.Errorf("tokenizer: split pattern %q: unknown behavior %d", clip(s.Pattern), s.Behavior)
		}
		if m, ok := lookupPattern(s.Pattern); ok {
			st.match = m
			break
		}
		var err error
		if st.pattern, err = newPattern(s.Pattern); err != nil {
			return st, err
		}
	case SplitLiteral, SplitMetaspace:
		if s.Pattern == "" || !utf8.ValidString(s.Pattern) {
			return st, fmt.Errorf("tokenizer: split at %q, which is no text", s.Pattern)
		}
		if s.Behavior < Isolated || s.Behavior > Contiguous {
			return st, fmt.Errorf("tokenizer: split at %q: unknown behavior %d", s.Pattern, s.Behavior)
		}
		lit := s.Pattern
		st.match = func(_ *classTable, s string, i int) int {
			if strings.HasPrefix(s[i:], lit) {
				return i + len(lit)
			}
			return i
		}
	case SplitPrefixSpace:
	default:
		return st, fmt.Errorf("tokenizer: unknown split kind %d", s.Kind)
	}
	return st, nil
}

// splitFrom applies the stages from number n on to s and encodes the words. first says that s begins the text. After
// an error, which is in e.err, nothing more is done.
func (e *encoder) splitFrom(n int, s string, first bool) {
	if s == "" || e.err != nil {
		return
	}
	if n == len(e.t.stages) {
		if e.t.cutAtMarks {
			e.markedWords(s)
		} else {
			e.word(s)
		}
		return
	}
	st := &e.t.stages[n]
	switch st.Kind {
	case SplitPrefixSpace:
		if s[0] != ' ' {
			s = " " + s
		}
		e.splitFrom(n+1, s, first)
		return
	case SplitMetaspace:
		s = strings.ReplaceAll(s, " ", st.Pattern)
		if (st.Prefix == PrefixAlways || st.Prefix == PrefixFirst && first) && !strings.HasPrefix(s, st.Pattern) {
			s = st.Pattern + s
		}
		if st.Behavior == Isolated {
			e.splitFrom(n+1, s, first)
			return
		}
	}
	switch {
	case st.pattern == nil && (st.Behavior == Isolated || st.Behavior == MatchesOnly):
		begin := 0
		for i := 0; i < len(s); {
			end := st.match(e.classes, s, i)
			if end == i {
				_, _, w := e.classes.at(s, i)
				i += w
				continue
			}
			if st.Behavior == Isolated {
				e.splitFrom(n+1, s[begin:i], first && begin == 0)
			}
			e.splitFrom(n+1, s[i:end], first && i == 0)
			i, begin = end, end
		}
		if st.Behavior == Isolated {
			e.splitFrom(n+1, s[begin:], first && begin == 0)
		}
	default:
		for _, p := range st.pieces(e, s) {
			e.splitFrom(n+1, s[p.begin:p.end], first && p.begin == 0)
		}
	}
}

// span is a part of a text, in bytes.
type span struct {
	begin, end int
	match      bool
}

// spans returns the matches in s and the gaps between them.
func (st *stage) spans(e *encoder, s string) []span {
	if st.pattern != nil {
		if e.deadline.IsZero() {
			e.deadline = time.Now().Add(maxSplitTime + time.Duration(e.size)*splitTimePerByte)
		}
		var spans []span
		spans, e.err = st.pattern.spans(s, e.deadline)
		return spans
	}
	var spans []span
	begin := 0
	for i := 0; i < len(s); {
		end := st.match(e.classes, s, i)
		if end == i {
			_, _, w := e.classes.at(s, i)
			i += w
			continue
		}
		if begin < i {
			spans = append(spans, span{begin, i, false})
		}
		spans = append(spans, span{i, end, true})
		i, begin = end, end
	}
	if begin < len(s) {
		spans = append(spans, span{begin, len(s), false})
	}
	return spans
}

// pieces returns the parts of s by the behavior. Parts may be empty.
func (st *stage) pieces(e *encoder, s string) []span {
	spans := st.spans(e, s)
	if st.Behavior == Isolated {
		return spans
	}
	var out []span
	for _, p := range spans {
		last := len(out) - 1
		switch {
		case st.Behavior == Removed && p.match, st.Behavior == MatchesOnly && !p.match:
			continue
		case last < 0 || st.Behavior == Removed || st.Behavior == MatchesOnly:
		case st.Behavior == Contiguous && p.match == out[last].match,
			st.Behavior == MergedWithPrevious && p.match && !out[last].match,
			st.Behavior == MergedWithNext && !p.match && out[last].match:
			out[last].end, out[last].match = p.end, p.match
			continue
		}
		out = append(out, p)
	}
	return out
}

// markedWords cuts s before each space mark that follows another character, and encodes the words. Where no
// symbol of the model has a mark inside, no merge crosses such a place, so the ids are the same; but words are
// short and can be cached, while models on raw UTF-8 have no pre-tokenizer that cuts whole texts.
func (e *encoder) markedWords(s string) {
	for {
		i := innerMark(s)
		if i < 0 {
			e.word(s)
			return
		}
		e.word(s[:i])
		s = s[i:]
	}
}

// innerMark returns the place of the first space mark of s that follows another character, or -1.
func innerMark(s string) int {
	at := 0
	for strings.HasPrefix(s[at:], spaceMark) {
		at += len(spaceMark)
	}
	if i := strings.Index(s[at:], spaceMark); i >= 0 {
		return at + i
	}
	return -1
}

// noInnerMarks reports whether words may be cut at space marks: the mark is a token, so that no run of unknown
// characters spans it, and no text that the model step forms has one inside.
func noInnerMarks(texts ...map[string]int32) bool {
	if _, ok := texts[0][spaceMark]; !ok {
		return false
	}
	for _, m := range texts {
		for text := range m {
			if innerMark(text) >= 0 {
				return false
			}
		}
	}
	return true
}
