package roofline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/synth"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_hip/limits"
	"github.com/hipengine/hipengine/tensor"
)

// Sizes of the steps whose plans are shown.
const (
	planContext = 4096 // tokens before the one that a decode step adds
	planPrompt  = 512  // the most that one step reads of a prompt by default
)

// kind says what a launch is for.
type kind int

// The kinds of launches.
const (
	product     kind = iota // of activations with matrices of weights
	conversion              // of activations to what products read, where nothing else writes that
	attentional             // attention, and norms, positions and appends around it
	recurrent               // convolutions and delta nets
	otherGlue
	kinds
)

var kindNames = [kinds]string{"products", "conversions", "norm/rope/append/attention", "delta net and convolution",
	"other glue"}

// kindOf returns what a launch is for. Kernels that products need beside, such as the sort of experts, are glue.
func kindOf(l opship.Planned) kind {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(l.Node.Op.Name, w) })
	}
	switch {
	case l.Packs():
		return conversion
	case has("delta_net", "causal_conv"):
		return recurrent
	case l.Node.Op != ops.EmbedOp && slices.ContainsFunc(l.Launch.Args.Values(), isMatrix):
		return product
	case has("norm", "rope", "append", "attention"):
		return attentional
	}
	return otherGlue
}

// isMatrix reports whether v is a weight of two dimensions or more.
func isMatrix(v ops.Value) bool {
	return v.Node().Leaf == ops.Weight && len(v.Node().Tensor.Shape) > 1
}

// launchSum adds up launches.
type launchSum struct {
	launches int
	bytes    float64 // that they move through memory
}

// megabytes returns 10^6 bytes for each of so many tokens.
func (s launchSum) megabytes(tokens int) float64 { return s.bytes / float64(tokens) / 1e6 }

func (s *launchSum) add(bytes float64) {
	s.launches++
	s.bytes += bytes
}

// planSum is what the launches of a step add up to.
type planSum struct {
	all     launchSum
	glue    launchSum // all but products
	by      [kinds]launchSum
	symbols map[string]launchSum
	kindOf  map[string]kind // of symbols; the first one's
}

// sum adds up the launches of p.
func (p plan) sum() (planSum, error) {
	s := planSum{symbols: map[string]launchSum{}, kindOf: map[string]kind{}}
	for _, l := range p.launches {
		bytes, err := p.moved(l)
		if err != nil {
			return s, err
		}
		k, symbol := kindOf(l), l.Launch.Symbol
		if _, known := s.kindOf[symbol]; !known {
			s.kindOf[symbol] = k
		}
		one := s.symbols[symbol]
		one.add(bytes)
		s.symbols[symbol] = one
		s.all.add(bytes)
		s.by[k].add(bytes)
		if k != product {
			s.glue.add(bytes)
		}
	}
	return s, nil
}

// list says what a step of so many tokens launches and moves by kind: "617 launches: 253 products (4774.26 MB/token),
// 36 conversions (0.94), ...".
func (p planSum) list(tokens int) string {
	var parts []string
	for k, s := range p.by {
		if s.launches > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%.2f MB/token)", s.launches, kindNames[k], s.megabytes(tokens)))
		}
	}
	return fmt.Sprintf("%d launches: %s", p.all.launches, strings.Join(parts, ", "))
}

// planSteps are the steps whose plans are shown: one token to 16, and a part of a prompt.
func planSteps() []step {
	var steps []step
	for _, n := range []int{1, 2, 3, 4, 8, 16} {
		steps = append(steps, decodeStep(n, planContext))
	}
	return append(steps, prefillStep(planPrompt))
}

