package hf

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// config reads a config.json or generation_config.json. Names are looked up in the language model's own part first
// (text_config of models with other towers), then at the top level. null counts as absent. The first error sticks in
// the root.
type config struct {
	file string   // its name, for messages
	objs []object // in order of lookup
	path string   // of objs[0], for messages
	err  *error   // shared by all parts
}

func newConfig(file string, root object) *config {
	c := &config{file: file, objs: []object{root}, err: new(error)}
	if text, ok := root["text_config"].(object); ok {
		c.objs, c.path = []object{text, root}, "text_config."
	}
	return c
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// fail records the first error.
func (c *config) fail(format string, args ...any) {
	if *c.err == nil {
		*c.err = fmt.Errorf(c.file+": "+format, args...)
	}
}

// lookup returns the value of the first of names that is present and not null.
func (c *config) lookup(names ...string) (name string, v any) {
	for _, o := range c.objs {
		for _, name := range names {
			if v := o[name]; v != nil {
				return name, v
			}
		}
	}
	return names[0], nil
}

func (c *config) has(names ...string) bool {
	_, v := c.lookup(names...)
	return v != nil
}

// sub returns the object called name, nil if there is none.
func (c *config) sub(name string) *config {
	_, v := c.lookup(name)
	if v == nil {
		return nil
	}
	o, ok := v.(object)
	if !ok {
		c.fail("%s%s is not an object", c.path, name)
		return nil
	}
	return &config{file: c.file, objs: []object{o}, path: c.path + name + ".", err: c.err}
}

// number returns a JSON number that is finite.
func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil && !math.IsInf(f, 0)
}

// int returns a required whole number from lo to hi under the first of names that is there.
func (c *config) int(lo, hi int, names ...string) int {
	name, v := c.lookup(names...)
	if v == nil {
		c.fail("%s%s is missing", c.path, strings.Join(names, " or "))
		return lo
	}
	f, ok := number(v)
	if !ok || f != math.Trunc(f) || f < float64(lo) || f > float64(hi) {
		c.fail("%s%s is %v, not a whole number from %d to %d", c.path, name, brief(v), lo, hi)
		return lo
	}
	return int(f)
}

// intOr is int with a default for an absent value.
func (c *config) intOr(def, lo, hi int, names ...string) int {
	if !c.has(names...) {
		return def
	}
	return c.int(lo, hi, names...)
}

// float returns a required finite number.
func (c *config) float(names ...string) float64 {
	name, v := c.lookup(names...)
	f, ok := number(v)
	switch {
	case v == nil:
		c.fail("%s%s is missing", c.path, strings.Join(names, " or "))
	case !ok:
		c.fail("%s%s is %v, not a finite number", c.path, name, brief(v))
	}
	return f
}

// floatOr is float with a default for an absent value.
func (c *config) floatOr(def float64, names ...string) float64 {
	if !c.has(names...) {
		return def
	}
	return c.float(names...)
}

// bool returns a truth value, def if it is absent.
func (c *config) bool(def bool, names ...string) bool {
	name, v := c.lookup(names...)
	if v == nil {
		return def
	}
	b, ok := v.(bool)
	if !ok {
		c.fail("%s%s is %v, not true or false", c.path, name, brief(v))
	}
	return b
}

// str returns a text, "" if it is absent.
func (c *config) str(names ...string) string {
	name, v := c.lookup(names...)
	s, ok := v.(string)
	if v != nil && !ok {
		c.fail("%s%s is %v, not a text", c.path, name, brief(v))
	}
	return s
}

// strs returns a list of texts, nil if it is absent.
func (c *config) strs(names ...string) []string {
	name, v := c.lookup(names...)
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	out := make([]string, len(list))
	for i := 0; ok && i < len(list); i++ {
		out[i], ok = list[i].(string)
	}
	if !ok {
		c.fail("%s%s is not a list of texts", c.path, name)
		return nil
	}
	return out
}

// floats returns a list of finite numbers, nil if it is absent.
func (c *config) floats(names ...string) []float64 {
	name, v := c.lookup(names...)
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	out := make([]float64, len(list))
	for i := 0; ok && i < len(list); i++ {
		out[i], ok = number(list[i])
	}
	if !ok {
		c.fail("%s%s is not a list of numbers", c.path, name)
		return nil
	}
	return out
}

// brief prints a JSON value for a message.
func brief(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", clip(v))
	case object:
		return "an object"
	case []any:
		return "a list"
	}
	return clip(fmt.Sprint(v))
}

// ids returns token ids given as one number or a list, nil if they are absent.
func (c *config) ids(vocab int, names ...string) []int32 {
	name, v := c.lookup(names...)
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []int32
	for _, x := range list {
		f, ok := number(x)
		if !ok || f != math.Trunc(f) || f < -1 || f >= float64(vocab) {
			c.fail("%s%s is %v, not a token id from 0 to %d", c.path, name, brief(x), vocab-1)
			return nil
		}
		if f >= 0 { // -1 is a way to say none
			out = append(out, int32(f))
		}
	}
	return out
}
