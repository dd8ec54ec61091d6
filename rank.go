package hipengine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// ErrNoRanker says that a model was not made to rank documents.
var ErrNoRanker = errors.New("hipengine: the model is no reranker: its file does not name the pooling rank")

// Rank returns how relevant each document is to a query, from 0 to 1, in the order of the documents. The error is
// [ErrNoRanker], or one of [Model.Embed].
func (m *Model) Rank(ctx context.Context, query string, documents []string) ([]float64, error) {
	if m.ranker == nil {
		return nil, ErrNoRanker
	}
	requests := make([]engine.EmbedRequest, len(documents))
	for i, d := range documents {
		ids, types, err := m.ranker.Prompt(query, d)
		if err != nil {
			return nil, err
		}
		requests[i] = engine.EmbedRequest{Prompt: ids, Types: types, Pooling: m.ranker.Pooling()}
	}
	states, err := m.embedAll(ctx, requests)
	if err != nil {
		return nil, err
	}
	scores := make([]float64, len(states))
	for i, s := range states {
		scores[i] = m.ranker.Score(s)
	}
	return scores, nil
}

// Ranker returns what makes prompts and scores, for a server; nil if the model is no reranker.
func (m *Model) Ranker() engine.Ranker {
	if m.ranker == nil {
		return nil
	}
	return m.ranker
}

// ranker implements engine.Ranker.
type ranker struct {
	tok   *tokenizer.Tokenizer
	parts []string // of the template: what stands before, between and behind the two texts
	order [2]int   // which of them stand there: 0 the query, 1 the document

	pair  bool // of an encoder, which reads the two texts without a template
	types bool // the document's tokens are of another type than the query's

	mean  bool      // the head scores the mean of the states in place of the first
	dense linearMap // of encoders; none without rows
	act   func(float64) float64
	norm  layerNorm // behind the dense layer; none without a weight
	head  linearMap // a row for each label
	yes   int       // row of the label that says that the document is relevant
}

// linearMap is a matrix with a bias, or nil for none.
type linearMap struct {
	rows [][]float32
	bias []float32
}

// apply multiplies x by the matrix and adds the bias.
func (m linearMap) apply(x []float64) []float64 {
	out := make([]float64, len(m.rows))
	for i, row := range m.rows {
		if m.bias != nil {
			out[i] = float64(m.bias[i])
		}
		for j, w := range row {
			out[i] += float64(w) * x[j]
		}
	}
	return out
}

// readLinear reads name.weight, [out, in], and name.bias, if there is one.
func readLinear(f *File, name string, out, in int) (m linearMap, err error) {
	t, ok := f.Tensor(name + ".weight")
	if !ok || len(t.Shape) != 2 || t.Shape[0] != out || t.Shape[1] != in {
		return m, fmt.Errorf("tensor %q has shape %v, want [%d, %d]", name+".weight", t.Shape, out, in)
	}
	if m.rows, err = models.ReadRows(f, t.Name, 0, out); err != nil {
		return m, err
	}
	if t, ok = f.Tensor(name + ".bias"); !ok {
		return m, nil
	}
	if t.Shape.Elems() != out {
		return m, fmt.Errorf("tensor %q has shape %v, want [%d]", t.Name, t.Shape, out)
	}
	m.bias, err = models.ReadRow(f, t, 0)
	return m, err
}

// newRanker reads the head and the template of a model that ranks.
func newRanker(f *File, tok *tokenizer.Tokenizer, encoder bool) (*ranker, error) {
	arch, err := f.meta.String("general.architecture")
	if err != nil {
		return nil, err
	}
	r := &ranker{tok: tok}
	if encoder {
		r.pair = true
		return r, r.readEncoderHead(f, arch)
	}
	template, err := f.meta.StringOr(models.RankTemplateKey, "")
	if err != nil {
		return nil, err
	}
	words := models.RanksByWords(arch)
	switch {
	case template == "" && !words:
		return nil, fmt.Errorf("the file does not say how query and document stand in a prompt, "+
			"and for architecture %q nobody else does", arch)
	case template == "":
		template = models.RankTemplate
	}
	if err := r.parse(template); err != nil {
		return nil, err
	}
	if _, ok := f.Tensor(models.RankHead); ok {
		return r, r.readHead(f, arch)
	}
	if !words {
		return nil, fmt.Errorf("tensor %q is missing, the head of a model that ranks", models.RankHead)
	}
	return r, r.readWords(f)
}

