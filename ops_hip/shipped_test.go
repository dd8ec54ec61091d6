package opship

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/codeobj"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
	"github.com/hipengine/hipengine/ops_hip/internal/kmeta"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/tensor"
)

// Every shipped object keeps the rules and the limits, and is the one whose hash is written down.
func TestShippedObjects(t *testing.T) {
	text, err := os.ReadFile("kernels/limits.txt")
	if err != nil {
		t.Fatal(err)
	}
	limits, err := kmeta.ParseLimits(string(text))
	if err != nil {
		t.Fatal(err)
	}
	used := make([]bool, len(limits))
	kernelsSeen, left := 0, 0
	for _, target := range codeobj.Targets() {
		set, err := codeobj.For(target, "")
		if err != nil {
			t.Fatal(err)
		}
		names := set.Names()
		sums, err := os.ReadFile(filepath.Join("codeobj", target, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count("\n"+string(sums), "\n") - strings.Count("\n"+string(sums),
			"\n#") - 1; got != len(names) {
			t.Errorf("%s: %d objects, %d hashes", target, len(names), got)
		}
		for _, name := range names {
			image, err := set.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			if line := fmt.Sprintf("%x  %s%s\n", sha256.Sum256(image), name,
				codeobj.Ext(target)); !strings.Contains(string(sums), line) {
				t.Errorf("%s: %s is not what SHA256SUMS says", target, name)
			}
			o, err := kmeta.Read(image)
			if err != nil {
				t.Errorf("%s: %s: %v", target, name, err)
				continue
			}
			if o.Target != target {
				t.Errorf("%s: %s is for %s", target, name, o.Target)
			}
			var code map[string][]decode.Inst
			for _, k := range o.Kernels {
				kernelsSeen++
				bounded := o.PTX // whose registers the driver assigns
				for i, l := range limits {
					if !l.Applies(k, target) {
						continue
					}
					used[i] = true
					bounded = bounded || l.VGPRs > 0
					if testing.Short() && l.Has != "" && target != "gfx1100" && target != "gfx1201" {
						left++
						continue
					}
					if code == nil && !o.PTX && l.Has != "" {
						if code, err = kmeta.Code(image); err != nil {
							t.Fatal(err)
						}
					}
					if err := l.Check(k, kmeta.Mnemonics(code[k.Name])); err != nil {
						t.Errorf("%s: %s: %v", target, name, err)
					}
				}
				if !bounded {
					t.Errorf("%s: %s: limits.txt has no ceiling for the vector registers of %s", target, name, k.Name)
				}
			}
		}
	}
	for i, l := range limits {
		if !used[i] && kernelsSeen > 0 {
			t.Errorf("limits.txt line %d: no kernel matches %s on %s", l.Line, l.Kernel, l.Target)
		}
	}
	if left > 0 {
		t.Log("SKIPPED: -short leaves instructions of targets beside gfx1100 and gfx1201 to make emulator")
	}
	t.Logf("%d kernels for %d targets", kernelsSeen, len(codeobj.Targets()))
}

// Every launch that a registered kernel makes for a conformance case of its op fits the object of every target.
func TestShippedLaunches(t *testing.T) {
	targets := codeobj.Targets()
	if testing.Short() {
		t.Log("SKIPPED: -short leaves targets whose kernels have the same parameters to make emulator")
		targets = []string{"gfx1100", "gfx1201", "sm_90"}
	}
	checkLaunches(t, kernels, "", targets)
}

// The same for the test kernels, so that the check itself is known to find something.
func TestLaunchChecks(t *testing.T) {
	dir := objectDir(t)
	if n := checkLaunches(t, testRegistry(), dir, []string{"gfx1100", "gfx1201", "sm_80", "sm_90"}); n < 4*10 {
		t.Errorf("only %d launches were checked", n)
	}
}

// checkLaunches compares launches with objects and returns how many there were.
func checkLaunches(t *testing.T, r registry, dir string, targets []string) (launches int) {
	t.Helper()
	for _, name := range targets {
		set, err := codeobj.For(name, dir)
		if err != nil {
			t.Fatal(err)
		}
		target := NewTarget(name, 0)
		objects := map[string]*module{}
		for _, op := range ops.Defs() {
			if len(r[op]) == 0 || op.Cases == nil {
				continue
			}
			for _, c := range op.Cases() {
				n := caseNode(t, op, c)
				for _, k := range r[op] {
					if k.Match(n, target) < 0 {
						continue
					}
					node := *n
					steps, err := alone(&node, k, target)
					if err != nil {
						t.Errorf("%s: %s/%s: %v", name, k.Name, c.Name, err)
					}
					var ls []Launch
					for _, s := range steps {
						ls = append(ls, s.launches...)
					}
					for _, l := range ls {
						launches++
						m := objects[l.Object]
						if m == nil {
							image, err := set.Read(l.Object)
							if err != nil {
								t.Errorf("%s: %s/%s: %v", name, k.Name, c.Name, err)
								continue
							}
							o, err := kmeta.Read(image)
							if err != nil {
								t.Fatal(err)
							}
							m = &module{meta: o}
							objects[l.Object] = m
						}
						if err := checkLaunch(&l, m.meta); err != nil {
							t.Errorf("%s: %s/%s: %v", name, k.Name, c.Name, err)
						}
					}
				}
			}
		}
	}
	return launches
}

// caseNode records a conformance case of an op.
func caseNode(t *testing.T, op *ops.Def, c ops.Case) *ops.Node {
	t.Helper()
	g := &ops.Graph{}
	var in []ops.Value
	for i, a := range c.Args {
		leaf := tensor.Tensor{Name: fmt.Sprint("arg", i), DType: a.DType, Shape: a.Shape}
		switch a.Leaf {
		case ops.Weight:
			leaf.Layout = LayoutOf(ops.WeightUse{Name: leaf.Name, DType: leaf.DType, Shape: leaf.Shape,
				Ops: []*ops.Def{op}})
			in = append(in, g.Weight(leaf))
		case ops.State:
			in = append(in, g.State(leaf))
		default:
			in = append(in, g.Input(leaf.Name, a.DType, a.Shape...))
		}
	}
	out := g.Add(op, c.Attrs, in...)
	if err := g.Err(); err != nil {
		t.Fatalf("%s/%s: %v", op.Name, c.Name, err)
	}
	return out[0].Node()
}

// Conformance cases of the test kernels' ops on the fake runtime: broadcasting, odd sizes, in both modes.
func TestCasesOnFake(t *testing.T) {
	d, _ := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, s.Close)
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range ops.AddOp.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			g := &ops.Graph{}
			x, y := g.Input("x", tensor.F32, c.Args[0].Shape...), g.Input("y", tensor.F32, c.Args[1].Shape...)
			p, err := d.Compile(g, nil, ops.Add(g, x, y))
			if err != nil {
				t.Fatal(err)
			}
			defer closing(t, p.Close)
			a, b := normal(r, c.Args[0].Shape.Elems()), normal(r, c.Args[1].Shape.Elems())
			for name, v := range map[string][]float32{"x": a, "y": b} {
				in, _ := p.Input(name)
				if err := s.Upload(in, raw(v)); err != nil {
					t.Fatal(err)
				}
			}
			got := make([]byte, 4*len(a))
			if err := s.Run(p); err != nil {
				t.Fatal(err)
			}
			if err := s.Download(got, p.Output(0)); err != nil {
				t.Fatal(err)
			}
			if err := s.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i, v := range floats(got) {
				if v != a[i]+b[i%len(b)] {
					t.Fatalf("element %d is %v, want %v", i, v, a[i]+b[i%len(b)])
				}
			}
		})
	}
}
