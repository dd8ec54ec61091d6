package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/models/eval"
)

// klCmd compares a model with the one it was made of.
type klCmd struct {
	textFlags
	Base  string `arg:"" help:"Model to compare with: file, or name."`
	Model string `arg:"" help:"Model to judge, of the same vocabulary: file, or name."`
	File  string `arg:"" name:"textfile" help:"Text file."`
	Worst int    `default:"10" help:"List this many tokens at which the models differ most."`
	HTML  string `name:"html" placeholder:"FILE" help:"Write the report as a page with plots."`
	JSON  bool   `help:"Print JSON."`
}

// klReport is what kl knows, in the shape of its JSON.
type klReport struct {
	Base      scoreJSON    `json:"base"`
	Model     scoreJSON    `json:"model"`
	KL        float64      `json:"kl"`
	KLErr     float64      `json:"kl_standard_error"`
	Quantiles []quantile   `json:"kl_quantiles"`
	Top1      float64      `json:"top1"`
	Top1Err   float64      `json:"top1_standard_error"`
	DeltaP    float64      `json:"delta_p"` // mean change of the probability of the text's tokens
	RMSDeltaP float64      `json:"delta_p_rms"`
	Worst     []worstToken `json:"worst"`
}

type quantile struct {
	Share float64 `json:"share"`
	KL    float64 `json:"kl"`
}

type worstToken struct {
	KL       float64 `json:"kl"`
	Chunk    int     `json:"chunk"`
	At       int     `json:"at"`
	Context  string  `json:"context"` // the text before
	Token    string  `json:"token"`
	PBase    float64 `json:"p_base"`  // of the token
	PModel   float64 `json:"p_model"` // of the token
	TopBase  string  `json:"top_base"`
	TopModel string  `json:"top_model"`
}

// quantileShares are the shares of tokens that a report names.
var quantileShares = []float64{0.5, 0.9, 0.95, 0.99, 0.999, 1}

// Run executes the command.
func (c *klCmd) Run(ctx context.Context, std stdio) error {
	if c.Worst < 0 {
		return usageError{fmt.Errorf("--worst %d is negative", c.Worst)}
	}
	text, err := c.text(c.File)
	if err != nil {
		return err
	}
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	exact := c.modelFlags
	exact.Quant, exact.Imatrix = "", "" // what --quant costs is what MODEL is judged by
	base, err := exact.load(ctx, h, c.Base, 1, std.err)
	if err != nil {
		return err
	}
	m, err := c.load(ctx, h, c.Model, 1, std.err)
	if err != nil {
		return err
	}
	chunks, err := c.chunks(base, text)
	if err != nil {
		return err
	}
	other, err := c.chunks(m, text)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(chunks, other, slices.Equal) {
		return fmt.Errorf("%s and %s have different tokenizers: their predictions cannot be compared", base.ID(),
			m.ID())
	}
	bar := newProgress(std.err, m.ID()+" against "+base.ID())
	cmp, err := hipengine.Compare(ctx, base, m, chunks, func(done int, c *eval.Comparison) {
		if bar.w != nil {
			bar.count(done, len(chunks), fmt.Sprintf("KL %.4g, top-1 %.2f %%", c.KL().Value(), 100*c.Top1().Value()))
		}
	})
	bar.done()
	if err != nil {
		return err
	}
	r := newKLReport(base, m, cmp, chunks, c.Chunk, c.Worst)
	if c.HTML != "" {
		if err := writeFile(c.HTML, func(w *bufio.Writer) error { return r.writeHTML(w, cmp) }); err != nil {
			return err
		}
	}
	if c.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", " ")
		return e.Encode(r)
	}
	return r.print(std.out)
}

// newKLReport describes a comparison.
func newKLReport(base, m *hipengine.Model, cmp *eval.Comparison, chunks [][]int32, size, worst int) *klReport {
	sb, sm := cmp.Scores()
	kl, top := cmp.KL(), cmp.Top1()
	r := &klReport{Base: scoreOf(base.ID(), sb, len(chunks), size), Model: scoreOf(m.ID(), sm, len(chunks), size),
		KL: kl.Value(), KLErr: finite(kl.Err()), Top1: top.Value(), Top1Err: finite(top.Err()),
		DeltaP: cmp.DeltaP().Value(), RMSDeltaP: cmp.RMSDeltaP(), Worst: []worstToken{}}
	for i, q := range cmp.Quantiles(quantileShares...) {
		r.Quantiles = append(r.Quantiles, quantile{quantileShares[i], q})
	}
	for _, t := range cmp.Worst(worst) {
		r.Worst = append(r.Worst, describeToken(base, t, chunks[t.Chunk]))
	}
	return r
}

// finite turns NaN, which JSON lacks, into 0.
func finite(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

// describeToken renders a token with the text before it.
func describeToken(m *hipengine.Model, t eval.Token, chunk []int32) worstToken {
	const before = 12
	one := func(id int32) string { return m.Decode([]int32{id}, true) }
	return worstToken{KL: t.KL, Chunk: t.Chunk, At: t.At, Context: m.Decode(chunk[max(0, t.At-before):t.At], true),
		Token: one(chunk[t.At]),
		PBase: math.Exp(t.Base), PModel: math.Exp(t.Model), TopBase: one(t.BaseTop), TopModel: one(t.ModelTop)}
}

func (r *klReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "tokens\t%d in %d chunks of %d\n", r.Base.Tokens, r.Base.Chunks, r.Base.Chunk)
	fmt.Fprintf(w, "perplexity of %s\t%.4f\n", r.Base.Model, r.Base.Perplexity)
	fmt.Fprintf(w, "perplexity of %s\t%.4f\n", r.Model.Model, r.Model.Perplexity)
	fmt.Fprintf(w, "mean KL\t%.6g ± %.2g nats\n", r.KL, r.KLErr)
	for _, q := range r.Quantiles {
		if q.Share == 1 {
			fmt.Fprintf(w, "largest KL\t%.6g\n", q.KL)
		} else {
			fmt.Fprintf(w, "%g %% of KL\t%.6g\n", 100*q.Share, q.KL)
		}
	}
	fmt.Fprintf(w, "same top token\t%.3f ± %.3f %%\n", 100*r.Top1, 100*r.Top1Err)
	fmt.Fprintf(w, "mean Δp\t%.4f %%, RMS %.4f %%\n", 100*r.DeltaP, 100*r.RMSDeltaP)
	if len(r.Worst) > 0 {
		fmt.Fprintf(w, "\nKL\tTOKEN\tP\tTOP\tAFTER\n")
	}
	for _, t := range r.Worst {
		fmt.Fprintf(w, "%.4g\t%q\t%.3f → %.3f\t%q → %q\t%q\n", t.KL, t.Token, t.PBase, t.PModel, t.TopBase, t.TopModel,
			t.Context)
	}
	return w.Flush()
}
