package place

import (
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/ops"
)

// ByRank is the [Placement] of models that are split over ranks: what is called after a rank, as in
// "blk.0.attn_q.weight@1", lies on the part of that number, the rest on the first.
func ByRank(u ops.WeightUse, _ ops.MemKind) int {
	_, digits, _ := strings.Cut(u.Name, "@")
	rank, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return rank
}
