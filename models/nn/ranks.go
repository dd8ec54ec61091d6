package nn

import (
	"fmt"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// Ranks says over how many ranks a block is split.
type Ranks struct {
	N     int
	Block func(kind string) int // as in models.Splitter
}

// SplitMixer is a mixer that ranks can share.
type SplitMixer interface {
	Mixer
	// Split returns what each rank runs: mixers that take the whole residual stream and whose results add up to that of
	// the whole. They know the units of the weights that are theirs.
	Split(r Ranks) ([]Mixer, error)
}

// SplitFFN is a feed-forward network that ranks can share.
type SplitFFN interface {
	FFN
	// Split is as that of SplitMixer.
	Split(r Ranks) ([]FFN, error)
}

// Rank is where a rank runs its parts.
type Rank struct {
	Weights models.Weights // of the layer
	Step    *Step
}

// jointMixer is a split mixer whose ranks meet before its end, as where a norm spans the heads of all.
type jointMixer interface {
	// buildRanks records all parts, of which the receiver is the first, over the streams xs of the ranks.
	buildRanks(g *ops.Graph, ranks []Rank, parts []Mixer, layer int, xs []ops.Value) []ops.Value
}

// JointFFN is a split network whose ranks meet before its end.
type JointFFN interface {
	// BuildRanks records all parts, of which the receiver is the first, over the streams xs of the ranks. Every result
	// is that of the whole network: nothing is left to add.
	BuildRanks(g *ops.Graph, ranks []Rank, parts []FFN, xs []ops.Value) []ops.Value
}

// mix records the parts of a mixer. The results add up to that of the whole.
func mix(g *ops.Graph, ranks []Rank, parts []Mixer, layer int, xs []ops.Value) []ops.Value {
	if j, ok := parts[0].(jointMixer); ok && len(parts) > 1 {
		return j.buildRanks(g, ranks, parts, layer, xs)
	}
	ys := make([]ops.Value, len(parts))
	for r, p := range parts {
		ys[r] = p.Build(g, ranks[r].Weights, ranks[r].Step, layer, xs[r])
	}
	return ys
}

// feed records the parts of a network, and returns its result for each rank.
func feed(g *ops.Graph, ranks []Rank, parts []FFN, xs []ops.Value) []ops.Value {
	if j, ok := parts[0].(JointFFN); ok && len(parts) > 1 {
		return j.BuildRanks(g, ranks, parts, xs)
	}
	return FeedRanks(g, ranks, parts, xs)
}

// FeedRanks records parts that do not meet before their end, and adds what they make.
func FeedRanks(g *ops.Graph, ranks []Rank, parts []FFN, xs []ops.Value) []ops.Value {
	ys := make([]ops.Value, len(parts))
	for r, p := range parts {
		ys[r] = p.Build(g, ranks[r].Weights, xs[r])
	}
	return allReduce(g, ys)
}

// allReduce adds what ranks have made; a single rank has made all.
func allReduce(g *ops.Graph, ys []ops.Value) []ops.Value {
	if len(ys) == 1 {
		return ys
	}
	return ops.AllReduce(g, ys...)
}

// part is what one rank has of a block: of each kind of unit, those that are its own.
type part struct {
	rank  int
	units map[string][]models.Range
}

// parts returns n parts without units.
func parts(n int) []*part {
	out := make([]*part, n)
	for r := range out {
		out[r] = &part{r, map[string][]models.Range{}}
	}
	return out
}

// specs adds to s the part's shares of the weights that whole adds.
func (p *part) specs(s *Specs, whole func(*Specs)) {
	defer func(was *part) { s.part = was }(s.part)
	s.part = p
	whole(s)
}

// even divides units among n ranks, as evenly as can be.
func even(units, n int) []models.Range {
	out := make([]models.Range, n)
	for r := range out {
		out[r] = models.Range{Lo: units * r / n, Hi: units * (r + 1) / n}
	}
	return out
}

// wideColumns is the width of a rank's columns that suits kernels, where there are enough for it.
const wideColumns = 64

// columns divides columns, or rows, of the given kind, in blocks of the weights that are divided so.
func (r Ranks) columns(kind string, of int) ([]models.Range, error) {
	block := r.Block(kind)
	for unit := max(block, wideColumns); unit > 0; unit /= 2 {
		if of%unit != 0 || of/unit < r.N {
			if unit == block && of%unit == 0 {
				return nil, fmt.Errorf("%d columns of %s are %d blocks of %d weights", of, kind, of/unit, unit)
			}
			continue
		}
		shares := even(of/unit, r.N)
		for i := range shares {
			shares[i].Lo *= unit
			shares[i].Hi *= unit
		}
		return shares, nil
	}
	return nil, fmt.Errorf("there are %d columns of %s", of, kind)
}

// headShare is a rank's groups of heads, and its heads of them: all where it has several groups.
type headShare struct {
	groups models.Range
	within models.Range // heads of each group
}

// heads returns the rank's heads, where those of a group follow each other.
func (h headShare) heads(each int) models.Range {
	if h.within.Len() == each {
		return models.Range{Lo: h.groups.Lo * each, Hi: h.groups.Hi * each}
	}
	return models.Range{Lo: h.groups.Lo*each + h.within.Lo, Hi: h.groups.Lo*each + h.within.Hi}
}

// headGroups divides heads in groups, of each heads, such as those that share keys and values: whole groups where there
// are as many as ranks, else every group among some ranks, which all have what belongs to the group.
func (r Ranks) headGroups(what string, groups, each int) ([]headShare, error) {
	out := make([]headShare, r.N)
	if groups >= r.N {
		for i, g := range even(groups, r.N) {
			out[i] = headShare{g, models.Range{Lo: 0, Hi: each}}
		}
		return out, nil
	}
	for g, of := range even(r.N, groups) {
		if each < of.Len() {
			return nil, fmt.Errorf("there are %d %s", groups*each, what)
		}
		for i, h := range even(each, of.Len()) {
			out[of.Lo+i] = headShare{models.Range{Lo: g, Hi: g + 1}, h}
		}
	}
	return out, nil
}

// byRows is the split of a tensor whose outermost dimension is segs, byColumns that of a matrix whose rows are.
func byRows(segs ...models.Segment) models.Split    { return models.Split{Segments: segs} }
func byColumns(segs ...models.Segment) models.Split { return models.Split{Axis: 1, Segments: segs} }
