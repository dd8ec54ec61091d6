package hipengine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
)

// splitNeeds is the error for options about several devices where there is one.
func (o Options) splitNeeds() error {
	for _, x := range []struct{ name, value string }{{"Split", o.Split}, {"Layers", o.Layers}, {"Experts", o.Experts}} {
		if x.value != "" {
			return &OptionError{Option: x.name, Reason: fmt.Sprintf("%q is for several devices, and there is one", x.value)}
		}
	}
	if o.ExpertCache != 0 {
		return &OptionError{Option: "ExpertCache", Needs: "Experts"}
	}
	return nil
}

// split chooses how a model lies on several devices, makes one of them, and says what it needs there.
func (h *Host) split(ctx context.Context, c *computer, arch models.Model, meta *gguf.Meta, src models.Source, o Options,
	r runner.Options) (runner.Memory, error) {
	p, err := h.plotter(ctx, c, arch, meta, src, r)
	if err != nil {
		return runner.Memory{}, err
	}
	if o.Split == splitTensor {
		return p.ranks(c, arch, src, r)
	}
	s, err := p.split(o)
	if err != nil {
		return runner.Memory{}, err
	}
	var mem runner.Memory
	for try := range maxTries {
		if try > 0 {
			s = p.fill()
		}
		if err := c.place(s); err != nil {
			return mem, err
		}
		if mem, err = runner.PlanMemory(c.ops, arch, src, r); err != nil {
			return mem, err
		}
		if mem.Err() == nil || !p.fills || !p.shrink(mem) {
			break
		}
	}
	c.lies = p.describe(s, mem)
	return mem, nil
}

// maxTries bounds how often auto counts again what plans take.
const maxTries = 6

// PartPlacement is what one of several devices has of a model.
type PartPlacement struct {
	Device  string
	Layers  []int // with which part of the matrices at least
	Experts int   // layers whose experts are there
	Slots   int   // copies of experts that each of Layers has, see Options.ExpertCache
	Weights int64 // bytes, like those that follow
	State   int64
	Plans   int64
	Free    int64 // -1 if the device cannot tell

	Read int64   // bytes of weights that a token reads; of experts with and without copies, if it chose any as often
	Rate float64 // bytes per second of the device's memory; 0 if that was not measured
}

// Bound returns the seconds that a token takes there at least; 0 if that is not known.
func (p PartPlacement) Bound() float64 {
	if p.Rate == 0 {
		return 0
	}
	return float64(p.Read) / p.Rate
}

// String describes the part: "hip:0: layers 0-29, 15.1 GiB of 23.9 GiB free; a token reads 14.0 GiB, at least 15.7 ms
// at 960 GB/s".
func (p PartPlacement) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", p.Device, ranges(p.Layers))
	if p.Experts > 0 {
		fmt.Fprintf(&b, ", experts of %d layers", p.Experts)
	}
	if p.Slots > 0 {
		fmt.Fprintf(&b, ", copies of %d experts of each", p.Slots)
	}
	fmt.Fprintf(&b, ", %s", runner.FormatBytes(p.Weights+p.State+p.Plans))
	if p.Free >= 0 {
		fmt.Fprintf(&b, " of %s free", runner.FormatBytes(p.Free))
	}
	fmt.Fprintf(&b, "; a token reads %s", runner.FormatBytes(p.Read))
	if p.Rate > 0 {
		fmt.Fprintf(&b, ", at least %.1f ms at %.0f GB/s", 1000*p.Bound(), p.Rate/1e9)
	}
	return b.String()
}

// ranges lists numbers: "layers 0-3, 5".
func ranges(list []int) string {
	if len(list) == 0 {
		return "no layers"
	}
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, strconv.Itoa(list[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", list[i], list[j]))
		}
		i = j + 1
	}
	return "layers " + strings.Join(parts, ", ")
}

// plotter knows what decides where a model lies.
type plotter struct {
	names  []string // of the parts
	layers int
	sizes  [][]models.Sized // of each part: the weights, as they lie there
	states []models.Sized
	free   map[string]int64 // of a device; -1 if it cannot tell
	rates  []float64        // of each part, bytes per second; 0: not known
	order  []int            // of parts, the fastest first
	plans  []int64          // what to leave on each part for plans
	active float64          // share of the experts that a token meets
	fills  bool             // auto
	on     int              // the part that Options.Experts names, or -1
}

