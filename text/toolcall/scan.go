package toolcall

import (
	"encoding/json"
	"strings"
)

// scanner finds the end of a JSON value that comes in pieces.
type scanner struct {
	begun, scalar, quoted, escaped bool
	depth                          int
}

// scan returns how many bytes of s belong to the value, and whether it is complete.
func (v *scanner) scan(s string) (n int, done bool) {
	for i := range len(s) {
		c := s[i]
		switch {
		case v.escaped:
			v.escaped = false
		case v.quoted:
			if c == '\\' {
				v.escaped = true
			} else if c == '"' {
				v.quoted = false
				if v.depth == 0 {
					return i + 1, true
				}
			}
		case v.scalar:
			if strings.IndexByte(",]}"+blanks, c) >= 0 || c == '<' {
				return i, true
			}
		case c == '"':
			v.quoted, v.begun = true, true
		case c == '{' || c == '[':
			v.depth++
			v.begun = true
		case c == '}' || c == ']':
			if v.depth--; v.depth <= 0 {
				if v.depth < 0 {
					return i, true
				}
				return i + 1, true
			}
		case strings.IndexByte(blanks, c) >= 0:
		case v.depth == 0 && !v.begun:
			v.scalar, v.begun = true, true
		}
	}
	return len(s), false
}

// stringEnd returns the length of the JSON string that s begins with, or 0 if it is not complete.
func stringEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// quote returns s as a JSON string.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // strings always marshal
	return strings.TrimSuffix(b.String(), "\n")
}

// escaped returns s as it stands within a JSON string.
func escape(s string) string {
	q := quote(s)
	return q[1 : len(q)-1]
}

// objectCall reads a call that is a JSON object with a name and arguments, in any order. opener is what was taken
// before it; then is the state behind it.
type objectCall struct {
	p     *Parser
	raw   strings.Builder // what was taken while it may still be text
	fail  func(raw string)
	then  func(final bool) bool
	stage int
	key   string
	value scanner
	begun bool
	name  string
	id    string
	early string // arguments that came before the name
	text  string // of the value, where it is not passed on
	args  bool   // there were arguments
}

// Stages of an objectCall.
const (
	wantObject = iota
	wantKey
	wantColon
	wantValue
)

func (p *Parser) object(opener string, fail func(string), then func(final bool) bool) func(final bool) bool {
	c := &objectCall{p: p, fail: fail, then: then}
	c.raw.WriteString(opener)
	return c.read
}

// take takes bytes, which are kept while they may be text.
func (c *objectCall) take(n int) string {
	s := c.p.take(n)
	if !c.begun {
		c.raw.WriteString(s)
	}
	return s
}

// give ends the call where it is broken off.
func (c *objectCall) give() bool {
	if c.begun {
		c.finish()
		return true
	}
	c.fail(c.raw.String())
	return true
}

func (c *objectCall) finish() {
	if !c.args {
		c.p.text(Arguments, "{}")
	}
	c.p.end()
	c.p.state = c.then
}

func (c *objectCall) read(final bool) bool {
	p := c.p
	if c.stage != wantValue || !c.value.begun {
		c.take(len(p.buf) - len(strings.TrimLeft(p.buf, blanks)))
	}
	if p.buf == "" {
		if final {
			return c.give()
		}
		return false
	}
	switch c.stage {
	case wantObject:
		if p.buf[0] != '{' {
			return c.give()
		}
		c.take(1)
		c.stage = wantKey
	case wantKey:
		switch p.buf[0] {
		case ',':
			c.take(1)
		case '}':
			c.take(1)
			if !c.begun && c.name == "" {
				return c.give()
			}
			c.start()
			c.finish()
		case '"':
			n := stringEnd(p.buf)
			if n == 0 {
				return final && c.give()
			}
			if json.Unmarshal([]byte(c.take(n)), &c.key) != nil || !c.known() {
				return c.give()
			}
			c.stage = wantColon
		default:
			return c.give()
		}
	case wantColon:
		if p.buf[0] != ':' {
			return c.give()
		}
		c.take(1)
		c.stage, c.value, c.text = wantValue, scanner{}, ""
		if c.isArguments() && c.name != "" {
			c.start()
		}
	case wantValue:
		return c.readValue(final)
	}
	return true
}

// known reports whether the key may be one of a call.
func (c *objectCall) known() bool {
	switch c.key {
	case "name", "arguments", "parameters", "id", "type", "function":
		return true
	}
	return c.name != ""
}

func (c *objectCall) isArguments() bool { return c.key == "arguments" || c.key == "parameters" }

// readValue reads a member's value. Arguments are passed on as they come, once the name is known.
func (c *objectCall) readValue(final bool) bool {
	n, done := c.value.scan(c.p.buf)
	if n == 0 && done && c.text == "" { // there is none
		return c.give()
	}
	s := c.take(n)
	if c.text += s; c.isArguments() && c.begun && c.text[0] != '"' {
		c.p.text(Arguments, s)
		c.args = true
	}
	if !done {
		if final {
			return c.give()
		}
		return false
	}
	c.stage = wantKey
	switch {
	case c.key == "name" || c.key == "function" && c.name == "":
		if json.Unmarshal([]byte(c.text), &c.name) != nil || c.name == "" {
			return c.give()
		}
	case c.key == "id":
		json.Unmarshal([]byte(c.text), &c.id) // an id of another type is not one
	case c.isArguments():
		text := c.text
		if text[0] == '"' { // the object as a string
			json.Unmarshal([]byte(c.text), &text)
			if c.begun {
				c.p.text(Arguments, text)
				c.args = true
			}
		}
		if !c.begun {
			c.early = text
		}
	}
	return true
}

// start begins the call: when its arguments do, or at the end of an object that has the name behind them.
func (c *objectCall) start() {
	if c.begun {
		return
	}
	c.begun = true
	c.p.begin(c.name, c.id)
	if c.early != "" {
		c.p.text(Arguments, c.early)
		c.args = true
	}
}
