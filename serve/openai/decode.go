package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/internal/strictjson"
)

// checkJSON reports text that is not one JSON value within l. param names the field that holds the text; empty is the
// request itself.
func checkJSON(text []byte, l Limits, param string) *Error {
	if err := strictjson.Check(text, strictjson.Limits{Depth: l.Depth, Members: l.Members}); err != nil {
		return invalid(param, CodeInvalidJSON, "%v", err)
	}
	return nil
}

// quote returns a quoted, shortened form of text from a request, for messages.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}

// reader collects the first error of a request.
type reader struct {
	limits Limits
	err    *Error
}

func (r *reader) fail(param, code, format string, args ...any) {
	if r.err == nil {
		r.err = invalid(param, code, format, args...)
	}
}

// kind names the type of a JSON value.
func kind(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

func (r *reader) wrongType(param, want string, raw json.RawMessage) {
	r.fail(param, CodeType, "must be %s, not %s", want, kind(raw))
}

// unmarshal decodes a value whose kind has been checked.
func (r *reader) unmarshal(param string, raw json.RawMessage, v any) {
	if err := json.Unmarshal(raw, v); err != nil {
		r.fail(param, CodeInvalidJSON, "%v", err)
	}
}

// text decodes a string of at most limit bytes.
func (r *reader) text(param string, raw json.RawMessage, limit int) (s string) {
	if raw[0] != '"' {
		r.wrongType(param, "a string", raw)
		return ""
	}
	r.unmarshal(param, raw, &s)
	if len(s) > limit {
		r.fail(param, CodeValue, "has %d bytes, at most %d are allowed", len(s), limit)
	}
	return s
}

// elements decodes an array of at most limit elements.
func (r *reader) elements(param string, raw json.RawMessage, limit int) (list []json.RawMessage) {
	if raw[0] != '[' {
		r.wrongType(param, "an array", raw)
		return nil
	}
	if n := count(raw); n > limit {
		r.fail(param, CodeValue, "has %d elements, at most %d are allowed", n, limit)
		return nil
	}
	r.unmarshal(param, raw, &list)
	return list
}

// count returns the number of elements of a valid array, without allocating for them.
func count(array json.RawMessage) int {
	n, depth, empty := 0, 0, true
	for i := 0; i < len(array); i++ {
		switch c := array[i]; c {
		case '[', '{':
			if depth++; depth > 1 {
				empty = false
			}
		case ']', '}':
			depth--
		case ',':
			if depth == 1 {
				n++
			}
		case '"':
			empty = false
			for i++; array[i] != '"'; i++ {
				if array[i] == '\\' {
					i++
				}
			}
		case ' ', '\t', '\r', '\n':
		default:
			empty = false
		}
	}
	if empty {
		return 0
	}
	return n + 1
}

// integer decodes a whole number from low to high.
func (r *reader) integer(param string, raw json.RawMessage, low, high int64) int64 {
	if kind(raw) != "a number" {
		r.wrongType(param, "an integer", raw)
		return low
	}
	v, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		if bytes.ContainsAny(raw, ".eE") {
			r.fail(param, CodeType, "must be an integer, not %s", clip(raw))
		} else {
			r.fail(param, CodeValue, "must be from %d to %d, not %s", low, high, clip(raw))
		}
		return low
	}
	if v < low || v > high {
		r.fail(param, CodeValue, "must be from %d to %d, not %d", low, high, v)
		return low
	}
	return v
}

