package kmeta

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/internal/codeobj"
)

// Limit is a demand on the kernels that its patterns (of package path) match, beyond the rules for all of them.
type Limit struct {
	Kernel, Target string
	VGPRs          int    // at most this many registers; 0 for no limit
	Has            string // an instruction whose mnemonic starts so must occur; empty for none
	Line           int    // where it stands
}

// ParseLimits reads a table with a line "KERNEL TARGET vgprs N" or "KERNEL TARGET has MNEMONIC" per limit; lines
// that start with # are comments.
func ParseLimits(text string) ([]Limit, error) {
	var ls []Limit
	n := 0
	for line := range strings.Lines(text) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) != 4 {
			return nil, fmt.Errorf("kmeta: limits, line %d: %d fields, want KERNEL TARGET RULE VALUE", n, len(f))
		}
		l := Limit{Kernel: f[0], Target: f[1], Line: n}
		for _, p := range f[:2] {
			if _, err := path.Match(p, ""); err != nil {
				return nil, fmt.Errorf("kmeta: limits, line %d: pattern %q: %w", n, p, err)
			}
		}
		switch f[2] {
		case "vgprs":
			v, err := strconv.Atoi(f[3])
			if err != nil || v < 1 {
				return nil, fmt.Errorf("kmeta: limits, line %d: %q is no count of registers", n, f[3])
			}
			l.VGPRs = v
		case "has":
			l.Has = f[3]
		default:
			return nil, fmt.Errorf("kmeta: limits, line %d: unknown rule %q", n, f[2])
		}
		ls = append(ls, l)
	}
	return ls, nil
}

// Applies reports whether l is about kernel k of a target.
func (l Limit) Applies(k codeobj.Kernel, target string) bool {
	kernel, _ := path.Match(l.Kernel, k.Name) // ParseLimits checked the patterns
	on, _ := path.Match(l.Target, target)
	return kernel && on
}

// Check returns what is wrong with k, whose instructions are given by [Mnemonics], or are nil if they are not
// known: then only registers are checked.
func (l Limit) Check(k codeobj.Kernel, instructions []string) error {
	if l.VGPRs > 0 && k.VGPRs > l.VGPRs {
		return fmt.Errorf("kmeta: kernel %s uses %d VGPRs, at most %d are allowed (line %d)", k.Name, k.VGPRs, l.VGPRs,
			l.Line)
	}
	if l.Has == "" || instructions == nil {
		return nil
	}
	for _, i := range instructions {
		if strings.HasPrefix(i, l.Has) {
			return nil
		}
	}
	return fmt.Errorf("kmeta: kernel %s has no instruction %s* (line %d)", k.Name, l.Has, l.Line)
}