// planLimits prints the launches and the traffic of whole steps of models of real shape on g, "plan/NAME STEP", and
// what the kernels bound them to, "bound/NAME STEP". Kernels are listed one by one if each is true.
func planLimits(ctx context.Context, out io.Writer, g limits.GPU, match *regexp.Regexp, each bool) (err error) {
	dev, err := opship.OpenCounting(g.Target, "", g.CUs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	for _, name := range synth.Names() {
		wanted := func(s step) (counts, bounds bool) {
			return s.seqs == 1 && match.MatchString("plan/"+name+" "+s.name),
				match.MatchString("bound/" + name + " " + s.name)
		}
		if !slices.ContainsFunc(planSteps(),
			func(s step) bool { counts, bounds := wanted(s); return counts || bounds }) {
			continue
		}
		m, err := declared(name)
		if err != nil {
			return err
		}
		c, err := newCoster(dev, g, m)
		if err != nil {
			return err
		}
		if err := m.limits(ctx, out, c, wanted, each); err != nil {
			return errors.Join(fmt.Errorf("%s on %s: %w", name, g.Target, err), c.close())
		}
		if err := c.close(); err != nil {
			return err
		}
	}
	return nil
}

// limits prints the lines of one model.
func (m declaredModel) limits(ctx context.Context, out io.Writer, c *coster, wanted func(step) (counts, bounds bool),
	each bool) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, s := range planSteps() {
		counts, bounds := wanted(s)
		if !counts && !bounds {
			continue
		}
		p, err := s.plan(c.dev, m)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if counts {
			if err := p.write(w, c.gpu, m.name, each); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		if bounds {
			t, err := c.plan(ctx, p)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			t.write(w, c.gpu, m.name, s, each)
		}
	}
	return w.Flush()
}

// write prints what a plan launches and moves.
func (p plan) write(w io.Writer, g limits.GPU, name string, each bool) error {
	sum, err := p.sum()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\tplan/%s\t%s\tglue %.2f MB/token\t%s\t[%s]\n", g.Name, name, p.name,
		sum.glue.megabytes(p.tokens), sum.list(p.tokens), limits.Label)
	if !each {
		return nil
	}
	for _, symbol := range slices.Sorted(maps.Keys(sum.symbols)) {
		one := sum.symbols[symbol]
		fmt.Fprintf(w, "%s\tplan/%s\t%s\t%d x %s\t%s, %.3f MB/token\t[%s]\n",
			g.Name, name, p.name, one.launches, symbol, kindNames[sum.kindOf[symbol]], one.megabytes(p.tokens),
			limits.Label)
	}
	return nil
}

// plan is what a device launches for a step of a model.
type plan struct {
	traffic
	launches []opship.Planned
	index    map[string][]byte
}

// plan returns the plan of s for m on dev, with caches of halves.
func (s step) plan(dev *opship.Device, m declaredModel) (plan, error) {
	sizes, index, err := s.index(m)
	if err != nil {
		return plan{}, err
	}
	context := max(s.context, sizes.Pages*runner.PageSize)
	o := runner.Options{Context: min(context, m.Params().Context), Seqs: s.seqs, Batch: s.tokens, KVType: tensor.F16}
	g, outs, err := runner.Record(dev, m, m.src, o, sizes)
	if err != nil {
		return plan{}, err
	}
	ls, err := dev.Planned(g, outs.Result())
	return plan{newTraffic(s, m.State(), m.chosen), ls, index}, err
}

// declaredTensors is a source of tensors without contents.
type declaredTensors map[string]gguf.TensorInfo

func (d declaredTensors) Tensor(name string) (gguf.TensorInfo, bool) {
	t, ok := d[name]
	return t, ok
}

func (d declaredTensors) ReadTensor(t gguf.TensorInfo, _ []byte, _ int64) error {
	return fmt.Errorf("roofline: tensor %q has no contents", t.Name)
}

// declaredModel is a model of real shape without weights.
type declaredModel struct {
	models.Model
	name    string
	src     models.Source
	experts int // of a layer; 0 for none
	chosen  int // of them by a token
}

// declared returns the model of a shape in Q4_K_M.
func declared(name string) (declaredModel, error) {
	m := declaredModel{name: name}
	shape, err := synth.Lookup(name)
	if err != nil {
		return m, err
	}
	meta, err := shape.Meta(convert.Q4_K_M)
	if err != nil {
		return m, err
	}
	infos, err := shape.Tensors(convert.Q4_K_M)
	if err != nil {
		return m, err
	}
	src := declaredTensors{}
	for _, t := range infos {
		src[t.Name] = t
		if len(t.Shape) == 3 {
			m.experts = t.Shape[0]
		}
	}
	for _, k := range shape.Keys {
		if n, ok := k.Value.(uint32); ok && k.Name == "expert_used_count" {
			m.chosen = int(n)
		}
	}
	m.src = src
	m.Model, err = models.New(meta)
	return m, err
}
