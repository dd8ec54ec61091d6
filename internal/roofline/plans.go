package roofline

import (
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

var kindNames = [kinds]string{"products", "conversions", "norm/rope/append/attention", "delta net and convolution", "other glue"}

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

// sum adds up launches.
func (t traffic) sum(ls []opship.Planned) (planSum, error) {
	p := planSum{symbols: map[string]launchSum{}, kindOf: map[string]kind{}}
	for _, l := range ls {
		bytes, err := t.moved(l)
		if err != nil {
			return p, err
		}
		k, symbol := kindOf(l), l.Launch.Symbol
		if _, known := p.kindOf[symbol]; !known {
			p.kindOf[symbol] = k
		}
		one := p.symbols[symbol]
		one.add(bytes)
		p.symbols[symbol] = one
		p.all.add(bytes)
		p.by[k].add(bytes)
		if k != product {
			p.glue.add(bytes)
		}
	}
	return p, nil
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

// planLimits prints the launches and the traffic of whole steps of models of real shape on g: "plan/NAME". Kernels are
// listed one by one if each is true.
func planLimits(out io.Writer, g limits.GPU, match *regexp.Regexp, each bool) (err error) {
	var names []string
	for _, name := range synth.Names() {
		if match.MatchString("plan/" + name) {
			names = append(names, name)
		}
	}
	if names == nil {
		return nil
	}
	dev, err := opship.OpenCounting(g.Target, "", g.CUs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, name := range names {
		m, src, err := declared(name)
		if err != nil {
			return err
		}
		for _, s := range []step{decodeStep(1, planContext), prefillStep(planPrompt)} {
			ls, err := s.planned(dev, m, src)
			if err != nil {
				return fmt.Errorf("%s: %s on %s: %w", name, s.name, g.Target, err)
			}
			p, err := newTraffic(s, m.State()).sum(ls)
			if err != nil {
				return fmt.Errorf("%s: %s on %s: %w", name, s.name, g.Target, err)
			}
			tokens := s.sizes.Tokens
			fmt.Fprintf(w, "%s\tplan/%s\t%s\tglue %.2f MB/token\t%s\t[%s]\n", g.Name, name, s.name, p.glue.megabytes(tokens), p.list(tokens), limits.Label)
			if !each {
				continue
			}
			for _, symbol := range slices.Sorted(maps.Keys(p.symbols)) {
				one := p.symbols[symbol]
				fmt.Fprintf(w, "%s\tplan/%s\t%s\t%d x %s\t%.3f MB/token\t%s\t[%s]\n",
					g.Name, name, s.name, one.launches, symbol, one.megabytes(tokens), kindNames[p.kindOf[symbol]], limits.Label)
			}
		}
	}
	return w.Flush()
}

// planned returns the launches of s for m on dev, with caches of halves.
func (s step) planned(dev *opship.Device, m models.Model, src models.Source) ([]opship.Planned, error) {
	context := max(s.context, s.sizes.Pages*runner.PageSize)
	o := runner.Options{Context: min(context, m.Params().Context), Seqs: s.sizes.Seqs, Batch: s.sizes.Tokens, KVType: tensor.F16}
	g, outs, err := runner.Record(dev, m, src, o, s.sizes)
	if err != nil {
		return nil, err
	}
	return dev.Planned(g, outs.Logits)
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

// declared returns the model of a shape in Q4_K_M, and its tensors.
func declared(name string) (models.Model, models.Source, error) {
	shape, err := synth.Lookup(name)
	if err != nil {
		return nil, nil, err
	}
	meta, err := shape.Meta(convert.Q4_K_M)
	if err != nil {
		return nil, nil, err
	}
	infos, err := shape.Tensors(convert.Q4_K_M)
	if err != nil {
		return nil, nil, err
	}
	src := declaredTensors{}
	for _, t := range infos {
		src[t.Name] = t
	}
	m, err := models.New(meta)
	return m, src, err
}
