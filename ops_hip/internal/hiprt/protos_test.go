//go:build linux && !nogpu

package hiprt

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// calls is a call of a bound function in the source: its name and how many words it passes.
type calls struct {
	pos  string
	name string
	args int
}

// sourceCalls finds the calls h.call(f, ...), h.hot(f, ...) and h.lib.code(f, ...) in a file.
func sourceCalls(t *testing.T, file string, src any) []calls {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []calls
	ast.Inspect(f, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok || c.Ellipsis != token.NoPos {
			return true
		}
		sel, ok := c.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"call", "code", "hot"}, sel.Sel.Name) {
			return true
		}
		if id, ok := c.Args[0].(*ast.Ident); ok {
			found = append(found, calls{fset.Position(c.Pos()).String(), id.Name, len(c.Args) - 1})
		}
		return true
	})
	return found
}

// mismatches compares calls with prototypes, which are listed in the order of their Go names.
func mismatches(cs []calls, names []string, protos []proto) []string {
	var bad []string
	for _, c := range cs {
		i := slices.Index(names, c.name)
		if i < 0 {
			bad = append(bad, c.pos+": "+c.name+" has no prototype")
		} else if n := protos[i].args(); n != c.args {
			bad = append(bad, c.pos+": "+c.name+" passes another number of words than "+string(protos[i]))
		}
	}
	return bad
}

// constants returns the names of the iota block at the top of a file.
func constants(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range f.Decls[0].(*ast.GenDecl).Specs {
		names = append(names, s.(*ast.ValueSpec).Names[0].Name)
	}
	return names
}

// Every call passes as many words as its prototype has parameters; every function has a prototype of its name.
func TestCallsMatchPrototypes(t *testing.T) {
	for _, lib := range []struct {
		file, protoFile string
		protos          []proto
	}{{"hip.go", "hip_protos.go", hipProtos}, {"cuda.go", "cuda_protos.go", cudaProtos}} {
		names := constants(t, lib.protoFile)
		if len(names) != len(lib.protos) {
			t.Fatalf("%s: %d functions, %d prototypes", lib.protoFile, len(names), len(lib.protos))
		}
		for i, p := range lib.protos {
			if n := p.name(); n != names[i] && strings.TrimSuffix(n, "_v2") != names[i] {
				t.Errorf("%s: %s is bound to %s", lib.protoFile, names[i], n)
			}
		}
		cs := sourceCalls(t, lib.file, nil)
		if len(cs) < len(names)-4 { // launches and error texts have calls of their own
			t.Errorf("%s: only %d calls found", lib.file, len(cs))
		}
		for _, m := range mismatches(cs, names, lib.protos) {
			t.Error(m)
		}
	}
	// The checker itself: a planted defect of each kind.
	planted := sourceCalls(t, "planted.go",
		"package p\nfunc f() { h.call(hipFree); h.lib.code(hipFree, 1, 2); h.call(hipNothing, 1); h.call(hipFree, 1) }")
	if bad := mismatches(planted, constants(t, "hip_protos.go"), hipProtos); len(bad) != 3 {
		t.Errorf("planted defects: %d found, want 3: %v", len(bad), bad)
	}
}

// All parameters are integers or pointers of at most a word: floats and structs would go to other registers.
func TestPrototypesPassWords(t *testing.T) {
	word := regexp.MustCompile(
		`^(const )?(void|char|float|int|unsigned int|unsigned char|unsigned long long|size_t|hip\w+_t|hip\w+Kind|hip\w+Mode|hipDeviceProp_tR0[06]00|CU\w+) ?\*{0,2} ?\w+$`)
	passed := regexp.MustCompile(`^(float|double|hipDeviceProp\w+|dim3) \w+$`)
	check := func(p proto) string {
		_, list, _ := strings.Cut(strings.TrimSuffix(string(p), ")"), "(")
		for _, param := range strings.Split(list, ", ") {
			if list != "" && (!word.MatchString(param) || passed.MatchString(param)) {
				return param
			}
		}
		return ""
	}
	for _, p := range slices.Concat(hipProtos, cudaProtos) {
		if bad := check(p); bad != "" {
			t.Errorf("%s: parameter %q", p, bad)
		}
	}
	for _, p := range []proto{"f(float x)", "f(hipDeviceProp_tR0600 prop)", "f(struct dim3 grid)"} {
		if check(p) == "" {
			t.Errorf("%s is accepted", p)
		}
	}
}

func TestProto(t *testing.T) {
	for _, c := range []struct {
		p        proto
		name     string
		args     int
		optional bool
	}{
		{"f()", "f", 0, false}, {"f(void)", "f", 0, false}, {"*g(int a)", "g", 1, true},
		{"h(int a, void **b)", "h", 2, false},
	} {
		if c.p.name() != c.name || c.p.args() != c.args || c.p.optional() != c.optional {
			t.Errorf("%s: %s, %d, %v", c.p, c.p.name(), c.p.args(), c.p.optional())
		}
	}
}
