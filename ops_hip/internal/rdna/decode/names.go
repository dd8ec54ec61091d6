package decode

import "strings"

func dsTwoOffsets(base string) bool {
	return strings.Contains(base, "2addr")
}

func isAtomic(base string) bool   { return strings.Contains(base, "_atomic_") }
func isCmpswap(base string) bool  { return strings.Contains(base, "_cmpswap_") }
func isPacked16(base string) bool { return strings.HasPrefix(base, "v_pk_") }

// usesOpSelHi reports whether a VOP3P instruction has the op_sel_hi operand in
// its assembly syntax and whether its default is all ones.
func usesOpSelHi(base string) (has, defaultOnes bool) {
	switch {
	case strings.HasPrefix(base, "v_fma_mix"):
		return true, false
	case isPacked16(base), strings.HasPrefix(base, "v_dot2_f32"):
		return true, true
	}
	return false, false
}