// plotter measures the devices and adds up the model.
func (h *Host) plotter(ctx context.Context, c *computer, arch models.Model, meta *gguf.Meta, src models.Source,
	r runner.Options) (*plotter, error) {
	p := &plotter{layers: arch.Params().Layers, free: map[string]int64{}, plans: make([]int64, len(c.parts)), active: 1,
		on: -1}
	k := models.NewKeys(meta)
	if all := k.IntOr("expert_count", 0, 0, models.MaxExperts); all > 0 {
		p.active = float64(k.IntOr("expert_used_count", all, 0, models.MaxExperts)) / float64(all)
	}
	var err error
	known := map[*device]int{}
	for i, d := range c.parts {
		name := d.ledger.device
		p.names = append(p.names, name)
		p.order = append(p.order, i)
		if j, ok := known[d]; ok {
			p.sizes, p.rates = append(p.sizes, p.sizes[j]), append(p.rates, p.rates[j])
			continue
		}
		known[d] = i
		sizes, err := models.WeightSizes(arch, src, d.ops)
		if err != nil {
			return nil, err
		}
		p.sizes = append(p.sizes, sizes)
		rate := 0.0
		if len(c.ledgers()) > 1 {
			rate = h.rate(ctx, d)
		}
		p.rates = append(p.rates, rate)
		p.free[name] = d.ledger.left(r.Share)
		if _, mapped := src.(models.MappedSource); mapped && d.ops.Caps().Adopt != nil {
			p.free[name] = -1 // weights take nothing
		}
	}
	if !slices.Contains(p.rates, 0) {
		slices.SortStableFunc(p.order, func(a, b int) int { return cmp.Compare(p.rates[b], p.rates[a]) })
	}
	p.states, err = r.StateSizes(c.parts[p.order[0]].ops, arch)
	return p, err
}

// left returns what of a device's memory is left. mu is held.
func (l *ledger) left(share func(string) (int64, int64)) int64 {
	free := l.free()
	reserved, limit := share(l.device)
	if free >= 0 {
		free = max(0, free-reserved)
	}
	if limit > 0 && (free < 0 || free > limit) {
		free = limit
	}
	return free
}

// rate measures the memory of a device once; 0 if that cannot be done.
func (h *Host) rate(ctx context.Context, d *device) float64 {
	h.rating.Lock()
	defer h.rating.Unlock()
	if !d.rated {
		rate, err := h.opener.bandwidth(ctx, d.ops)
		if err != nil {
			h.options.Log(fmt.Sprintf("the memory of %s was not measured: %v", d.ledger.device, err))
			rate = 0
		}
		d.rate, d.rated = rate, true
	}
	return d.rate
}

// bandwidth is that of the device, or the lowest of several.
func (h *Host) bandwidth(ctx context.Context, c *computer) (float64, error) {
	least := math.Inf(1)
	for _, d := range c.parts {
		rate, err := h.opener.bandwidth(ctx, d.ops)
		if err != nil {
			return 0, err
		}
		least = min(least, rate)
	}
	return least, nil
}

// split is what the options say.
func (p *plotter) split(o Options) (place.Split, error) {
	if o.Experts != "" {
		if p.on = slices.Index(p.names, o.Experts); p.on < 0 {
			return place.Split{}, &OptionError{Option: "Experts",
				Reason: fmt.Sprintf("%q is none of the devices %s", o.Experts, strings.Join(p.names, ","))}
		}
	}
	if o.ExpertCache > 0 {
		if err := p.checkCache(); err != nil {
			return place.Split{}, err
		}
	}
	switch {
	case o.Layers != "" && o.Split != "":
		return place.Split{}, &OptionError{Option: "Layers",
			Reason: fmt.Sprintf("%q says what Split %q says otherwise", o.Layers, o.Split)}
	case o.Layers != "":
		return p.counted(o.Layers)
	case o.Split == "layer":
		return p.even(), nil
	case o.Split == "" || o.Split == "auto":
		p.fills = true
		return p.fill(), nil
	}
	return place.Split{}, &OptionError{Option: "Split", Reason: fmt.Sprintf("%q: want auto, layer or tensor", o.Split)}
}

