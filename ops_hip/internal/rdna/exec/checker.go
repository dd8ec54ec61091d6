package exec

import (
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/check"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

type checker struct{ opt check.Options }

func newChecker(o check.Options, vgprs int, set check.Registers) *checker { return &checker{o} }
func (c *checker) signal(w *wave)                                         {}
func (c *checker) barrier(w *wave)                                        {}
func (c *checker) ldsAccess(w *wave, addr uint32, n, lane int, write, atomic bool) bool {
	return true
}
func (c *compiler) withChecks(i *decode.Inst, f opFunc) opFunc { return f }
