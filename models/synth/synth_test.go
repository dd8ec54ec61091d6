package synth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/synth"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// ropeBytes are the rotary factors of Llama 3.1, which the sizes known for its weights leave out.
const ropeBytes = 64 * 4

// TestSizes compares the bytes of the tensors with those of the real files, and the numbers of parameters.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name   string
		params float64 // billions
		bytes  int64   // Q4_K_M; 0 if that is not known
	}{
		{"qwen3-0.6b", 0.596, 390_753_280}, {"qwen3-4b", 4.022, 2_491_323_904}, {"qwen3-8b", 8.191, 5_021_827_072},
		{"llama-3.1-8b", 8.030, 4_912_898_048 + ropeBytes}, {"70b", 70.554, 42_512_531_456 + ropeBytes},
		{"405b", 405.853, 0},
		{"qwen3.6-27b", 26.896, 16_536_406_016}, {"35b-a3b", 34.661, 21_155_768_832},
		{"qwen3.6-27b/mtp", 27.321, 16_799_719_424}, {"35b-a3b/mtp", 35.505, 21_702_472_192}, {"qwen3.5-4b", 4.206, 0},
		{"granite-4-h-small", 32.208, 0}, {"lfm2-8b-a1b", 8.340, 0}, {"qwen3-30b-a3b", 30.532, 0},
		{"gpt-oss-20b", 20.915, 0}, {"gpt-oss-120b", 116.829, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			name, mtp := strings.CutSuffix(c.name, "/mtp")
			s, err := synth.Lookup(name)
			if err == nil && mtp {
				s, err = s.WithMTP()
			}
			if err != nil {
				t.Fatal(err)
			}
			infos, err := s.Tensors(convert.Q4_K_M)
			if err != nil {
				t.Fatal(err)
			}
			var params, size int64
			for _, i := range infos {
				params += int64(i.Shape.Elems())
				size += i.Size
			}
			if math.Abs(float64(params)/1e9-c.params) > 0.001 || size != c.bytes && c.bytes != 0 {
				t.Errorf("%d parameters in %d bytes, want %.3f billions in %d (%+d)", params, size, c.params, c.bytes,
					size-c.bytes)
			}
		})
	}
	if _, err := synth.Lookup("gpt-9"); err == nil || !strings.Contains(err.Error(), "qwen3.6-27b") {
		t.Errorf("unknown shape: %v", err)
	}
}