// counted is the split of Options.Layers.
func (p *plotter) counted(list string) (s place.Split, err error) {
	bad := func(format string, args ...any) (place.Split, error) {
		return s, &OptionError{Option: "Layers", Reason: fmt.Sprintf("%q: ", list) + fmt.Sprintf(format, args...)}
	}
	next := 0 // part
	for _, item := range strings.Split(list, ",") {
		name, count, ok := strings.Cut(item, "=")
		n, err := strconv.Atoi(count)
		if !ok || err != nil || n < 0 || n > p.layers {
			return bad("%q is not DEVICE=N with N in 0..%d, the model's layers", item, p.layers)
		}
		i := slices.Index(p.names[next:], name)
		if i < 0 {
			return bad("%q is none of the devices %s that are left in their order", name, strings.Join(p.names[next:], ","))
		}
		s.Layers = append(s.Layers, slices.Repeat([]int{next + i}, n)...)
		next += i + 1
	}
	if len(s.Layers) != p.layers {
		return bad("%d layers in all, and the model has %d", len(s.Layers), p.layers)
	}
	s.Input, s.Output = s.Layers[0], s.Layers[p.layers-1]
	p.moveExperts(&s)
	return s, nil
}

// moveExperts puts all experts where Options.Experts says.
func (p *plotter) moveExperts(s *place.Split) {
	if p.on >= 0 {
		s.Experts = slices.Repeat([]int{p.on}, p.layers)
	}
}

// even gives parts layers by the memory that is free on each; of one that the experts are on, none if there are others.
func (p *plotter) even() (s place.Split) {
	weights := make([]float64, len(p.names))
	var sum float64
	for i, name := range p.names {
		switch free := p.free[name]; {
		case i == p.on && len(p.names) > 1:
		case slices.ContainsFunc(p.names, func(n string) bool { return p.free[n] <= 0 }):
			weights[i] = 1
		default:
			same := 0
			for _, n := range p.names {
				if n == name {
					same++
				}
			}
			weights[i] = float64(free) / float64(same)
		}
		sum += weights[i]
	}
	var upTo float64
	for i, w := range weights {
		upTo += w
		end := int(math.Round(upTo / sum * float64(p.layers)))
		for len(s.Layers) < min(end, p.layers) {
			s.Layers = append(s.Layers, i)
		}
	}
	s.Input, s.Output = s.Layers[0], s.Layers[p.layers-1]
	p.moveExperts(&s)
	return s
}

// parcel is what goes to a part together.
type parcel struct{ dense, experts, state int64 }

// parcels adds up the layers as they lie on a part, and the matrices before and behind them.
func (p *plotter) parcels(part int) (layers []parcel, input, output int64) {
	layers = make([]parcel, p.layers)
	where := place.Split{Input: 1, Output: 2}
	for _, w := range p.sizes[part] {
		l := place.LayerOf(w.Use.Name)
		switch {
		case l >= p.layers:
			layers[p.layers-1].dense += w.Bytes
		case l >= 0 && place.IsExperts(w.Use):
			layers[l].experts += w.Bytes
		case l >= 0:
			layers[l].dense += w.Bytes
		default:
			switch where.Place(w.Use, ops.MemWeights) {
			case 1:
				input += w.Bytes
			case 2:
				output += w.Bytes
			}
		}
	}
	for _, s := range p.states {
		layers[min(max(place.LayerOf(s.Use.Name), 0), p.layers-1)].state += s.Bytes
	}
	return layers, input, output
}

