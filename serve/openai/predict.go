package openai

import (
	"encoding/json"
	"maps"
	"slices"
)

// Instance is a request within a request of POST /predict.
type Instance struct {
	Path string // of the endpoint that it is for
	Body json.RawMessage
}

// Predictions is the answer to POST /predict: those to the instances, in their order.
type Predictions struct {
	Predictions []json.RawMessage `json:"predictions"`
}

// ParsePredict reads the instances of a request, each of which names one of the formats, which are names and paths of
// endpoints. The error is an *[Error].
func ParsePredict(body []byte, l Limits, formats map[string]string) (list []Instance, err error) {
	err = parse(body, l, func(f fields) {
		r := f.r
		if raw := f.take("parameters"); raw != nil && kind(raw) == "an object" && string(raw) != "{}" {
			r.fail("parameters", CodeUnsupported, "must be empty: what a request says stands in its instance")
		}
		raw := f.need("instances")
		if raw == nil {
			return
		}
		for i, e := range r.elements("instances", raw, r.limits.Prompts) {
			in := r.object(index("instances", i), e)
			var path string
			if raw := in.need("@requestFormat"); raw != nil {
				path = formats[r.oneOf(in.path+"@requestFormat", raw, slices.Sorted(maps.Keys(formats))...)]
			}
			if raw := in.members["stream"]; raw != nil && string(raw) != "false" {
				r.fail(in.path+"stream", CodeValue, "must be false: predictions come whole")
			}
			if r.err != nil {
				return
			}
			delete(in.members, "@requestFormat")
			text, err := json.Marshal(in.members)
			if err != nil {
				r.fail(index("instances", i), CodeValue, "is no JSON")
			}
			list = append(list, Instance{path, text})
		}
	})
	return list, err
}
