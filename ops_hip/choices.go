package opship

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/ops"
)

// Choice says which kernel takes products with weights. Of a node's choices the first counts whose kernel can run it;
// where there is none, the kernel is that of the best match. Products that are to be exact, or must not depend on the
// number of tokens, have no choice.
type Choice struct {
	Target string // instruction set; like Op and Type a pattern of [path.Match]: "gfx110?", "*"
	Op     string // "mul_mat", "mul_mat_group?"
	Type   string // of the first weight: "Q4_K"
	Tokens [2]int // fewest and most
	N, K   int    // rows of the first weight and elements of a row; 0 for any
	Kernel string // what its name has behind that of the op: "skinny" of mul_mat_skinny
}

// builtin are the choices that no file makes. On NVIDIA, tiles of few tokens would leave most of the device idle.
var builtin = []Choice{
	{"sm_*", "mul_mat*", "*", [2]int{1, 1}, 0, 0, "stream"},
	{"sm_*", "mul_mat*", "*", [2]int{skinnyTokens + 1, skinnyMost}, 0, 0, "skinny"},
	{"*", "mul_mat*", "*", [2]int{2, skinnyTokens}, 0, 0, "skinny"},
	{"*", "mul_mat*", "*", [2]int{1, vecTokens}, 0, 0, "dot"},
	{"*", "mul_mat*", "*", [2]int{1, vecTokens}, 0, 0, "vec"},
	{"*", "mul_mat*", "*", [2]int{vecTokens + 1, math.MaxInt32}, 0, 0, "mma"},
}

// String returns the choice as a line of a file: target, op, type, tokens, sizes and kernel.
func (c Choice) String() string {
	size := func(n int) string {
		if n == 0 {
			return "*"
		}
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s %s %s %d-%d %sx%s %s", c.Target, c.Op, c.Type, c.Tokens[0], c.Tokens[1], size(c.N), size(c.K),
		c.Kernel)
}

// ParseChoice reads what String writes. Its error says what is wrong.
func ParseChoice(line string) (c Choice, err error) {
	f := strings.Fields(line)
	if len(f) != 6 {
		return c, fmt.Errorf("%d fields, want target, op, type, tokens, sizes and kernel", len(f))
	}
	c = Choice{Target: f[0], Op: f[1], Type: f[2], Kernel: f[5]}
	for _, p := range f[:3] {
		if _, err := path.Match(p, ""); err != nil {
			return c, fmt.Errorf("%q is no pattern", p)
		}
	}
	from, to, ok := strings.Cut(f[3], "-")
	if !ok {
		to = from
	}
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	if errA != nil || errB != nil || a < 1 || b < a || b > math.MaxInt32 {
		return c, fmt.Errorf("tokens %q are not a number or a range like 2-16", f[3])
	}
	c.Tokens = [2]int{a, b}
	n, k, ok := strings.Cut(f[4], "x")
	for i, s := range []string{n, k} {
		if s == "*" {
			continue
		}
		v, err := strconv.Atoi(s)
		if err != nil || v < 1 || !ok {
			return c, fmt.Errorf("sizes %q are not like 4096x14336 or *x*", f[4])
		}
		*[]*int{&c.N, &c.K}[i] = v
	}
	return c, c.known()
}

// known reports what no op or type of weights has.
func (c Choice) known() error {
	typed, chosen := false, false
	for name := range weightTypes {
		typed = typed || matches(c.Type, name)
	}
	var of []string
	for op, ks := range kernels {
		if !matches(c.Op, op.Name) {
			continue
		}
		of = append(of, op.Name)
		for _, k := range ks {
			chosen = chosen || k.Name == op.Name+"_"+c.Kernel
		}
	}
	switch {
	case len(of) == 0:
		return fmt.Errorf("no op is called %q", c.Op)
	case !typed:
		return fmt.Errorf("no type of weights is called %q", c.Type)
	case !chosen:
		return fmt.Errorf("no kernel of %s is called %q", c.Op, c.Kernel)
	}
	return nil
}

func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}

// ReadChoices reads a choice from each line that is not empty and does not start with #. The error names the line.
func ReadChoices(r io.Reader) ([]Choice, error) {
	var cs []Choice
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		c, err := ParseChoice(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		cs = append(cs, c)
	}
	return cs, s.Err()
}

// choicesOf returns the choices of a file, and behind them those that are built in.
func choicesOf(file string) ([]Choice, error) {
	if file == "" {
		return builtin, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("choices of kernels: %w", err)
	}
	defer f.Close()
	cs, err := ReadChoices(f)
	if err != nil {
		return nil, fmt.Errorf("choices of kernels: %s: %w", file, err)
	}
	return append(cs, builtin...), nil
}

// takes reports whether c is for node n on t.
func (c Choice) takes(n *ops.Node, t *Target) bool {
	if !matches(c.Op, n.Op.Name) || !matches(c.Target, t.Name) || len(n.In) < 2 || len(n.In[1].Shape()) < 2 {
		return false
	}
	m, w := n.In[0].Shape()[0], n.In[1].Shape()
	return c.Tokens[0] <= m && m <= c.Tokens[1] && matches(c.Type, n.In[1].DType().String()) &&
		cmp.Or(c.N, w[len(w)-2]) == w[len(w)-2] && cmp.Or(c.K, w.Last()) == w.Last()
}

// chosen returns the kernel that the choices of t give n, or false.
func (r registry) chosen(n *ops.Node, t *Target) (Kernel, bool) {
	if t.Invariant || ops.Exact(n) {
		return Kernel{}, false
	}
	for _, c := range t.choices {
		if !c.takes(n, t) {
			continue
		}
		for _, k := range r[n.Op] {
			if k.Name == n.Op.Name+"_"+c.Kernel && k.Match(n, t) >= 0 {
				return k, true
			}
		}
	}
	return Kernel{}, false
}
