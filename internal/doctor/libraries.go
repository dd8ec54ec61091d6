package doctor

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

const hipName = "libamdhip64.so."

// libraries finds the HIP runtimes where the program looks for them, in its order: first those in the loader's path,
// by major version, then those of AMD's packages.
func (r *Report) libraries(t tree) {
	loader := []string{"usr/lib/*-linux-gnu", "usr/lib64", "usr/lib", "lib64", "lib/*-linux-gnu"}
	for _, f := range t.glob("etc/ld.so.conf.d/*.conf") {
		for line := range strings.Lines(t.text(f)) {
			if dir := strings.Trim(strings.TrimSpace(line), "/"); strings.HasPrefix(dir, "opt/rocm") {
				loader = append(loader, dir)
			}
		}
	}
	var found []Runtime
	add := func(dirs ...string) {
		var here []Runtime
		for _, dir := range dirs {
			for _, f := range t.glob(dir, hipName+"*") {
				v := digits(strings.TrimPrefix(path.Base(f), hipName))
				here = append(here, Runtime{Path: "/" + f, Version: fmt.Sprintf("%d.%d", v[0], v[1]), major: v[0],
					minor: v[1]})
			}
		}
		order := []int{7, 6, 10, 9, 8, 5} // of major versions, as the program tries them
		slices.SortStableFunc(here, func(a, b Runtime) int {
			place := func(r Runtime) int { return slices.Index(order, r.major) & 15 } // unknown ones last
			// A name with more of the version is the file that a shorter one links to.
			return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(len(path.Base(b.Path)), len(path.Base(a.Path))))
		})
		found = append(found, here...)
	}
	add(loader...)
	add("opt/rocm/lib", "opt/rocm*/lib", "opt/rocm/core-*/lib")
	if file, _ := t.environ("HIPENGINE_HIP_LIBRARY"); file != "" {
		v := digits(strings.TrimPrefix(path.Base(file), hipName))
		found = slices.Insert(found, 0, Runtime{Path: file, Version: fmt.Sprintf("%d.%d", v[0], v[1]), major: v[0],
			minor: v[1]})
	}
	if len(found) > 0 {
		r.Runtime, r.others = found[0], found[1:]
	}
}

// knows reports whether a runtime is of a version or later.
func (r Runtime) knows(version [2]int) bool {
	have := [2]int{r.major, r.minor}
	return slices.Compare(have[:], version[:]) >= 0
}
