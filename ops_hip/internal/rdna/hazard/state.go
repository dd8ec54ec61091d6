package hazard

import (
	"fmt"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// set holds a bit for each scalar register.
type set [2]uint64

func (s *set) add(r uint8)      { s[r>>6] |= 1 << (r & 63) }
func (s *set) has(r uint8) bool { return s[r>>6]>>(r&63)&1 != 0 }

// State is what a wave carries from one instruction to the next. The zero value is that of a wave that starts.
type State struct {
	kept           uint64 // pairs of registers that a vector instruction has read
	scalar, vector set    // kept registers with a write of either unit that may not have arrived
	vccBy          [2]bool
}

// Indices of vccBy, which has the same for VCC.
const (
	byScalar = iota
	byVector
)

func isVCC(r uint8) bool { return r == decode.VCCLo || r == decode.VCCHi }

// Step lets an instruction take effect and returns what it has to wait for and does not, or "". The state goes on as
// if it had waited.
func (s *State) Step(e *Effect) (missing string) {
	switch e.unit {
	case load:
		s.scalar, s.vector, s.vccBy = set{}, set{}, [2]bool{}
	case wait:
		s.wait(e.mask)
	case scalar, vector:
		imm := noWait
		for _, r := range e.reads {
			if text, mask := s.read(e.unit, r); text != "" {
				missing, imm = text, imm&mask
			}
		}
		if missing != "" {
			s.wait(imm)
		}
		for _, r := range e.writes {
			s.write(e.unit, r)
		}
	}
	return missing
}

// Fields of the immediate of s_wait_alu, where 0 waits, and the immediate that waits for nothing.
const (
	noWait uint16 = 0xff9f
	saSdst uint16 = 1 << 0
	vaVCC  uint16 = 1 << 1
	vaSdst uint16 = 7 << 9
)

func (s *State) wait(mask uint16) {
	if mask&vaVCC == 0 {
		s.vccBy[byVector] = false
	}
	if mask&saSdst == 0 {
		s.scalar, s.vccBy[byScalar] = set{}, false
	}
	if mask&vaSdst == 0 {
		s.vector = set{}
	}
}

// read returns what a read of a register lacks, and the s_wait_alu that would mend it.
func (s *State) read(u unit, r uint8) (missing string, mask uint16) {
	if u == scalar { // hardware waits for the vector unit, whether the register is kept or not
		if isVCC(r) {
			s.vccBy[byVector] = false
		} else {
			s.vector = set{}
		}
	}
	pair := uint64(1) << (r >> 1)
	if s.kept&pair == 0 {
		if u == vector {
			s.kept |= pair
		}
		return "", 0
	}
	mask = noWait
	if isVCC(r) {
		if s.vccBy[byScalar] {
			missing, mask = "scalar", mask&^saSdst
		}
		if s.vccBy[byVector] {
			missing, mask = "vector", mask&^vaVCC
		}
	} else {
		if s.scalar.has(r) {
			missing, mask = "scalar", mask&^saSdst
		}
		if u == vector && s.vector.has(r) {
			missing, mask = "vector", mask&^vaSdst
		}
	}
	if missing != "" {
		missing = fmt.Sprintf("%s was read by a vector instruction, then written by a %s instruction, and is read again without s_wait_alu",
			name(r), missing)
	}
	return missing, mask
}

func (s *State) write(u unit, r uint8) {
	switch {
	case s.kept>>(r>>1)&1 == 0:
	case isVCC(r):
		s.vccBy = [2]bool{}
		s.vccBy[u-scalar] = true
	case u == scalar:
		s.scalar.add(r)
	default:
		s.vector.add(r)
	}
}

func name(r uint8) string {
	switch {
	case r == decode.VCCLo:
		return "vcc_lo"
	case r == decode.VCCHi:
		return "vcc_hi"
	case r >= decode.TTMP0:
		return fmt.Sprintf("ttmp%d", r-decode.TTMP0)
	}
	return fmt.Sprintf("s%d", r)
}

// join adds what may be the case on another path, and reports whether that is new.
func (s *State) join(o *State) bool {
	old := *s
	s.kept |= o.kept
	for k := range s.scalar {
		s.scalar[k] |= o.scalar[k]
		s.vector[k] |= o.vector[k]
	}
	for k := range s.vccBy {
		s.vccBy[k] = s.vccBy[k] || o.vccBy[k]
	}
	return *s != old
}
