package engine

import "strings"

// StopMatcher cuts text that arrives in pieces at the first stop string, wherever its bytes are split.
//
// The match is the one that ends first; of several that end at the same byte, the longest. The text is what comes
// before the match. Until there is one, the longest suffix of the text that is a proper prefix of a stop string is
// held back, because it may become part of a match; everything before it is handed out at once.
type StopMatcher struct {
	stops []string
	held  string
	match string // empty until a stop string was found
}

// NewStopMatcher returns a matcher of the given stop strings. Empty ones are ignored.
func NewStopMatcher(stops []string) *StopMatcher {
	m := &StopMatcher{}
	for _, s := range stops {
		if s != "" {
			m.stops = append(m.stops, s)
		}
	}
	return m
}

// Push appends a piece to the text, returns what is now sure to belong to the output, and reports whether a stop
// string has been found. From then on, the text is over and Push returns "", true.
func (m *StopMatcher) Push(piece string) (out string, stopped bool) {
	if m.match != "" {
		return "", true
	}
	text := m.held + piece
	start, end, match := -1, -1, ""
	for _, s := range m.stops {
		i := strings.Index(text, s)
		if i < 0 {
			continue
		}
		if e := i + len(s); end < 0 || e < end || (e == end && i < start) {
			start, end, match = i, e, s
		}
	}
	if end >= 0 {
		m.held, m.match = "", match
		return text[:start], true
	}
	n := 0
	for _, s := range m.stops {
		for k := min(len(s)-1, len(text)); k > n; k-- {
			if strings.HasSuffix(text, s[:k]) {
				n = k
				break
			}
		}
	}
	m.held = text[len(text)-n:]
	return text[:len(text)-n], false
}

// Stopped reports whether a stop string has been found.
func (m *StopMatcher) Stopped() bool { return m.match != "" }

// Match returns the stop string that was found; empty if there was none.
func (m *StopMatcher) Match() string { return m.match }

// Flush returns the text that was held back, for when no more comes.
func (m *StopMatcher) Flush() string {
	held := m.held
	m.held = ""
	return held
}
