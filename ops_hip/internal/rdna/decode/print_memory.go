package decode

import (
	"fmt"
	"math/bits"
	"strings"
)

func (i *Inst) smemOffset() string {
	if i.MemOffset < 0 {
		return fmt.Sprintf("-%#x", -i.MemOffset)
	}
	return fmt.Sprintf("%#x", i.MemOffset)
}

// cache prints the cache policy bits.
func (i *Inst) cache(b *strings.Builder) {
	if i.GLC {
		b.WriteString(" glc")
	}
	if i.SLC {
		b.WriteString(" slc")
	}
	if i.DLC {
		b.WriteString(" dlc")
	}
	if i.TH != 0 {
		b.WriteString(" th:" + i.temporalHint())
	}
	if i.Scope != 0 {
		b.WriteString(" scope:" + [...]string{"", "SCOPE_SE", "SCOPE_DEV", "SCOPE_SYS"}[i.Scope])
	}
}

func (i *Inst) temporalHint() string {
	if isAtomic(i.Name) {
		switch {
		case i.TH&4 != 0 && i.Scope >= 2:
			return "TH_ATOMIC_CASCADE" + [...]string{"_RT", "_NT"}[i.TH>>1&1]
		case i.TH&4 != 0:
			return fmt.Sprintf("TH_ATOMIC_%#x", i.TH)
		case i.TH&2 != 0:
			return "TH_ATOMIC_NT" + [...]string{"", "_RETURN"}[i.TH&1]
		}
		return "TH_ATOMIC_RETURN"
	}
	store := strings.Contains(i.Name, "_store_")
	prefix, third := "TH_LOAD_", "LU"
	if store {
		prefix, third = "TH_STORE_", "RT_WB"
	}
	if i.Scope == 3 {
		third = "BYPASS"
	}
	if i.TH == 7 && !store {
		return "0x7"
	}
	return prefix + [...]string{"", "NT", "HT", third, "NT_RT", "RT_NT", "NT_HT", "NT_WB"}[i.TH]
}

// swizzle prints the offset of ds_swizzle_b32.
func swizzle(v uint16) string {
	if v == 0 {
		return ""
	}
	if v&0xff00 == 0x8000 {
		return fmt.Sprintf(" offset:swizzle(QUAD_PERM,%d,%d,%d,%d)", v&3, v>>2&3, v>>4&3, v>>6&3)
	}
	if v&0x8000 != 0 {
		return fmt.Sprintf(" offset:%d", v)
	}
	and, or, xor := v&31, v>>5&31, v>>10&31
	group := 32 - and
	switch {
	case and == 31 && or == 0 && bits.OnesCount16(xor) == 1:
		return fmt.Sprintf(" offset:swizzle(SWAP,%d)", xor)
	case and == 31 && or == 0 && xor > 0 && xor&(xor+1) == 0:
		return fmt.Sprintf(" offset:swizzle(REVERSE,%d)", xor+1)
	case group > 1 && group&(group-1) == 0 && or < group && xor == 0:
		return fmt.Sprintf(" offset:swizzle(BROADCAST,%d,%d)", group, or)
	}
	text := make([]byte, 0, 5)
	for m := uint16(16); m != 0; m >>= 1 {
		zero, one := (or^xor)&m != 0, ((31&and)|or)^xor
		switch {
		case zero == (one&m != 0) && !zero:
			text = append(text, '0')
		case zero == (one&m != 0):
			text = append(text, '1')
		case !zero:
			text = append(text, 'p')
		default:
			text = append(text, 'i')
		}
	}
	return fmt.Sprintf(" offset:swizzle(BITMASK_PERM,%q)", text)
}
