package doctor

import (
	"fmt"
	"slices"
	"strings"

	opship "github.com/hipengine/hipengine/ops_hip"
)

// amdRepository is where AMD says how its packages are installed.
const amdRepository = "https://rocm.docs.amd.com/projects/install-on-linux"

// hip checks that there is a runtime that knows the targets of the cards.
func (r *Report) hip() {
	var lacks []string
	need := [2]int{}
	oldest := ""
	for _, g := range r.GPUs {
		if !g.Kernels {
			continue
		}
		major, minor, ok := opship.RuntimeFloor(g.Target)
		if !ok {
			continue
		}
		if v := [2]int{major, minor}; slices.Compare(v[:], need[:]) > 0 {
			need, oldest = v, g.Target
		}
		if r.Runtime.Path != "" && !r.Runtime.knows([2]int{major, minor}) {
			lacks = append(lacks, g.Target)
			if g.Problem == "" {
				g.Problem = fmt.Sprintf("HIP %s does not know %s", r.Runtime.Version, g.Target)
			}
		}
	}
	switch {
	case oldest == "":
	case r.Runtime.Path == "":
		for _, g := range r.GPUs {
			if g.Kernels && g.Problem == "" {
				g.Problem = "there is no HIP runtime"
			}
		}
		r.find(Problem, "HIP runtime", r.distro.install(need, oldest),
			"libamdhip64 is not installed; %s needs version %d.%d or later",
			oldest, need[0], need[1])
	case len(lacks) > 0:
		slices.Sort(lacks)
		fix := r.distro.install(need, oldest)
		if i := slices.IndexFunc(r.others, func(o Runtime) bool { return o.knows(need) }); i >= 0 {
			fix = []string{"export HIPENGINE_HIP_LIBRARY=" + r.others[i].Path}
		}
		r.find(Problem, "HIP runtime", fix,
			"%s is version %s, which does not know %s: version %d.%d or later does",
			r.Runtime.Path, r.Runtime.Version, strings.Join(slices.Compact(lacks), ", "), need[0], need[1])
	case strings.HasPrefix(oldest, "gfx120") && r.Runtime.major == 6 && r.Runtime.minor < 4:
		r.find(Warning, "HIP runtime", r.distro.install([2]int{6, 4}, oldest),
			"HIP %s is among the first that know %s: with wrong results "+
				"or hangs, take 6.4 or later", r.Runtime.Version, oldest)
	}
}

// packaged are the runtimes that distributions have. Sources: packages.debian.org, packages.ubuntu.com,
// packages.fedoraproject.org, archlinux.org, read in November 2026.
var packaged = []struct {
	kind, version string // of the distribution
	has           [2]int // version of HIP
	install       string
}{
	{"debian", "12", [2]int{5, 2}, "sudo apt install libamdhip64-5"},
	{"debian", "13", [2]int{5, 7}, "sudo apt install libamdhip64-5"},
	{"ubuntu", "24.04", [2]int{5, 7}, "sudo apt install libamdhip64-5"},
	{"ubuntu", "26.04", [2]int{7, 1}, "sudo apt install libamdhip64-7"},
	{"fedora", "43", [2]int{6, 4}, "sudo dnf install rocm-hip"},
	{"fedora", "44", [2]int{7, 1}, "sudo dnf install rocm-hip"},
	{"fedora", "45", [2]int{7, 2}, "sudo dnf install rocm-hip"},
	{"arch", "", [2]int{7, 0}, "sudo pacman -S hip-runtime-amd"},
}

// install returns the lines that install a HIP runtime of at least a version, for a target.
func (d distro) install(need [2]int, target string) []string {
	amd := map[string]string{"debian": "sudo apt install hip-runtime-amd",
		"ubuntu": "sudo apt install hip-runtime-amd",
		"fedora": "sudo dnf install hip-runtime-amd"}[d.kind]
	for _, p := range packaged {
		if p.kind != d.kind || p.version != "" && p.version != d.version {
			continue
		}
		if slices.Compare(p.has[:], need[:]) >= 0 {
			return []string{p.install}
		}
		return []string{
			fmt.Sprintf("%s has HIP %d.%d, which is too old for %s: add AMD's packages as %s says, then", d.name,
				p.has[0], p.has[1],
				target, amdRepository),
			amd,
		}
	}
	if amd != "" {
		return []string{fmt.Sprintf("add AMD's packages as %s says, then", amdRepository), amd}
	}
	return []string{"install AMD's HIP runtime, libamdhip64, as " + amdRepository + " says"}
}
