package hazard

import (
	"fmt"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// Site is an instruction that lacks a wait on some path to it.
type Site struct {
	Inst    *decode.Inst
	Missing string // as [State.Step] says it
}

// String gives the offset, the instruction and what is wrong.
func (s Site) String() string {
	return fmt.Sprintf("%#x %q: %s", s.Inst.Offset, s.Inst.String(), s.Missing)
}

// Sites returns the sites of a kernel of GFX12, whose instructions follow each other in insts and start with the
// entry. It follows both ways of every branch. The error names a jump that leaves the kernel or whose target is not
// in the instruction, since what comes after it is not known.
func Sites(insts []decode.Inst) ([]Site, error) {
	effects := make([]Effect, len(insts))
	at := make(map[int]int, len(insts))
	for k := range insts {
		effects[k] = EffectOf(&insts[k])
		at[insts[k].Offset] = k
	}
	in := make([]State, len(insts))
	seen := make([]bool, len(insts))
	missing := make([]Site, len(insts))
	work := []int{0}
	visit := func(k int, s State) {
		if grown := in[k].join(&s); grown || !seen[k] {
			seen[k] = true
			work = append(work, k)
		}
	}
	for len(work) > 0 {
		k := work[len(work)-1]
		work = work[:len(work)-1]
		for ; k < len(insts); k++ { // along straight code, without the list
			s := in[k]
			seen[k] = true
			missing[k] = Site{&insts[k], s.Step(&effects[k])}
			targets, falls, err := next(&insts[k], at)
			if err != nil {
				return nil, err
			}
			for _, t := range targets {
				visit(t, s)
			}
			if !falls {
				break
			}
			if k+1 == len(insts) {
				return nil, fmt.Errorf("hazard: %#x %q: the kernel ends without s_endpgm", insts[k].Offset,
					insts[k].String())
			}
			if grown := in[k+1].join(&s); !grown && seen[k+1] {
				break
			}
		}
	}
	var sites []Site
	for _, m := range missing {
		if m.Missing != "" {
			sites = append(sites, m)
		}
	}
	return sites, nil
}

// next returns where an instruction may jump to and whether the one behind it may follow.
func next(i *decode.Inst, at map[int]int) (targets []int, falls bool, err error) {
	switch i.Name {
	case "s_endpgm", "s_endpgm_saved":
		return nil, false, nil
	case "s_setpc_b64", "s_swappc_b64", "s_call_b64", "s_rfe_b64":
		return nil, false, fmt.Errorf("hazard: %#x %q: jumps through registers are not followed", i.Offset, i.String())
	case "s_branch", "s_cbranch_scc0", "s_cbranch_scc1", "s_cbranch_vccz", "s_cbranch_vccnz", "s_cbranch_execz",
		"s_cbranch_execnz":
		k, ok := at[i.Target()]
		if !ok {
			return nil, false, fmt.Errorf("hazard: %#x %q: jumps out of the kernel", i.Offset, i.String())
		}
		return []int{k}, i.Name != "s_branch", nil
	}
	return nil, true, nil
}