// parse cuts a template at its places for the query and the document.
func (r *ranker) parse(template string) error {
	const query, document = "{query}", "{document}"
	for i, place := range []string{query, document} {
		if n := strings.Count(template, place); n != 1 {
			return fmt.Errorf("tokenizer.chat_template.rerank has %d places %s, want one", n, place)
		}
		r.order[i] = i
	}
	if strings.Index(template, query) > strings.Index(template, document) {
		r.order = [2]int{1, 0}
	}
	r.parts = strings.Split(strings.ReplaceAll(template, query, document), document)
	return nil
}

// readEncoderHead reads the head of an encoder: a dense layer in most models, and the scores.
func (r *ranker) readEncoderHead(f *File, arch string) error {
	types, err := f.meta.IntOr("tokenizer.ggml.token_type_count", 1)
	if err != nil {
		return err
	}
	r.types = types > 1
	if _, ok := f.Tensor(models.RankHead); !ok {
		return fmt.Errorf("tensor %q is missing, the head of a model that ranks", models.RankHead)
	}
	embd, err := f.meta.Int(arch + ".embedding_length")
	if err != nil {
		return err
	}
	if _, ok := f.Tensor("cls.weight"); ok {
		if r.dense, err = readLinear(f, "cls", int(embd), int(embd)); err != nil {
			return err
		}
		r.act = math.Tanh
	}
	if arch == "modern-bert" {
		if err := r.readModernBERT(f, int(embd)); err != nil {
			return err
		}
	}
	return r.readHead(f, arch)
}

// readModernBERT reads what heads of ModernBERT have beside others: another activation, a norm, and a mean.
func (r *ranker) readModernBERT(f *File, embd int) error {
	pooling, err := f.meta.StringOr(models.RankPoolingKey, "mean")
	if err == nil && pooling != "mean" && pooling != "cls" {
		err = fmt.Errorf("key %q is %q, want cls or mean", models.RankPoolingKey, pooling)
	}
	if err != nil {
		return err
	}
	r.mean = pooling == "mean"
	r.act = func(x float64) float64 { return x * (1 + math.Erf(x/math.Sqrt2)) / 2 }
	eps, err := f.meta.Float("modern-bert.attention.layer_norm_epsilon")
	if err != nil {
		return err
	}
	r.norm.eps = eps
	for name, x := range map[string]*[]float32{"cls.norm.weight": &r.norm.weight, "cls.norm.bias": &r.norm.bias} {
		t, ok := f.Tensor(name)
		if !ok {
			continue
		}
		if t.Shape.Elems() != embd {
			return fmt.Errorf("tensor %q has shape %v, want [%d]", name, t.Shape, embd)
		}
		if *x, err = models.ReadRow(f, t, 0); err != nil {
			return err
		}
	}
	if r.dense.rows == nil || r.norm.weight == nil {
		return errors.New("tensors cls.weight and cls.norm.weight are the head of a ModernBERT that ranks, " +
			"and one is missing")
	}
	return nil
}

// layerNorm is a layer normalization.
type layerNorm struct {
	weight, bias []float32 // bias is nil for none
	eps          float64
}

// apply normalizes x.
func (n layerNorm) apply(x []float64) []float64 {
	var mean, square float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		square += (v - mean) * (v - mean) / float64(len(x))
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = (v - mean) / math.Sqrt(square+n.eps) * float64(n.weight[i])
		if n.bias != nil {
			out[i] += float64(n.bias[i])
		}
	}
	return out
}

