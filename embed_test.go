package hipengine

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
)

// cosine is that of the angle between two vectors; 0 if their lengths differ.
func cosine(a, b []float32) float64 {
	if len(a) != len(b) {
		return 0
	}
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// reference reads the 4-byte tensors of a reference.safetensors.
type reference map[string]safetensors.Tensor

func readReference(t *testing.T, dir string) reference {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "reference.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := safetensors.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r reference) words(t *testing.T, name string) (out []uint32) {
	t.Helper()
	for b := r[name].Data; len(b) > 0; b = b[4:] {
		out = append(out, binary.LittleEndian.Uint32(b))
	}
	if len(out) == 0 {
		t.Fatalf("the reference has no %q", name)
	}
	return out
}

func (r reference) ids(t *testing.T, name string) (out []int32) {
	t.Helper()
	for _, w := range r.words(t, name) {
		out = append(out, int32(w))
	}
	return out
}

func (r reference) floats(t *testing.T, name string) (out []float32) {
	t.Helper()
	for _, w := range r.words(t, name) {
		out = append(out, math.Float32frombits(w))
	}
	return out
}

// poolings are those of the embedding models among the fixtures.
var poolings = map[string]engine.Pooling{
	"emb_qwen3": engine.PoolLast, "emb_bert": engine.PoolCLS, "emb_xlm_roberta": engine.PoolCLS,
	"emb_modernbert": engine.PoolMean, "emb_gemma3": engine.PoolMean,
}

// TestEmbedReference embeds as PyTorch did, with folders in the form of sentence-transformers and with the files that
// they are converted to: texts together as each alone.
func TestEmbedReference(t *testing.T) {
	for name, pooling := range poolings {
		t.Run(name, func(t *testing.T) {
			dir := testfiles.Path(t, "fixtures2/"+name)
			file, devices := filepath.Join(t.TempDir(), name+".gguf"), []string{"ref", "cpu"}
			if testing.Short() { // what differs is how the fast device computes
				devices = devices[1:]
			}
			if err := convert.Convert(t.Context(), dir, file, convert.Options{}); err != nil {
				t.Fatal(err)
			}
			ref := readReference(t, dir)
			for _, device := range devices {
				h := newHost(t, HostOptions{Device: device})
				checkEmbedding(t, openModel(t, h, dir, Options{Context: 64, Sequences: 3}), ref, pooling)
				checkEmbedding(t, openModel(t, h, file, Options{Context: 64, Sequences: 3}), ref, pooling)
			}
		})
	}
}

// TestEncoderWritesNothing asks an encoder for text, and for what only models that write have.
func TestEncoderWritesNothing(t *testing.T) {
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	m := openModel(t, h, testfiles.Path(t, "fixtures2/emb_bert"), Options{PrefixCache: 1 << 20, KVTokens: 512})
	answers := map[string]func(func(Piece, error) bool){
		"chat":   m.Chat(t.Context(), []Message{{Role: "user", Content: "Hi"}}, Params{}),
		"text":   m.Generate(t.Context(), "Hi", Params{}),
		"tokens": m.GenerateTokens(t.Context(), []int32{1, 2}, Params{}),
	}
	for name, answer := range answers {
		var last error
		for _, err := range answer {
			last = err
		}
		if !errors.Is(last, ErrEncoder) {
			t.Errorf("%s: error %v", name, last)
		}
	}
	e, err := m.Engine()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Submit(t.Context(), engine.Request{Prompt: []int32{1}}); !errors.Is(err, engine.ErrEncoder) {
		t.Errorf("error %v of the engine", err)
	}
	if _, err := m.Rank(t.Context(), "q", []string{"d"}); !errors.Is(err, ErrNoRanker) {
		t.Errorf("error %v of a ranker", err)
	}
}

// checkEmbedding compares the states of prompts with those of a reference.
func checkEmbedding(t *testing.T, m *Model, ref reference, pooling engine.Pooling) {
	t.Helper()
	if m.Pooling() != pooling || m.Ranker() != nil || !m.Embeds() {
		t.Fatalf("pooling %v, ranker %v, embeds %v", m.Pooling(), m.Ranker(), m.Embeds())
	}
	var prompts [][]int32
	lengths := []string{"5", "17", "48"}
	for _, n := range lengths {
		prompts = append(prompts, ref.ids(t, "ids_"+n))
	}
	pooled, err := m.hidden(t.Context(), prompts, m.Pooling())
	if err != nil {
		t.Fatal(err)
	}
	dense := m.arch == "gemma-embedding" // whose states come out behind two more matrices
	all, err := m.hidden(t.Context(), prompts, engine.PoolNone)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range lengths {
		alone, err := m.hidden(t.Context(), prompts[i:i+1], m.Pooling())
		if err != nil {
			t.Fatal(err)
		}
		together := cosine(alone[0], pooled[i])
		engine.Normalize(pooled[i])
		one, rows := cosine(ref.floats(t, "embedding_"+n), pooled[i]), 1.0
		if !dense {
			rows = cosine(ref.floats(t, "last_hidden_"+n), all[i])
		}
		t.Logf("%s, %s tokens: cosine %.8f of the embedding, %.8f of all states, %.8f together", m.dev.info().Name, n, one,
			rows, together)
		if !(min(one, rows, together) >= 0.99999) {
			t.Errorf("%s tokens: cosine %v of the embedding, %v of all states, %v together", n, one, rows, together)
		}
	}
}

// TestRankReference scores as PyTorch did: with a head of one label, and with the words yes and no.
func TestRankReference(t *testing.T) {
	check := func(m *Model, ref reference, r engine.Ranker) {
		t.Helper()
		for _, n := range []string{"5", "17", "48"} {
			states, err := m.hidden(t.Context(), [][]int32{ref.ids(t, "ids_"+n)}, r.Pooling())
			if err != nil {
				t.Fatal(err)
			}
			want := float64(ref.floats(t, "score_"+n)[0])
			if got := r.Score(states[0]); math.Abs(got-want) > 1e-5 {
				t.Errorf("%s, %s tokens: score %v, want %v", m.ID(), n, got, want)
			}
		}
	}
	h := newHost(t, HostOptions{Device: "ref"})
	heads := func(dir string, ref reference) {
		t.Helper()
		m := openModel(t, h, dir, Options{})
		defer m.Close()
		if m.Ranker() == nil || m.Embeds() {
			t.Fatalf("%s: a model with a head for scores is no ranker, or embeds", dir)
		}
		check(m, ref, m.Ranker())
		scores, err := m.Rank(t.Context(), "cat", []string{"a cat", "dog", "a cat"})
		if err != nil || len(scores) != 3 || scores[0] != scores[2] || scores[0] == scores[1] {
			t.Errorf("%s: scores %v, %v", dir, scores, err)
		}
	}
	for _, name := range []string{"rerank_qwen3_seqcls", "rerank_xlm_roberta"} {
		dir, file := testfiles.Path(t, "fixtures2/"+name), filepath.Join(t.TempDir(), name+".gguf")
		if err := convert.Convert(t.Context(), dir, file, convert.Options{}); err != nil {
			t.Fatal(err)
		}
		heads(dir, readReference(t, dir))
		heads(file, readReference(t, dir))
	}

	dir := testfiles.Path(t, "fixtures2/rerank_qwen3_yesno")
	f, err := OpenFile(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &ranker{}
	for _, id := range []int{300, 301} { // of this vocabulary, which has neither word
		row, err := models.ReadRows(f, "token_embd.weight", id, 1)
		if err != nil {
			t.Fatal(err)
		}
		r.head.rows = append(r.head.rows, row...)
	}
	m := openModel(t, h, dir, Options{Context: 128})
	check(m, readReference(t, dir), r)
	if _, err := m.Rank(t.Context(), "a", []string{"b"}); !errors.Is(err, ErrNoRanker) {
		t.Errorf("error %v", err)
	}
	if _, err := h.Open(t.Context(), dir, Options{Pooling: "rank"}); !errors.As(err, new(*OptionError)) ||
		!strings.Contains(err.Error(), `no token "yes"`) {
		t.Errorf("error %v", err)
	}
}

// TestEmbedEmber: texts in one call, beside answers, give the vectors that each gives alone; with Invariant to the
// bit.
func TestEmbedEmber(t *testing.T) {
	long := 120
	if testing.Short() {
		t.Log("SKIPPED: -short leaves texts of more than 512 tokens to make long")
		long = 40
	}
	texts := []string{"Paris", "The capital of France is Paris.",
		strings.Repeat("A long story about a dog. ", long), "Paris"}
	h := newHost(t, HostOptions{Device: "cpu"})
	for _, invariant := range []bool{false, true} {
		m := openModel(t, h, Ember, Options{Context: 1024, Sequences: 3, Invariant: invariant})
		for _, pooling := range []string{"", "mean"} {
			o := EmbedOptions{Pooling: pooling}
			done := make(chan error)
			go func() {
				_, err := ask(t.Context(), m, france, Params{})
				done <- err
			}()
			got, err := m.Embed(t.Context(), texts, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			for i, text := range texts {
				alone, err := m.Embed(t.Context(), []string{text}, o)
				if err != nil {
					t.Fatal(err)
				}
				if c := cosine(alone[0], got[i]); !(c > 0.99999) || invariant && !slices.Equal(alone[0], got[i]) {
					t.Errorf("%q, invariant %v, %d tokens: cosine %v", pooling, invariant, len(text), c)
				}
			}
			if a, b := cosine(got[0], got[3]), cosine(got[0], got[2]); !(a > 0.99999) || !(b < 0.99) {
				t.Errorf("%q: cosine %v of equal texts, %v of others", pooling, a, b)
			}
			cut, err := m.Embed(t.Context(), texts[:1], EmbedOptions{Pooling: pooling, Dimensions: 7})
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(got[0][:7])
			if engine.Normalize(want); len(cut[0]) != 7 || !(cosine(cut[0], want) > 0.99999) ||
				math.Abs(cosine(cut[0], cut[0])-1) > 1e-6 {
				t.Errorf("%q: 7 numbers are %v, want %v", pooling, cut[0], want)
			}
		}
	}
}

// TestEmbedOptions checks what is refused, and where the pooling comes from.
func TestEmbedOptions(t *testing.T) {
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	m := openModel(t, h, Ember, Options{Context: 64, Pooling: "mean"})
	if m.Pooling() != engine.PoolMean {
		t.Errorf("pooling %v", m.Pooling())
	}
	for _, c := range []struct {
		o    EmbedOptions
		want string
	}{
		{EmbedOptions{Pooling: "max"}, `option Pooling: engine: pooling "max": want none, mean, cls or last`},
		{EmbedOptions{Pooling: "none"}, "option Pooling none gives no single vector"},
		{EmbedOptions{Dimensions: -1}, "option Dimensions -1 is outside 0..256"},
		{EmbedOptions{Dimensions: 257}, "option Dimensions 257 is outside 0..256"},
	} {
		if _, err := m.Embed(t.Context(), []string{"x"}, c.o); !errors.As(err, new(*OptionError)) ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	var length *ContextLengthError
	if _, err := m.Embed(t.Context(), []string{"x", strings.Repeat("word ", 200)}, EmbedOptions{}); !errors.As(err,
		&length) || length.Limit != 64 {
		t.Errorf("error %v", err)
	}
	for name, want := range map[string]string{"max": `want last, mean, cls, none or rank`,
		"rank": `architecture "qwen35"`} {
		if _, err := h.Open(t.Context(), Ember, Options{Pooling: name}); !errors.As(err, new(*OptionError)) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.Close()
	if _, err := m.Embed(t.Context(), []string{"x"}, EmbedOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// rankFolder is the fixture of a model that answers with the words yes and no, with a vocabulary that has them and a
// model card that says what it is for.
func rankFolder(t *testing.T) string {
	t.Helper()
	from, dir := testfiles.Path(t, "fixtures2/rerank_qwen3_yesno"), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tokenizer.json")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	model := doc["model"].(map[string]any)
	vocab := model["vocab"].(map[string]any)
	for was, word := range map[string]string{"ear": "yes", ".ĊĊ": "no"} { // ids 300 and 301
		vocab[word] = vocab[was]
		delete(vocab, was)
		model["merges"] = slices.DeleteFunc(model["merges"].([]any), func(m any) bool {
			pair := m.([]any)
			return pair[0] == was || pair[1] == was || pair[0].(string)+pair[1].(string) == was
		})
	}
	model["ignore_merges"] = true // words of the vocabulary are tokens
	if b, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"tokenizer.json": b,
		"README.md": []byte("---\npipeline_tag: text-ranking\n---\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestRankWords ranks with a model that answers with words: by the rows of the output matrix that stand for them,
// behind a prompt in which texts of special tokens from outside stay text.
func TestRankWords(t *testing.T) {
	h, dir := newHost(t, HostOptions{Device: "ref"}), rankFolder(t)
	m := openModel(t, h, dir, Options{Context: 512})
	if m.Ranker() == nil {
		t.Fatal("no ranker")
	}
	ids, _, err := m.Ranker().Prompt("<|im_end|>", "x<|im_end|>y")
	if err != nil {
		t.Fatal(err)
	}
	end, err := m.Encode("<|im_end|>", EncodeOptions{ParseSpecial: true})
	if err != nil || len(end) != 1 {
		t.Fatalf("%v, %v", end, err)
	}
	n := 0
	for _, id := range ids {
		if id == end[0] {
			n++
		}
	}
	text := m.Decode(ids, true)
	if n != 2 || !strings.Contains(text,
		"<Query>: <|im_end|>\n\n<Document>: x<|im_end|>y<|im_end|>\n<|im_start|>assistant") {
		t.Errorf("%d markers in %q", n, text)
	}
	documents := []string{"cats are animals", "the sky"}
	scores, err := m.Rank(t.Context(), "cats", documents)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range documents {
		prompt, _, err := m.Ranker().Prompt("cats", d)
		if err != nil {
			t.Fatal(err)
		}
		var yes, no float64
		err = m.Logits(t.Context(), prompt, 0, func(rows []float32) error {
			last := rows[len(rows)-m.VocabSize():]
			yes, no = float64(last[300]), float64(last[301])
			return nil
		})
		if want := 1 / (1 + math.Exp(no-yes)); err != nil || math.Abs(scores[i]-want) > 1e-5 {
			t.Errorf("score %v, %v; the logits say %v", scores[i], err, want)
		}
	}

	file := filepath.Join(t.TempDir(), "ranker.gguf") // which has a head, for other programs
	if err := convert.Convert(t.Context(), dir, file, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	g := openModel(t, h, file, Options{Context: 512})
	again, err := g.Rank(t.Context(), "cats", documents)
	if err != nil || !slices.Equal(again, scores) {
		t.Errorf("scores %v of the file, %v, and %v of the folder", again, err, scores)
	}
	f, err := OpenFile(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head, ok := f.Tensor(models.RankHead)
	labels, err := f.meta.Strings("qwen3.classifier.output_labels")
	if !ok || !slices.Equal(head.Shape, []int{2, 128}) || err != nil || !slices.Equal(labels, []string{"yes", "no"}) {
		t.Errorf("head %v with labels %q, %v", head, labels, err)
	}
}

// TestRankTemplate cuts templates at their places.
func TestRankTemplate(t *testing.T) {
	for template, want := range map[string]string{
		"a{query}b{document}c": "a Q b D c", "{document}{query}": " D  Q ", "a{query}": "0 places {document}",
		"{query}{query}{document}": "2 places {query}", "": "0 places {query}",
	} {
		r := &ranker{}
		got := ""
		if err := r.parse(template); err != nil {
			got = err.Error()
		} else {
			texts := [2]string{" Q ", " D "}
			got = r.parts[0] + texts[r.order[0]] + r.parts[1] + texts[r.order[1]] + r.parts[2]
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", template, got, want)
		}
	}
}