// TestLayers checks that a shape of fewer layers has the tensors of these and no others.
func TestLayers(t *testing.T) {
	const layers = 6 // of which one of Granite 4 has attention
	names := synth.Names()
	if testing.Short() {
		t.Log("SKIPPED: -short leaves most shapes to make long")
		names = []string{"lfm2-8b-a1b", "405b"}
	}
	for _, name := range names {
		s, err := synth.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.Tensors(convert.F16)
		if err != nil {
			t.Fatal(err)
		}
		few, err := s.WithLayers(layers)
		if err != nil {
			t.Fatal(err)
		}
		got, err := few.Tensors(convert.F16)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var want []string
		for _, x := range all {
			if n := 0; strings.HasPrefix(x.Name, "blk.") {
				if _, err := fmt.Sscanf(x.Name, "blk.%d.", &n); err != nil || n >= layers {
					continue
				}
			}
			want = append(want, x.Name)
		}
		var names []string
		for _, x := range got {
			names = append(names, x.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: tensors %q, want %q", name, names, want)
		}
		if _, err := s.WithLayers(0); err == nil {
			t.Errorf("%s: no layer is no error", name)
		}
		if _, err := s.WithLayers(200); err == nil || !strings.Contains(err.Error(), "200 layers") {
			t.Errorf("%s: 200 layers: %v", name, err)
		}
	}
}

// tiny is a hybrid of experts: every kind of tensor that the real shapes have.
func tiny() synth.Shape {
	return synth.Shape{Name: "tiny", Arch: "qwen35moe", Title: "Tiny", Pre: "qwen35", Vocab: 512, Keys: []synth.Key{
		{"block_count", uint32(4)}, {"context_length", uint32(128)}, {"embedding_length", uint32(256)},
		{"attention.head_count", uint32(4)}, {"attention.head_count_kv", uint32(2)},
		{"attention.key_length", uint32(64)}, {"attention.value_length", uint32(64)},
		{"rope.freq_base", float32(1e4)}, {"rope.dimension_count", uint32(16)},
		{"attention.layer_norm_rms_epsilon", float32(1e-6)},
		{"full_attention_interval", uint32(4)}, {"ssm.conv_kernel", uint32(4)}, {"ssm.state_size", uint32(64)},
		{"ssm.group_count", uint32(2)}, {"ssm.time_step_rank", uint32(4)}, {"ssm.inner_size", uint32(256)},
		{"expert_count", uint32(4)}, {"expert_used_count", uint32(2)},
		{"expert_feed_forward_length", uint32(256)}, {"expert_shared_feed_forward_length", uint32(256)},
	}}
}

func write(t *testing.T, o synth.Options) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := synth.Write(t.Context(), tiny(), out, o); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRuns loads a model of each type and looks at its logits.
func TestRuns(t *testing.T) {
	for i, typ := range []convert.FType{convert.F32, convert.F16, convert.BF16, convert.Q8_0, convert.Q4_0,
		convert.Q5_1, convert.Q2_K, convert.Q3_K_M,
		convert.Q4_K_M, convert.Q5_K_M, convert.Q6_K, convert.IQ4_NL, convert.IQ4_XS, convert.MXFP4MoE} {
		t.Run(typ.String(), func(t *testing.T) {
			if testing.Short() && i%3 != 2 {
				t.Skip("SKIPPED: -short leaves two of three types to make long")
			}
			f, err := gguf.Open(write(t, synth.Options{Type: typ}))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			v, err := tokenizer.FromGGUF(f.Meta)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := tokenizer.New(v)
			if err != nil {
				t.Fatal(err)
			}
			const text = "Two\tnaïve cats. 猫"
			ids, err := tok.Encode(text, tokenizer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Decode(ids, false); got != text {
				t.Errorf("%q comes back as %q", text, got)
			}
			m, err := models.New(f.Meta)
			if err != nil {
				t.Fatal(err)
			}
			dev := opsref.New(opsref.Options{Name: "cpu", Threads: 1})
			w, err := models.LoadWeights(t.Context(), m, f, dev, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Free()
			r, err := runner.New(dev, m, w, runner.Options{Context: 64})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			id, err := r.Open()
			if err != nil {
				t.Fatal(err)
			}
			rows, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: ids, Rows: len(ids)}})
			if err != nil {
				t.Fatal(err)
			}
			var sum, squares float64
			for _, x := range rows[0] {
				sum += float64(x)
				squares += float64(x) * float64(x)
			}
			n := float64(len(rows[0]))
			spread := math.Sqrt(squares/n - sum/n*(sum/n))
			// Rows of weights have length one, and the output norm makes inputs of size one.
			if !(spread > 0.3 && spread < 3) || slices.Equal(rows[0][:512], rows[0][512:1024]) {
				t.Errorf("logits vary by %v", spread)
			}
		})
	}
}

func TestSeed(t *testing.T) {
	var files [][]byte
	for _, seed := range []uint64{1, 1, 2} {
		b, err := os.ReadFile(write(t, synth.Options{Type: convert.Q4_K_M, Seed: seed}))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the same seed gives different files")
	}
	if len(files[0]) != len(files[2]) || bytes.Equal(files[0], files[2]) {
		t.Error("different seeds give the same file, or files of different sizes")
	}
}

func TestRefusals(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.gguf")
	ctx, cancel := context.WithCancel(t.Context())
	small, unknown := tiny(), tiny()
	small.Vocab, unknown.Arch = 100, "none"
	for _, c := range []struct {
		name, want string
		shape      synth.Shape
		o          synth.Options
	}{
		{"type without codes", "IQ2_XXS", tiny(), synth.Options{Type: convert.IQ2_XXS}},
		{"vocabulary", "100 tokens", small, synth.Options{}},
		{"architecture", "none", unknown, synth.Options{}},
		{"canceled", "canceled", tiny(), synth.Options{Progress: func(int64, int64) { cancel() }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := synth.Write(ctx, c.shape, out, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if c.name == "canceled" && !errors.Is(err, context.Canceled) {
				t.Errorf("error %v is not context.Canceled", err)
			}
			if names, _ := filepath.Glob(filepath.Join(filepath.Dir(out), "*")); len(names) != 0 {
				t.Errorf("files left: %v", names)
			}
		})
	}
}
