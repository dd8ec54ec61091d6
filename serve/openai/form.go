package openai

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/hipengine/hipengine/text/grammar"
)

// Form is what the text of an answer must be.
type Form struct {
	grammar.Spec
	Param string // the field that asks for it
}

// forms collects the form of a request, which several fields can ask for.
type forms struct {
	f    fields
	form *Form
}

// set notes a form.
func (o *forms) set(param string, s grammar.Spec) {
	if o.form != nil {
		o.f.r.fail(param, CodeValue, "asks for a form of the text, as %s does; give one of them", o.form.Param)
		return
	}
	if s.IsZero() {
		o.f.r.fail(param, CodeValue, "must not be empty")
	}
	o.form = &Form{s, param}
}

// form reads the fields that hold the text to a form: response_format, and what llama.cpp and vLLM know besides.
func (f fields) form() *Form {
	r, o := f.r, &forms{f: f}
	if raw := f.take("response_format"); raw != nil {
		o.responseFormat(raw)
	}
	limit := int(r.limits.BodyBytes)
	if s := f.text("grammar", limit); s != "" {
		o.set(f.path+"grammar", grammarText(s))
	}
	if raw := f.take("json_schema"); raw != nil {
		o.set(f.path+"json_schema", r.schema(f.path+"json_schema", raw))
	}
	if raw := f.take("structured_outputs"); raw != nil {
		s := r.object(f.path+"structured_outputs", raw)
		o.structured(s, "")
		s.end()
	}
	o.structured(f, "guided_")
	return o.form
}

// grammarText tells GBNF from Lark's language.
func grammarText(s string) grammar.Spec {
	if strings.Contains(s, "::=") {
		return grammar.Spec{GBNF: s}
	}
	return grammar.Spec{Lark: s}
}

// schema reads a JSON Schema, which may also be a string that spells one.
func (r *reader) schema(param string, raw json.RawMessage) grammar.Spec {
	switch raw[0] {
	case '{', 't', 'f':
		return grammar.Spec{JSONSchema: string(raw)}
	case '"':
		text := strings.TrimSpace(r.text(param, raw, int(r.limits.BodyBytes)))
		if err := checkJSON([]byte(text), r.limits, param); err != nil && r.err == nil {
			r.err = err
		}
		return grammar.Spec{JSONSchema: text}
	}
	r.wrongType(param, "a JSON Schema", raw)
	return grammar.Spec{}
}

// responseFormat reads response_format.
func (o *forms) responseFormat(raw json.RawMessage) {
	r := o.f.r
	f := r.object(o.f.path+"response_format", raw)
	kind := f.need("type")
	if kind == nil {
		return
	}
	schema, schemaParam := f.take("schema"), f.path+"schema" // llama.cpp's form of json_object
	switch t := r.oneOf(f.path+"type", kind, "text", "json_object", "json_schema"); t {
	case "json_object":
		if schema == nil {
			o.set(strings.TrimSuffix(f.path, "."), grammar.Spec{JSONObject: true})
		}
	case "json_schema":
		if wrapped := f.take("json_schema"); wrapped != nil {
			s := r.object(f.path+"json_schema", wrapped)
			s.text("name", 256)
			s.text("description", int(r.limits.BodyBytes))
			s.boolean("strict") // the schema is enforced either way
			schema, schemaParam = s.take("schema"), s.path+"schema"
			s.end()
		}
		if schema == nil {
			r.fail(f.path+"json_schema.schema", CodeMissing, "is required")
		}
	}
	if schema != nil {
		o.set(schemaParam, r.schema(schemaParam, schema))
	}
	f.end()
}

// structured reads vLLM's structured_outputs, or its older fields with a prefix.
func (o *forms) structured(f fields, prefix string) {
	r := f.r
	limit := int(r.limits.BodyBytes)
	if raw := f.take(prefix + "json"); raw != nil {
		o.set(f.path+prefix+"json", r.schema(f.path+prefix+"json", raw))
	}
	if f.boolean(prefix + "json_object") {
		o.set(f.path+prefix+"json_object", grammar.Spec{JSONObject: true})
	}
	if s := f.text(prefix+"regex", limit); s != "" {
		o.set(f.path+prefix+"regex", grammar.Spec{Regexp: s})
	}
	if s := f.text(prefix+"grammar", limit); s != "" {
		o.set(f.path+prefix+"grammar", grammarText(s))
	}
	if raw := f.take(prefix + "choice"); raw != nil {
		param := f.path + prefix + "choice"
		var list []string
		for i, e := range r.elements(param, raw, r.limits.Members) {
			list = append(list, regexp.QuoteMeta(r.text(index(param, i), e, limit)))
		}
		s := grammar.Spec{}
		if len(list) > 0 {
			s.Regexp = "(" + strings.Join(list, "|") + ")"
		}
		o.set(param, s)
	}
}
