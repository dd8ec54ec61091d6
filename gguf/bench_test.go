package gguf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

// vocabulary is a metadata section of the size of a Qwen 3 model: 151,936 tokens, their types, and as many merges.
func vocabulary() []byte {
	const n = 151936
	rnd := rand.New(rand.NewPCG(1, 2))
	piece := func() string {
		b := make([]byte, 1+rnd.IntN(12))
		for i := range b {
			b[i] = byte('a' + rnd.IntN(26))
		}
		return string(b)
	}
	tokens, merges, types := make([]string, n), make([]string, n), make([]int32, n)
	for i := range n {
		tokens[i], merges[i], types[i] = fmt.Sprint(piece(), i), piece()+" "+piece(), 1
	}
	m := &Meta{}
	m.mustSet("general.architecture", "qwen3")
	m.mustSet("tokenizer.ggml.tokens", tokens)
	m.mustSet("tokenizer.ggml.token_type", types)
	m.mustSet("tokenizer.ggml.merges", merges)
	var ts []TensorInfo
	for i := range 400 {
		ts = append(ts, TensorInfo{Name: fmt.Sprintf("blk.%d.attn_q.weight", i), DType: tensor.F16,
			Shape: tensor.Shape{1}, Offset: int64(32 * i)})
	}
	b := pad(appendHeader(nil, 3, m, ts), 32)
	return append(b, make([]byte, 32*len(ts))...)
}

func BenchmarkParseVocabulary(b *testing.B) {
	data := vocabulary()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(bytes.NewReader(data), int64(len(data))); err != nil {
			b.Fatal(err)
		}
	}
}

// TestVocabularyAllocations checks that strings share memory: a vocabulary of 300,000 strings takes few objects
// and little more memory than its bytes and string headers.
func TestVocabularyAllocations(t *testing.T) {
	data := vocabulary()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := New(bytes.NewReader(data), int64(len(data)))
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if n := after.Mallocs - before.Mallocs; n > 2000 {
		t.Errorf("%d allocations", n)
	}
	// Chunks hold the bytes once; headers of 16 bytes grow by doubling, so that all steps together take twice the
	// last one; numbers take their size. Half a megabyte is for the tensors, and one for the last chunk.
	if n, limit := after.TotalAlloc-before.TotalAlloc, uint64(len(data)+2*151936*32+3<<19); n > limit {
		t.Errorf("%d bytes allocated, limit %d", n, limit)
	}
	tokens, err := f.Meta.Strings("tokenizer.ggml.tokens")
	if err != nil || len(tokens) != 151936 {
		t.Fatalf("%d tokens, %v", len(tokens), err)
	}
	for i, s := range []int{0, 1, 75000, 151935} {
		if want := fmt.Sprint(s); len(tokens[s]) <= len(want) || tokens[s][len(tokens[s])-len(want):] != want {
			t.Errorf("%d: token %d is %q", i, s, tokens[s])
		}
	}
}
