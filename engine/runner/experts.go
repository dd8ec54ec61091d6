package runner

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// ExpertUse is how a model with slots for experts (models.ExpertCacher) uses them, since the start.
type ExpertUse struct {
	Slots   int    // of all layers; 0: there are none
	Choices uint64 // of experts, by tokens of all steps, padding included
	Hits    uint64 // of these, that met a slot
	Moved   uint64 // copies of experts that were made
}

// Share returns which part of the choices met a slot.
func (u ExpertUse) Share() float64 { return float64(u.Hits) / float64(max(1, u.Choices)) }

// String describes the use: "12 of 20 choices of experts (60.0 %) met one of 8 copies; 5 were made since loading".
func (u ExpertUse) String() string {
	return fmt.Sprintf("%d of %d choices of experts (%.1f %%) met one of %d copies; %d were made since loading", u.Hits,
		u.Choices, 100*u.Share(), u.Slots, u.Moved)
}

// When experts are moved, and how many.
const (
	// expertSteps is how many steps are between looks at what was chosen.
	expertSteps = 4

	// expertBytes bounds what is copied at a look; one expert always is.
	expertBytes = 16 << 20

	// expertHalf is how often an expert is chosen on average until what was counted before counts half: some ten
	// choices of those that are not chosen at random.
	expertHalf = 32

	// An expert takes the slot of another that was chosen less often by expertGain, for a copy is taken to cost
	// about as much as so many products with it where it is, and by expertNoise standard deviations, so that those that
	// are chosen as often as each other do not take turns.
	expertGain  = 3
	expertNoise = 3
)

// expertCache decides which experts have slots, by how often they are chosen.
type expertCache struct {
	layers  []layerExperts
	steps   int // since the last look
	staging []byte
	raw     []byte

	slots                 int
	choices, hits, copies atomic.Uint64
}

// layerExperts are the experts of a layer.
type layerExperts struct {
	models.ExpertSlots
	slot []int32   // of each expert, -1: none
	held []int32   // expert in each slot, -1: none, for its copy failed
	seen []uint32  // counts at the last look
	uses []float64 // choices of late

	stale bool // the device's table is not slot
}

// newExpertCache returns what decides on the slots of a model's experts; nil if there are none.
func newExpertCache(w models.Weights) (*expertCache, error) {
	list, err := w.ExpertSlots()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	c := &expertCache{}
	for _, l := range list {
		x := layerExperts{ExpertSlots: l, slot: make([]int32, l.Experts), held: make([]int32, l.Slots),
			seen: make([]uint32, l.Experts), uses: make([]float64, l.Experts)}
		for e := range x.slot {
			if x.slot[e] = -1; e < l.Slots { // as they are loaded
				x.slot[e], x.held[e] = int32(e), int32(e)
			}
		}
		c.layers = append(c.layers, x)
		c.slots += l.Slots
	}
	return c, nil
}

// ExpertUse may be called from any goroutine.
func (r *Runner) ExpertUse() ExpertUse {
	c := r.experts
	if c == nil {
		return ExpertUse{}
	}
	return ExpertUse{c.slots, c.choices.Load(), c.hits.Load(), c.copies.Load()}
}

// moveExperts gives slots to the experts that were chosen most, before a step. The stream's work is done, so that what
// is enqueued comes between that of steps.
func (r *Runner) moveExperts(ctx context.Context) error {
	c := r.experts
	if c == nil {
		return nil
	}
	if c.steps++; c.steps <= expertSteps {
		return c.writeTables(r.stream) // what an error kept back
	}
	c.steps = 1
	if err := r.countExperts(ctx); err != nil {
		return fmt.Errorf("runner: uses of experts: %w", err)
	}
	sync := func() error { return r.stream.Sync(ctx) }
	for left := int64(expertBytes); ; {
		i, expert, slot := c.best()
		if i < 0 || left <= 0 {
			break
		}
		l := &c.layers[i]
		if old := l.held[slot]; old >= 0 {
			l.slot[old], l.held[slot] = -1, -1
		}
		l.stale = true
		var err error
		if c.staging, err = l.Fill(r.stream, slot, expert, c.staging, sync); err != nil {
			return fmt.Errorf("runner: %w", err)
		}
		l.slot[expert], l.held[slot] = int32(slot), int32(expert)
		c.copies.Add(1)
		left -= l.Bytes
	}
	return c.writeTables(r.stream)
}

// writeTables brings the tables of the device up to date. A step must not run before, for slots may hold others.
func (c *expertCache) writeTables(stream ops.Stream) error {
	for i := range c.layers {
		l := &c.layers[i]
		if !l.stale {
			continue
		}
		c.raw = c.raw[:0]
		for _, s := range l.slot {
			c.raw = binary.LittleEndian.AppendUint32(c.raw, uint32(s))
		}
		if err := stream.Upload(l.Table, c.raw); err != nil {
			return fmt.Errorf("runner: slots of experts: %w", err)
		}
		l.stale = false
	}
	return nil
}

// countExperts reads how often experts were chosen since the last look.
func (r *Runner) countExperts(ctx context.Context) error {
	c := r.experts
	total := 0
	for _, l := range c.layers {
		total += 4 * l.Experts
	}
	c.raw = slices.Grow(c.raw[:0], total)[:total]
	at := 0
	for _, l := range c.layers {
		if err := r.stream.Download(c.raw[at:at+4*l.Experts], l.Uses); err != nil {
			return err
		}
		at += 4 * l.Experts
	}
	if err := r.stream.Sync(ctx); err != nil {
		return err
	}
	raw := c.raw
	for i := range c.layers {
		raw = raw[c.layers[i].count(c, raw):]
	}
	return nil
}

// count takes in the counts of a layer, of which it returns the length.
func (l *layerExperts) count(c *expertCache, raw []byte) int {
	var all uint64
	for e := range l.seen {
		now := binary.LittleEndian.Uint32(raw[4*e:])
		n := now - l.seen[e] // counts wrap around
		l.seen[e] = now
		l.uses[e] += float64(n)
		if all += uint64(n); l.slot[e] >= 0 {
			c.hits.Add(uint64(n))
		}
	}
	c.choices.Add(all)
	decay := math.Exp2(-float64(all) / float64(l.Experts) / expertHalf)
	for e := range l.uses {
		l.uses[e] *= decay
	}
	return 4 * l.Experts
}

// best returns the layer with the expert that gains most by a slot, and whose it takes; a negative layer for none.
func (c *expertCache) best() (layer, expert, slot int) {
	layer = -1
	var most float64
	for i, l := range c.layers {
		if l.Slots == l.Experts {
			continue
		}
		to, from := -1, 0
		for e, uses := range l.uses {
			if l.slot[e] < 0 && (to < 0 || uses > l.uses[to]) {
				to = e
			}
		}
		uses := func(slot int) float64 { // of what it holds
			if e := l.held[slot]; e >= 0 {
				return l.uses[e]
			}
			return 0
		}
		for s := range l.held {
			if uses(s) < uses(from) {
				from = s
			}
		}
		often, least := l.uses[to], uses(from)
		if gain := often - least - expertGain - expertNoise*math.Sqrt(often+least); gain > most {
			layer, expert, slot, most = i, to, from, gain
		}
	}
	return layer, expert, slot
}
