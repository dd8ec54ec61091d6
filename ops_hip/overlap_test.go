package opship

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/codeobj"
)

// weightParams are the parameters that point to weights, and to what else the launches right before never write, of the
// kernels of these objects that read some before they wait for those.
var weightParams = map[string][]string{
	"attention_decode":     {"_param_3", "_param_4"},                                                   // positions, sequences
	"delta_net_core":       {"_param_1", "_param_2", "_param_8", "_param_9", "_param_10", "_param_25"}, // and states
	"mul_mat_dot":          {"_param_2", "_param_4", "_param_6", "_param_8"},
	"mul_mat_gated":        {"_param_2", "_param_3"},
	"mul_mat_add_rms_norm": {"_param_2"},
	"mul_mat_skinny":       {"_param_2", "_param_4", "_param_6", "_param_8"},
	"mul_mat_stream":       {"_param_2", "_param_4", "_param_6", "_param_8"},
	"mixture_dot":          {"_param_1", "_param_2"}, // of the router
}

var (
	ptxRegister = regexp.MustCompile(`%[a-z]+\d+|_param_\d+`)
	ptxAccess   = regexp.MustCompile(`^(?:@!?%p\d+ )?(?:ld|st|atom|red|cp\.async\.c[ag])\.`)
	ptxLocal    = regexp.MustCompile(`^(?:@!?%p\d+ )?(?:ld|st|atom|red)\.(?:param|shared)`)
	ptxBranch   = regexp.MustCompile(`^(@!?%p\d+ )?bra(?:\.uni)? (\$\w+);`)
	ptxSwitch   = regexp.MustCompile(`(?s)(\$L_brx_\d+): \.branchtargets(.*?);`)
	ptxLabel    = regexp.MustCompile(`\$\w+`)
)

// earlyAccesses returns the instructions of a kernel that may read or write global memory before the kernel has waited,
// but those whose addresses come from no parameters but weights.
func earlyAccesses(kernel string, weights []string) (bad []string) {
	var code []string
	labels, switches := map[string]int{}, map[string][]string{}
	for _, s := range ptxSwitch.FindAllStringSubmatch(kernel, -1) {
		switches[s[1]] = ptxLabel.FindAllString(s[2], -1)
	}
	kernel = ptxSwitch.ReplaceAllString(kernel, "")
	for _, line := range strings.Split(kernel, "\n") {
		line, _, _ = strings.Cut(strings.Join(strings.Fields(line), " "), " //")
		if l, ok := strings.CutSuffix(line, ":"); ok {
			labels[l] = len(code)
		} else if strings.HasSuffix(line, ";") && !strings.HasPrefix(line, ".") {
			code = append(code, line)
		}
	}
	// All that can be reached without a wait.
	var early []string
	seen := make([]bool, len(code))
	for todo := []int{0}; len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if i >= len(code) || seen[i] {
			continue
		}
		seen[i] = true
		c := code[i]
		if b := ptxBranch.FindStringSubmatch(c); b != nil {
			todo = append(todo, labels[b[2]])
			if b[1] == "" {
				continue
			}
		}
		if strings.HasPrefix(c, "brx.idx") {
			for _, l := range switches[ptxLabel.FindString(c)] {
				todo = append(todo, labels[l])
			}
			continue
		}
		if c == "griddepcontrol.wait;" || c == "ret;" {
			continue
		}
		todo = append(todo, i+1)
		if ptxAccess.MatchString(c) && !ptxLocal.MatchString(c) {
			early = append(early, c)
		}
	}
	if early == nil {
		return nil // as most kernels: what follows takes long
	}
	// What parameters of 64 bits the values of registers come from, whatever the order of instructions.
	from := map[string][]string{}
	var moves [][]string // registers of an instruction, the one it writes first
	for _, c := range code {
		regs := ptxRegister.FindAllString(c, -1)
		if len(regs) < 2 || ptxAccess.MatchString(c) && !strings.HasPrefix(c, "ld.param.b64") {
			continue // what is read from memory is no address
		}
		moves = append(moves, regs)
	}
	for changed := true; changed; {
		changed = false
		for _, regs := range moves {
			for _, r := range regs[1:] {
				of := from[r]
				if r[0] == '_' {
					of = []string{r}
				}
				for _, p := range of {
					if !slices.Contains(from[regs[0]], p) {
						from[regs[0]], changed = append(from[regs[0]], p), true
					}
				}
			}
		}
	}
	for _, c := range early {
		of := from[ptxRegister.FindString(c[strings.LastIndexByte(c, '['):])] // copies name where to in LDS first
		if len(of) == 0 || slices.ContainsFunc(of, func(p string) bool { return !slices.Contains(weights, p) }) {
			bad = append(bad, c)
		}
	}
	return bad
}

// Every kernel that launches may overlap waits before it reads or writes what others do.
func TestWaitsComeFirst(t *testing.T) {
	set, err := codeobj.For("sm_90", "")
	if err != nil {
		t.Fatal(err)
	}
	early := 0
	for _, name := range set.Names() {
		image, err := set.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range strings.Split(string(image), ".visible .entry ")[1:] {
			body, _, _ = strings.Cut(body, "\n}")
			kernel, _, _ := strings.Cut(body, "(")
			if !strings.Contains(body, "griddepcontrol.wait;") {
				t.Errorf("%s does not wait", kernel)
			}
			if bad := earlyAccesses(body, weightParams[name]); bad != nil {
				t.Errorf("%s reads or writes before it waits: %q", kernel, bad)
			}
			if weightParams[name] != nil && earlyAccesses(body, nil) != nil {
				early++
			}
		}
	}
	if early == 0 {
		t.Error("no kernel reads weights before it waits, or the test does not see it")
	}
}
