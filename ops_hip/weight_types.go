package opship

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/ops"
)

// weightType is a type of weights that kernels can dequantize.
type weightType struct {
	kernel string // part of kernel names: "q4_k"
	group  string // ending of the objects that hold its kernels: "k" of mul_mat_k
	wide   bool   // there are no matrix kernels, which round weights to 16 bits
}

// typesDef is the list that the kernels are generated from, so that both cannot differ.
//
//go:embed kernels/types.def
var typesDef string

// weightTypes is typesDef by the canonical name of the type ("Q4_K").
var weightTypes = parseTypes(typesDef)

// parseTypes reads the lines "#ifdef TYPES_<group>" and "TYPE(<kernel>, <name>, <block>, <bytes>)", or TYPE_WIDE. It
// panics on others that look like a type: the list is part of the program.
func parseTypes(def string) map[string]weightType {
	m := map[string]weightType{}
	group := ""
	for line := range strings.Lines(def) {
		if g, ok := strings.CutPrefix(line, "#ifdef TYPES_"); ok {
			group = strings.ToLower(strings.TrimSpace(g))
		}
		rest, ok := strings.CutPrefix(line, "TYPE(")
		wide := false
		if !ok {
			rest, wide = strings.CutPrefix(line, "TYPE_WIDE(")
		}
		if ok || wide {
			f := strings.Split(strings.TrimSuffix(strings.TrimSpace(rest), ")"), ", ")
			if len(f) != 4 || group == "" {
				panic(fmt.Sprintf("opship: types.def: %q", line))
			}
			m[f[1]] = weightType{f[0], group, wide}
		}
	}
	return m
}

// weightTypeOf returns the kernels for weights w, or false if there are none for its type and layout.
func weightTypeOf(w ops.Value) (weightType, bool) {
	t, ok := weightTypes[w.DType().String()]
	return t, ok && readAs(w)
}
