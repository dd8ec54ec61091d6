package runner

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Memory says what a model needs on a device, in bytes, and what there is.
type Memory struct {
	Device  string // name
	Weights int64  // in the device's layout
	State   int64  // KV cache and recurrent state of all sequences
	Plans   int64  // activations and scratch memory of the largest step
	Free    int64  // on the device, for all of that; -1 if it cannot tell

	Context int // tokens of a sequence that State and Plans are for
	Seqs    int // sequences

	// Kept is how many recurrent states State has beside the last ones of sequences, for Options.RewindTokens.
	Kept int

	// Fits is the longest context that fits where Context does not, in tokens; 0 if none does.
	Fits int

	// Parts are the devices that the device consists of, each with its part of the sums above; none if it is one.
	Parts []PartMemory
}

// PartMemory is what a model needs on one of several devices, in bytes, and what there is.
type PartMemory struct {
	Device                string
	Weights, State, Plans int64
	Free                  int64 // as in Memory; devices of one name share it
}

// Need returns what the model needs there.
func (p PartMemory) Need() int64 { return p.Weights + p.State + p.Plans }

// crowded returns the needs of the first device that has less than all its parts need.
func (m Memory) crowded() (p PartMemory, ok bool) {
	for i, first := range m.Parts {
		sum := first
		for _, q := range m.Parts[i+1:] {
			if q.Device == first.Device {
				sum.Weights, sum.State, sum.Plans = sum.Weights+q.Weights, sum.State+q.State, sum.Plans+q.Plans
			}
		}
		if sum.Free >= 0 && sum.Need() > sum.Free {
			return sum, true
		}
	}
	return PartMemory{}, false
}

// Need returns what the model needs in all.
func (m Memory) Need() int64 { return m.Weights + m.State + m.Plans }

// Err returns a *MemoryError if the device has less than the model needs, else nil. A device that cannot tell what is
// free may be tried.
func (m Memory) Err() error {
	if p, ok := m.crowded(); ok {
		m.Device, m.Weights, m.State, m.Plans, m.Free, m.Parts = p.Device, p.Weights, p.State, p.Plans, p.Free, nil
		return &MemoryError{m}
	}
	if len(m.Parts) > 0 || m.Free < 0 || m.Need() <= m.Free {
		return nil
	}
	return &MemoryError{m}
}

// String lists the parts: "weights 4.1 GiB, state 1.0 GiB (1 sequence of 8192 tokens), plans 0.2 GiB: 5.3 GiB of 23.9
// GiB free on hip:0".
func (m Memory) String() string {
	s := fmt.Sprintf("%s: %s", m.parts(), FormatBytes(m.Need()))
	if m.Free >= 0 {
		s += fmt.Sprintf(" of %s free", FormatBytes(m.Free))
	}
	return s + " on " + m.Device
}

func (m Memory) parts() string {
	seqs := "1 sequence"
	if m.Seqs != 1 {
		seqs = fmt.Sprintf("%d sequences", m.Seqs)
	}
	kept := ""
	if m.Kept > 0 {
		kept = fmt.Sprintf(" and %d earlier states", m.Kept)
	}
	return fmt.Sprintf("weights %s, state %s (%s of %d tokens%s), plans %s", FormatBytes(m.Weights), FormatBytes(m.State),
		seqs, m.Context, kept, FormatBytes(m.Plans))
}

// FormatBytes formats a size as Memory does: "4.1 GiB", below a tenth of that "31.0 MiB", below a tenth of that "2.0
// KiB".
func FormatBytes(n int64) string {
	switch {
	case n >= 1<<30/10:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20/10:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}

// MemoryError reports a model that does not fit on a device.
type MemoryError struct{ Memory }

// Error names each part, what is free, by how much it is too little, and what would fit.
func (e *MemoryError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "runner: the model does not fit on %s: %s are %s, and %s is free: %s too little", e.Device,
		e.parts(),
		FormatBytes(e.Need()), FormatBytes(e.Free), FormatBytes(e.Need()-e.Free))
	switch {
	case e.Fits > 0:
		fmt.Fprintf(&b, "; a context of %d tokens fits", e.Fits)
	case e.Weights > e.Free:
		b.WriteString("; the weights alone do not fit")
	default:
		b.WriteString("; no context fits beside the weights")
	}
	return b.String()
}

