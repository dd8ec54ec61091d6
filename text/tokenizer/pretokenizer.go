package tokenizer

import (
	"slices"
	"strings"
)

// matcher finds a match of a pattern that begins at byte i of s and returns its end, or i if there is none.
// s is valid UTF-8. A matcher may look at what follows the match in s, never at what precedes i.
//
// Patterns are matched by hand because Go's regexp has no look-ahead, and for speed.
type matcher func(t *classTable, s string, i int) int

// preTokenizer is a pre-tokenizer of GGUF files: successive splits and the defaults that go with its name.
type preTokenizer struct {
	patterns     []string // keys of patterns, applied in turn; each match and each gap becomes a piece
	ignoreMerges bool
	addBOS       bool
}

// patterns maps the regular expressions of tokenizer.json files to their matchers. Filled by the pre_*.go files.
var patterns = map[string]matcher{}

// preTokenizers maps values of tokenizer.ggml.pre to pre-tokenizers. Filled by the pre_*.go files.
var preTokenizers = map[string]preTokenizer{}

// encoderPres are pre-tokenizers of encoders.
var encoderPres = []string{"whitespace", "granite-embed-multi-311m"}

// Pre-tokenizers of files that say they are ModelGPT2 and mean BPE on raw UTF-8, as ModelGemma4 has it.
const (
	preGemma4 = "gemma4"
	preSarvam = "sarvam-moe"
)

// registerPattern adds a pattern. It panics if the pattern exists.
func registerPattern(re string, m matcher) {
	if _, dup := patterns[re]; dup {
		panic("tokenizer: pattern " + re + " registered twice")
	}
	patterns[re] = m
}

// registerPre adds a pre-tokenizer under several names. It panics if a name exists.
func registerPre(p preTokenizer, names ...string) {
	for _, n := range names {
		if _, dup := preTokenizers[n]; dup {
			panic("tokenizer: pre-tokenizer " + n + " registered twice")
		}
		preTokenizers[n] = p
	}
}

// PreTokenizers returns the names that Vocab.Pre may have, sorted.
func PreTokenizers() []string {
	var names []string
	for n := range preTokenizers {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// lookupPattern returns the matcher of a regular expression. Files spell line breaks and slashes with or
// without a backslash; both find the same pattern.
func lookupPattern(re string) (matcher, bool) {
	m, ok := patterns[strings.NewReplacer("\r", `\r`, "\n", `\n`, `\/`, `/`).Replace(re)]
	return m, ok
}
