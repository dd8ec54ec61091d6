package openai

import (
	"encoding/json"
	"slices"
)

// budgetNames are the names of the most tokens to generate: those of chat completions and of responses, the old one,
// and llama.cpp's. They mean one thing.
var budgetNames = []string{"max_completion_tokens", "max_tokens", "max_output_tokens", "n_predict"}

// unbounded reports whether a request asks for as many tokens as there is room for, by -1.
func (f fields) unbounded() bool {
	return slices.ContainsFunc(budgetNames, func(name string) bool { return string(f.members[name]) == "-1" })
}

// noTokens reports whether a request asks for no answer at all, by 0, and takes the names that say so.
func (f fields) noTokens() bool {
	none := false
	for _, name := range budgetNames {
		if string(f.members[name]) == "0" {
			f.ignore(name)
			none = true
		}
	}
	return none
}

// budget reads how many tokens may be generated; 0 if the request leaves it open.
func (f fields) budget() int {
	n, from := 0, ""
	for _, name := range budgetNames {
		given := f.maxTokens(name)
		switch {
		case given == 0:
		case n != 0 && n != given:
			f.r.fail(f.path+name, CodeValue, "is another name of %s, which has another value", from)
		default:
			n, from = given, name
		}
	}
	return n
}

// setEffort sets the variables of templates that an effort of reasoning stands for.
func setEffort(kwargs map[string]json.RawMessage, effort string) {
	kwargs["reasoning_effort"] = json.RawMessage(`"` + effort + `"`)
	if effort == "none" {
		think(kwargs, false)
	}
}

// think turns thoughts on or off, by the names that templates have for it.
func think(kwargs map[string]json.RawMessage, on bool) {
	text := json.RawMessage("false")
	if on {
		text = json.RawMessage("true")
	}
	kwargs["enable_thinking"], kwargs["thinking"] = text, text
}