// PlanMemory adds up what LoadWeights and New would allocate for m, and its largest plans for steps that return one
// row of logits for each sequence. It allocates nothing on the device. The error is not about memory: tensors that src
// lacks, options out of range, ops that the device cannot do.
func PlanMemory(dev ops.Device, m models.Model, src models.Source, o Options) (Memory, error) {
	full, err := o.with(m.Params(), dev)
	if err == nil {
		err = o.check(dev)
	}
	if err != nil {
		return Memory{}, err
	}
	w, weights, err := models.DeclareWeights(m, src, dev)
	if err != nil {
		return Memory{}, err
	}
	if full, err = full.keeping(dev, m, w); err != nil {
		return Memory{}, err
	}
	o.Rewind, o.RewindTokens, o.kept = full.Rewind, full.RewindTokens, full.kept
	caps := dev.Caps()
	free := o.free(dev)
	parts, err := o.parts(dev, w)
	if err != nil {
		return Memory{}, err
	}
	// at is what o needs, with or without plans.
	at := func(o Options, plans bool) (Memory, error) {
		mem := Memory{Device: dev.Info().Name, Weights: weights, Free: free, Context: o.Context, Seqs: o.Seqs,
			Kept: o.kept}
		ts, sizes, err := stateTensors(m.State(), o, dev.Info().Buckets)
		if err != nil {
			return mem, err
		}
		states, err := declareStates(dev, ts)
		if err != nil {
			return mem, err
		}
		mem.Parts = slices.Clone(parts)
		for i, t := range ts {
			mem.State += sizes[i]
			if len(parts) > 0 {
				on, err := homeOf(dev, t)
				if err != nil {
					return mem, err
				}
				mem.Parts[slices.Index(caps.Parts(), on)].State += sizes[i]
			}
		}
		if caps.PlanBytes != nil && plans {
			drafts, _ := m.(*models.Drafting)
			keys := largestPlans(o, dev.Info().Buckets, topOf(dev, m.Params().Vocab), drafts)
			if m.Params().Encoder {
				keys = slices.DeleteFunc(keys, func(k planKey) bool { return !k.hidden })
			}
			mem.Plans, err = o.planBytes(caps, m, w, states, keys, mem.Parts)
		}
		return mem, err
	}
	mem, err := at(full, true)
	if err != nil || mem.Err() == nil || free >= 0 && weights >= free {
		return mem, err
	}
	// fits reports whether a number of pages fits beside plans of a size, or, if that is negative, beside their own.
	fits := func(pages int, plans int64) bool {
		smaller := o
		smaller.Context, smaller.Pages = min(full.Context, pages*PageSize), 0
		smaller, err := smaller.with(m.Params(), dev)
		if err != nil {
			return false
		}
		tried, err := at(smaller, false)
		if err == nil && plans < 0 && tried.Err() == nil {
			tried, err = at(smaller, true)
		}
		tried.Plans = max(tried.Plans, plans)
		if plans >= 0 {
			for i := range tried.Parts {
				tried.Parts[i].Plans = mem.Parts[i].Plans
			}
		}
		return err == nil && tried.Err() == nil
	}
	mem.Fits = min(full.Context, mostPages(pagesFor(full.Context), mem.Plans, fits)*PageSize)
	return mem, nil
}

// free returns how much of a device's memory the options leave; -1 if it cannot tell.
func (o Options) free(dev ops.Device) int64 {
	free := int64(-1)
	if f := dev.Caps().Free; f != nil {
		if n, err := f(); err == nil { // else nothing can be refused
			free = max(0, n-o.Reserved)
		}
	}
	if o.Limit > 0 && (free < 0 || free > o.Limit) {
		free = o.Limit
	}
	return free
}

// parts returns the devices that dev consists of, with the weights that lie on each; nil if it is one.
func (o Options) parts(dev ops.Device, w models.Weights) ([]PartMemory, error) {
	caps := dev.Caps()
	if caps.Parts == nil {
		return nil, nil
	}
	devs := caps.Parts()
	parts := make([]PartMemory, len(devs))
	for i, d := range devs {
		name := d.Info().Name
		part := o
		part.Reserved, part.Limit = 0, 0
		if o.Share != nil {
			part.Reserved, part.Limit = o.Share(name)
		}
		parts[i] = PartMemory{Device: name, Free: part.free(d)}
	}
	for _, h := range w.Homes() {
		if i := slices.Index(devs, h.Device); i >= 0 {
			parts[i].Weights += h.Bytes
			continue
		}
		for i := range parts { // a copy for each
			parts[i].Weights += h.Bytes
		}
	}
	return parts, nil
}

// mostPages returns how many pages fit, where all do not. What is needed grows with the context. Plans take time to
// make and grow little, so that what fits beside the largest is where to begin.
func mostPages(all int, plans int64, fits func(pages int, plans int64) bool) int {
	low := sort.Search(all, func(n int) bool { return !fits(n+1, plans) })
	step := 1
	for low+step < all && fits(low+step, -1) {
		low += step
		step *= 2
	}
	return low + sort.Search(min(step, all-low)-1, func(n int) bool { return !fits(low+n+1, -1) })
}