// readHead reads the head of a file that has one. Of several labels, one must be called yes.
func (r *ranker) readHead(f *File, arch string) error {
	t, _ := f.Tensor(models.RankHead)
	embd, err := f.meta.Int(arch + ".embedding_length")
	if err != nil {
		return err
	}
	if len(t.Shape) == 1 { // as readers of GGUF see a matrix of one row
		t.Shape = tensor.Shape{1, t.Shape[0]}
	}
	if len(t.Shape) != 2 || int64(t.Shape[1]) != embd || t.Shape[0] > maxLabels {
		return fmt.Errorf("tensor %q has shape %v, want [labels of at most %d, %d]", t.Name, t.Shape, maxLabels,
			embd)
	}
	if r.head, err = readLinear(f, "cls.output", t.Shape[0], t.Shape[1]); err != nil || len(r.head.rows) == 1 {
		return err
	}
	key := arch + ".classifier.output_labels"
	var labels []string
	if f.meta.Has(key) {
		if labels, err = f.meta.Strings(key); err != nil {
			return err
		}
	}
	if r.yes = slices.Index(labels, "yes"); r.yes < 0 || r.yes >= len(r.head.rows) {
		return fmt.Errorf("the model has %d scores, of which none is called yes: it classifies texts, and ranks none",
			len(r.head.rows))
	}
	return nil
}

// maxLabels is far above what anything that ranks has.
const maxLabels = 1 << 10

// readWords takes the rows of the output matrix that stand for the words yes and no: the model answers in words.
func (r *ranker) readWords(f *File) error {
	matrix := "output.weight"
	if _, ok := f.Tensor(matrix); !ok {
		matrix = "token_embd.weight"
	}
	for _, word := range []string{"yes", "no"} {
		ids, err := r.tok.Encode(word, tokenizer.Options{})
		if err != nil {
			return err
		}
		if len(ids) != 1 {
			return fmt.Errorf("the vocabulary has no token %q, with which a model that ranks answers", word)
		}
		rows, err := models.ReadRows(f, matrix, int(ids[0]), 1)
		if err != nil {
			return err
		}
		r.head.rows = append(r.head.rows, rows...)
	}
	return nil
}

// Pooling implements engine.Ranker.
func (r *ranker) Pooling() engine.Pooling {
	switch {
	case r.mean:
		return engine.PoolMean
	case r.pair:
		return engine.PoolCLS
	}
	return engine.PoolLast
}

// Prompt implements engine.Ranker. Texts of special tokens in query and document are plain text.
func (r *ranker) Prompt(query, document string) (ids, types []int32, err error) {
	if r.pair {
		ids, second, err := r.tok.EncodePair(query, document)
		if err != nil || !r.types {
			return ids, nil, err
		}
		types = make([]int32, len(ids))
		for i := range types[second:] {
			types[second+i] = 1
		}
		return ids, types, nil
	}
	texts := [2]string{query, document}
	ids, err = r.tok.EncodePieces([]tokenizer.Piece{
		{Text: r.parts[0]}, {Text: texts[r.order[0]], Plain: true},
		{Text: r.parts[1]}, {Text: texts[r.order[1]], Plain: true}, {Text: r.parts[2]},
	})
	return ids, nil, err
}

// Score implements engine.Ranker: of one label it is the logistic function of its logit, of several the probability of
// yes.
func (r *ranker) Score(state []float32) float64 {
	x := make([]float64, len(state))
	for i, v := range state {
		x[i] = float64(v)
	}
	if r.dense.rows != nil {
		x = r.dense.apply(x)
		for i, v := range x {
			x[i] = r.act(v)
		}
	}
	if r.norm.weight != nil {
		x = r.norm.apply(x)
	}
	logits := r.head.apply(x)
	if len(logits) == 1 {
		return 1 / (1 + math.Exp(-logits[0]))
	}
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(l - logits[r.yes])
	}
	return 1 / sum
}
