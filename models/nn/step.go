package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// Step is the batch of one step together with its state as the blocks recorded so far leave it, so that a layer can
// read what an earlier one wrote.
type Step struct {
	models.Batch
	suffix  string // of the names of states: that of a rank
	updated map[string]ops.Value
	heads   map[int]ops.Value // ids of so many heads
}

// NewStep returns a step of b in which no state is written yet but those of b.Updated.
func NewStep(b models.Batch) *Step { return newStep(b, "") }

func newStep(b models.Batch, suffix string) *Step {
	updated := b.Updated
	if updated == nil {
		updated = map[string]ops.Value{}
	}
	return &Step{b, suffix, updated, map[int]ops.Value{}}
}

// State returns the state called name: as an earlier block updated it, or declared in g as the step finds it.
func (s *Step) State(g *ops.Graph, name string) ops.Value {
	if v, ok := s.updated[name]; ok {
		return v
	}
	return s.Batch.State(g, name+s.suffix)
}

// Update makes v, which an op that writes the state returned, what State returns from now on.
func (s *Step) Update(name string, v ops.Value) { s.updated[name] = v }

// HeadIDs returns the ids, I32 [tokens, n], that let each of n heads choose its own matrix, recorded once a step.
func (s *Step) HeadIDs(g *ops.Graph, n int) ops.Value {
	if !s.heads[n].Valid() {
		s.heads[n] = ops.HeadIDs(g, s.Pos, n)
	}
	return s.heads[n]
}