// StateSizes lists the states of a runner of m with options o on dev, and what each takes. The error is about o.
func (o Options) StateSizes(dev ops.Device, m models.Model) ([]models.Sized, error) {
	o, err := o.with(m.Params(), dev)
	if err != nil {
		return nil, err
	}
	ts, sizes, err := stateTensors(m.State(), o, dev.Info().Buckets)
	if err != nil {
		return nil, err
	}
	var list []models.Sized
	for i, t := range ts {
		list = append(list, models.Sized{Use: ops.WeightUse{Name: t.Name, DType: t.DType, Shape: t.Shape}, Bytes: sizes[i]})
	}
	return list, nil
}

// FitCheckpoints returns how many Checkpoints, at most most, take no more than the given bytes beside the state that
// o has without any, for which dev may be nil. The error is about o.
func (o Options) FitCheckpoints(dev ops.Device, m models.Model, most int, bytes int64) (int, error) {
	if m.Params().Encoder { // which keeps nothing of a sequence
		return 0, nil
	}
	at := func(n int) (total int64, err error) {
		o := o
		o.Checkpoints = n
		if o, err = o.with(m.Params(), dev); err != nil {
			return 0, err
		}
		_, sizes, err := stateTensors(m.State(), o, true)
		for _, n := range sizes {
			total += n
		}
		return total, err
	}
	without, err := at(0)
	if err != nil {
		return 0, err
	}
	return sort.Search(most, func(i int) bool {
		with, err := at(i + 1)
		return err != nil || with-without > bytes
	}), nil
}

// planBytes returns the memory of the arena that the given plans share.
// parts is told what it takes on each device of several.
func (o Options) planBytes(caps ops.Caps, m models.Model, w models.Weights, states map[string]tensor.Tensor,
	plans []planKey, parts []PartMemory) (int64, error) {
	var most int64
	for _, k := range plans {
		g, outs, err := o.recordPlan(m, w, states, k)
		if err != nil {
			return 0, err
		}
		var n int64
		if len(parts) == 0 {
			n, err = caps.PlanBytes(g, outs...)
		} else {
			var each []int64
			each, err = caps.PartBytes(g, outs...)
			for i, b := range each {
				n += b
				parts[i].Plans = max(parts[i].Plans, b)
			}
		}
		if err != nil {
			return 0, fmt.Errorf("runner: planning %s for %d tokens: %w", m.Params().Arch, k.Tokens, err)
		}
		most = max(most, n)
	}
	if len(parts) > 0 { // each grows by itself
		most = 0
		for _, p := range parts {
			most += p.Plans
		}
	}
	return most, nil
}

// largestPlans returns the keys of the largest prefill, of the decoding of all sequences, and of the largest step of
// which tokens can be taken back, with all logits and with the top largest of each row, of the largest step that
// returns the hidden states of all its tokens, and of the most drafts, of all tokens and of the frequent ones. drafts
// is the model, or nil if it makes none.
func largestPlans(o Options, buckets bool, top int, drafts *models.Drafting) []planKey {
	tokens := max(o.Seqs, min(o.Batch, o.Seqs*o.Context))
	prefill := models.Sizes{Tokens: tokens, Seqs: o.Seqs, Pages: tableWidth(pagesFor(o.Context), o.Context),
		Rows: min(tokens, o.Seqs+PromptRows)}
	decode := prefill
	decode.Tokens, decode.Rows = o.Seqs, o.Seqs
	verify := prefill // of proposed tokens, beside prompts
	verify.Rows = min(tokens, o.Seqs+o.RewindTokens+PromptRows)
	if o.kept > 0 {
		verify.Kept = o.Rewind
	}
	hidden := prefill
	hidden.Rows = hidden.Tokens
	plans := []planKey{{Sizes: prefill}, {Sizes: decode}, {Sizes: hidden, hidden: true}}
	if top > 0 {
		plans = append(plans, planKey{Sizes: prefill, top: top}, planKey{Sizes: decode, top: top})
	}
	if o.Rewind > 0 {
		plans = append(plans, planKey{Sizes: verify})
	}
	if o.Rewind > 0 && top > 0 {
		plans = append(plans, planKey{Sizes: verify, top: top})
	}
	if drafts != nil {
		plans = append(plans, planKey{Sizes: decode, drafts: MaxDrafts})
		if n := drafts.FrequentTokens(); n > 0 {
			plans = append(plans, planKey{Sizes: decode, drafts: MaxDrafts, vocab: n})
		}
	}
	if buckets {
		for i := range plans {
			k := &plans[i].Sizes
			k.Tokens, k.Seqs, k.Rows = models.Bucket(k.Tokens), models.Bucket(k.Seqs), models.Bucket(k.Rows)
		}
	}
	return plans
}