// number decodes a number from low to high.
func (r *reader) number(param string, raw json.RawMessage, low, high float64) float64 {
	if kind(raw) != "a number" {
		r.wrongType(param, "a number", raw)
		return low
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(v >= low && v <= high) {
		r.fail(param, CodeValue, "must be from %v to %v, not %s", low, high, clip(raw))
		return low
	}
	return v
}

// oneOf decodes a string that must be one of the given values.
func (r *reader) oneOf(param string, raw json.RawMessage, values ...string) string {
	s := r.text(param, raw, 256)
	if !slices.Contains(values, s) {
		r.fail(param, CodeValue, "must be %s, not %s", strings.Join(values, " or "), quote(s))
	}
	return s
}

// clip shortens a number of many digits for messages.
func clip(raw json.RawMessage) string {
	if len(raw) > 32 {
		return string(raw[:32]) + "..."
	}
	return string(raw)
}

// fields are the members of an object. Reading one removes it, so that what is left at the end is unknown.
type fields struct {
	r       *reader
	path    string // of the object, with a final dot; empty for the request
	members map[string]json.RawMessage
	known   *[]string // names that were asked for
}

// object decodes an object at param, which is empty for the request itself.
func (r *reader) object(param string, raw json.RawMessage) fields {
	f := fields{r: r, path: param, known: new([]string)}
	if param != "" {
		f.path += "."
	}
	if raw[0] != '{' {
		r.wrongType(param, "an object", raw)
		return f
	}
	r.unmarshal(param, raw, &f.members)
	return f
}

// take removes a member and returns it, or nil if it is absent or null.
func (f fields) take(name string) json.RawMessage {
	raw := f.members[name]
	f.ignore(name)
	if len(raw) == 0 || raw[0] == 'n' {
		return nil
	}
	return raw
}

// need is take for a member that must be there.
func (f fields) need(name string) json.RawMessage {
	raw := f.take(name)
	if raw == nil {
		f.r.fail(f.path+name, CodeMissing, "is required")
	}
	return raw
}

func (f fields) text(name string, limit int) string {
	if raw := f.take(name); raw != nil {
		return f.r.text(f.path+name, raw, limit)
	}
	return ""
}

func (f fields) boolean(name string) bool { return f.booleanOr(name, false) }

// booleanOr returns otherwise if the member is absent.
func (f fields) booleanOr(name string, otherwise bool) bool {
	raw := f.take(name)
	if raw == nil {
		return otherwise
	}
	if kind(raw) != "a boolean" {
		f.r.wrongType(f.path+name, "a boolean", raw)
	}
	return raw[0] == 't'
}

// optional returns a boolean, or nil if the member is absent.
func (f fields) optional(name string) *bool {
	raw := f.take(name)
	if raw == nil {
		return nil
	}
	if kind(raw) != "a boolean" {
		f.r.wrongType(f.path+name, "a boolean", raw)
	}
	return new(raw[0] == 't')
}

// integer returns nil if the member is absent.
func (f fields) integer(name string, low, high int64) *int {
	raw := f.take(name)
	if raw == nil {
		return nil
	}
	return new(int(f.r.integer(f.path+name, raw, low, high)))
}

// number returns nil if the member is absent.
func (f fields) number(name string, low, high float64) *float32 {
	raw := f.take(name)
	if raw == nil {
		return nil
	}
	return new(float32(f.r.number(f.path+name, raw, low, high)))
}

// ignore removes members that cannot change the answer.
func (f fields) ignore(names ...string) {
	*f.known = append(*f.known, names...)
	for _, name := range names {
		delete(f.members, name)
	}
}

// refuse reports members that this server does not offer, for each name the reason.
func (f fields) refuse(reasons map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		if f.take(name) != nil {
			f.r.fail(f.path+name, CodeUnsupported, "%s", reasons[name])
		}
	}
}

// end reports the first member, by name, that nothing has read and that says something.
func (f fields) end() {
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		if raw := f.members[name]; len(raw) > 0 && raw[0] == 'n' {
			continue // null asks for nothing
		}
		hint := ""
		if like := nearest(name, *f.known); like != "" {
			hint = "; " + like + " is known"
		}
		f.r.fail(f.path+clipName(name), CodeUnknown, "unknown field%s", hint)
		return
	}
}

func clipName(name string) string {
	if len(name) > 64 {
		return name[:64] + "..."
	}
	return name
}

// index returns the path of an array's element.
func index(param string, i int) string { return fmt.Sprintf("%s[%d]", param, i) }
