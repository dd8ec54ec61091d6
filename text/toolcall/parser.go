package toolcall

import (
	"strings"
	"unicode/utf8"
)

// Kind says what an [Event] is.
type Kind uint8

// The kinds.
const (
	Content   Kind = iota // text of the answer
	Reasoning             // text of thoughts
	Begin                 // a call begins, with its name
	Arguments             // text of the call's arguments, which is a JSON object when the call ends
	End                   // the call ends
)

// Event is what a piece of text turned out to be.
type Event struct {
	Kind Kind
	Text string // of Content, Reasoning and Arguments; the name of Begin
	ID   string // of Begin, where the model gives the call one
	Call int    // number of the call, from 0
}

// Options say what a parser expects.
type Options struct {
	Tools     *Tools // nil: what looks like a call is text
	Reasoning bool   // thoughts are told from the answer
	Open      bool   // the prompt ends within the thoughts
	Continued bool   // the prompt ends within the text of the answer
	Closed    bool   // the prompt ends behind thoughts, so that white space is no text until some comes
}

// Parser turns the text of one answer into events. It serves one goroutine.
type Parser struct {
	f      *Format
	o      Options
	buf    string // not yet understood
	tail   string // bytes of a character that is not complete
	state  func(final bool) bool
	events []Event
	held   string // white space that is text if text follows
	fresh  bool   // no text has come since the last marker, so that white space belongs to it
	said   bool   // there was content
	calls  int
}

// NewParser returns a parser of answers in this format.
func (f *Format) NewParser(o Options) *Parser {
	p := &Parser{f: f, o: o}
	p.state = p.content
	switch {
	case o.Continued && f.resume != nil:
		p.state = f.resume(p)
	case f.begin != nil:
		p.state = f.begin(p)
	}
	p.said, p.fresh = o.Continued, o.Closed
	if o.Open && o.Reasoning && f.think.open != "" {
		p.fresh = true
		p.state = p.reasoning
	}
	return p
}

// Push takes the next piece of text and returns what it makes certain.
func (p *Parser) Push(text string) []Event {
	text = p.tail + text
	end := len(text)
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if c := text[len(text)-i]; utf8.RuneStart(c) {
			if !utf8.FullRuneInString(text[len(text)-i:]) {
				end -= i
			}
			break
		}
	}
	p.buf += text[:end]
	p.tail = text[end:]
	return p.run(false)
}

// Flush ends the text and returns the rest.
func (p *Parser) Flush() []Event {
	p.buf += p.tail
	p.tail = ""
	return p.run(true)
}

func (p *Parser) run(final bool) []Event {
	p.events = nil
	for p.state(final) {
	}
	if final && !p.fresh {
		p.text(Content, p.held)
	}
	if final {
		p.held = ""
	}
	return p.events
}

// take removes the first n bytes of what is not yet understood.
func (p *Parser) take(n int) string {
	s := p.buf[:n]
	p.buf = p.buf[n:]
	return s
}

// text adds an event of text, to the last one if it is of the same kind.
func (p *Parser) text(k Kind, s string) {
	if s == "" {
		return
	}
	if n := len(p.events); n > 0 && p.events[n-1].Kind == k {
		p.events[n-1].Text += s
		return
	}
	e := Event{Kind: k, Text: s}
	if k == Arguments {
		e.Call = p.calls
	}
	p.events = append(p.events, e)
}

const blanks = " \t\r\n"

// say adds text of the answer or of thoughts, of which white space at the end waits for more.
func (p *Parser) say(k Kind, s string) {
	if p.fresh {
		if s = strings.TrimLeft(s, blanks); s == "" {
			return
		}
		p.fresh = false
	}
	s = p.held + s
	end := len(strings.TrimRight(s, blanks))
	p.held = s[end:]
	p.text(k, s[:end])
	p.said = p.said || k == Content && end > 0
}

// marker notes that a marker was read: white space round it is no text.
func (p *Parser) marker() { p.held, p.fresh = "", true }

// find looks for the first of several markers in what is not yet understood. at is where it begins, or else up to
// where the text holds none for certain.
func (p *Parser) find(final bool, markers ...string) (at int, found string) {
	at = len(p.buf)
	for _, m := range markers {
		if m == "" {
			continue
		}
		if i := strings.Index(p.buf, m); i >= 0 && (i < at || i == at && len(m) > len(found)) {
			at, found = i, m
		}
	}
	if final {
		return at, found
	}
	// A longer marker may begin before the one that was found.
	for _, m := range markers {
		for n := min(len(m)-1, len(p.buf)); n > 0; n-- {
			if i := len(p.buf) - n; i <= at && strings.HasSuffix(p.buf, m[:n]) {
				if i < at || found != "" && i == at && len(m) > len(found) {
					at, found = i, ""
				}
			}
		}
	}
	return at, found
}

// content reads text of the answer up to a marker of thoughts or calls.
func (p *Parser) content(final bool) bool {
	var markers []string
	thoughts := p.o.Reasoning && !p.said
	if thoughts {
		markers = append(markers, p.f.think.open)
	}
	if p.o.Tools != nil {
		markers = append(markers, p.f.openers...)
	}
	at, found := p.find(final, markers...)
	if thoughts && strings.TrimLeft(p.buf[:at], blanks) != "" { // what follows text is no thought any more
		p.said = true
		return true
	}
	if found != "" || !thoughts || final || at < len(p.buf) || strings.TrimLeft(p.buf, blanks) != "" {
		p.say(Content, p.take(at))
	}
	switch {
	case found == "":
		return false
	case thoughts && found == p.f.think.open:
		p.take(len(found))
		p.marker()
		p.state = p.reasoning
	default:
		held, fresh := p.held, p.fresh
		p.take(len(found))
		p.marker()
		p.state = p.f.call(p, found, func(raw string) { // it is no call
			p.held, p.fresh = held, fresh
			p.state = p.content
			p.say(Content, raw)
		})
	}
	return true
}

// reasoning reads thoughts up to their end.
func (p *Parser) reasoning(final bool) bool {
	at, found := p.find(final, p.f.think.close)
	p.say(Reasoning, p.take(at))
	if found == "" {
		if final {
			p.held = ""
		}
		return false
	}
	p.take(len(found))
	p.marker()
	p.state = p.content
	return true
}

// begin starts a call.
func (p *Parser) begin(name, id string) {
	p.events = append(p.events, Event{Kind: Begin, Text: name, ID: id, Call: p.calls})
}

// end ends a call.
func (p *Parser) end() {
	p.events = append(p.events, Event{Kind: End, Call: p.calls})
	p.calls++
	p.marker()
}

// skipBlanks drops white space, and reports whether anything else is there.
func (p *Parser) skipBlanks() bool {
	p.buf = strings.TrimLeft(p.buf, blanks)
	return p.buf != ""
}
