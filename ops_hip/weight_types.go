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
	dot    dotType
}

// dotType says which kernels of integer dot products there are.
type dotType struct {
	number int  // as kernels of several types have it, from 1 on; 0 for none
	few    bool // of several tokens too, and as parts of larger kernels
	grid   bool // of one token or an expert, of points that are gathered from LDS (mul_mat_grid.hip)
}

// experts reports whether there are integer dot products with single experts.
func (w weightType) experts() bool { return w.dot.number > 0 || w.dot.grid }

// typesDef is the list that the kernels are generated from, so that both cannot differ.
//
//go:embed kernels/types.def
var typesDef string

// weightTypes is typesDef by the canonical name of the type ("Q4_K").
var weightTypes = parseTypes(typesDef)

// parseTypes reads the lines "#ifdef TYPES_<group>" and "TYPE(<kernel>, <name>, <block>, <bytes>)", or TYPE_WIDE,
// TYPE_DOT, TYPE_DOT1 or TYPE_GRID. It panics on others that look like a type: the list is part of the program.
func parseTypes(def string) map[string]weightType {
	m := map[string]weightType{}
	group, dots := "", 0
	for line := range strings.Lines(def) {
		if g, ok := strings.CutPrefix(line, "#ifdef TYPES_"); ok {
			group = strings.ToLower(strings.TrimSpace(g))
		}
		macro, rest, ok := strings.Cut(line, "(")
		if !ok || !strings.HasPrefix(macro, "TYPE") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(strings.TrimSpace(rest), ")"), ", ")
		if len(f) != 4 || group == "" {
			panic(fmt.Sprintf("opship: types.def: %q", line))
		}
		w := weightType{kernel: f[0], group: group}
		switch macro {
		case "TYPE":
		case "TYPE_WIDE":
			w.wide = true
		case "TYPE_DOT", "TYPE_DOT1":
			dots++
			w.dot = dotType{number: dots, few: macro == "TYPE_DOT"}
		case "TYPE_GRID":
			w.dot.grid = true
		default:
			panic(fmt.Sprintf("opship: types.def: %q", line))
		}
		m[f[1]] = w
	}
	return m
}

// weightTypeOf returns the kernels for weights w, or false if there are none for its type and layout.
func weightTypeOf(w ops.Value) (weightType, bool) {
	t, ok := weightTypes[w.DType().String()]
	return t, ok && readAs(w)
}