// fill fills the parts, the fastest first. What does not fit in any is on the last.
func (p *plotter) fill() (s place.Split) {
	room := map[string]int64{}
	for name, free := range p.free {
		if room[name] = free; free < 0 {
			room[name] = math.MaxInt64 / 4
		}
	}
	for i, n := range p.plans {
		room[p.names[i]] -= n
	}
	take := func(part int, n int64) bool {
		if n > room[p.names[part]] {
			return false
		}
		room[p.names[part]] -= n
		return true
	}
	last := p.order[len(p.order)-1]
	first := func(n func(part int) int64) int {
		for _, part := range p.order {
			if take(part, n(part)) {
				return part
			}
		}
		return last
	}
	all := make([][]parcel, len(p.names))
	in, out := make([]int64, len(p.names)), make([]int64, len(p.names))
	experts := int64(0)
	for part := range p.names {
		all[part], in[part], out[part] = p.parcels(part)
		for _, l := range all[part] {
			experts += l.experts
		}
	}
	// Rows of the token embedding are looked up, which is as fast anywhere.
	if cpu := slices.Index(p.names, "cpu"); cpu >= 0 && take(cpu, in[cpu]) {
		s.Input = cpu
	} else {
		s.Input = first(func(part int) int64 { return in[part] })
	}
	s.Output = first(func(part int) int64 { return out[part] })
	saved := map[string]int64{}
	for k, v := range room {
		saved[k] = v
	}
	// Whole layers, one behind the other.
	whole := func(size func(l parcel) int64) bool {
		s.Layers = s.Layers[:0]
		at := 0
		for l := range p.layers {
			for !take(p.order[at], size(all[p.order[at]][l])) {
				if at++; at == len(p.order) {
					return false
				}
			}
			s.Layers = append(s.Layers, p.order[at])
		}
		return true
	}
	of := func(l parcel) int64 { return l.dense + l.experts + l.state }
	if p.on < 0 {
		fits := whole(of)
		if fits && (experts == 0 || !slices.Contains(s.Layers, last) || p.names[last] != "cpu") {
			return s
		}
		if experts == 0 {
			for len(s.Layers) < p.layers {
				s.Layers = append(s.Layers, last)
			}
			return s
		}
	}
	// The rest of each layer is read for every token, experts are not: they leave first.
	for k, v := range saved {
		room[k] = v
	}
	whole(func(l parcel) int64 { return l.dense + l.state })
	for len(s.Layers) < p.layers {
		s.Layers = append(s.Layers, last)
	}
	for l, part := range s.Layers {
		switch {
		case p.on >= 0:
			part = p.on
		case !take(part, all[part][l].experts):
			part = first(func(q int) int64 { return all[q][l].experts })
		}
		s.Experts = append(s.Experts, part)
	}
	return s
}

// shrink leaves more on parts that have too little, and reports whether that may help.
func (p *plotter) shrink(mem runner.Memory) bool {
	var lack *runner.MemoryError
	if !errors.As(mem.Err(), &lack) {
		return false
	}
	changed := false
	for i, part := range mem.Parts {
		if part.Device == lack.Device {
			p.plans[i] += lack.Need() - lack.Free
			changed = true
			break
		}
	}
	return changed
}

// describe says what each part has.
func (p *plotter) describe(s place.Split, mem runner.Memory) []PartPlacement {
	list := make([]PartPlacement, len(p.names))
	for i, m := range mem.Parts {
		list[i] = PartPlacement{Device: m.Device, Weights: m.Weights, State: m.State, Plans: m.Plans, Free: m.Free,
			Rate: p.rates[i]}
	}
	for l, part := range s.Layers {
		list[part].Layers = append(list[part].Layers, l)
	}
	for l, part := range s.Experts {
		if part != s.Layers[l] {
			list[part].Experts++
		}
	}
	slots, cached := p.cachedShare()
	for part := range p.names {
		var read float64
		if len(list[part].Layers) > 0 {
			list[part].Slots = slots
		}
		for _, w := range p.sizes[part] {
			at := s.Place(w.Use, ops.MemWeights)
			looked := len(w.Use.Ops) == 1 && w.Use.Ops[0] == ops.EmbedOp // single rows
			switch {
			case looked || at != part && at != place.Everywhere:
			case place.IsExperts(w.Use):
				read += p.active * (1 - cached) * float64(w.Bytes)
			case models.IsExpertSlots(w.Use.Name):
				read += p.active * float64(w.Bytes)
			default:
				read += float64(w.Bytes)
			}
		}
		list[part].Read = int64(read)
	}
	return list
}

// sayPlacement tells how a model lies on several devices.
func (h *Host) sayPlacement(id string, c *computer) {
	for _, p := range c.lies {
		h.options.Log(fmt.Sprintf("%s on %v", id, p))
	}
}
