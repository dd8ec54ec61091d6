package nn

import (
	"math"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// near reports whether got agrees with want to a relative error of tol.
func near(got, want, tol float64) bool { return math.Abs(got-want) <= tol*math.Abs(want) }

// plain is the frequency of pair i without any scaling.
func plain(base float64, n, i int) float64 { return math.Pow(base, -2*float64(i)/float64(n)) }

func freqs(t *testing.T, r *RoPE, factors []float32) []float64 {
	t.Helper()
	f, err := r.Freqs(factors)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, len(f))
	for i, x := range f {
		out[i] = float64(x)
	}
	return out
}

// TestRoPELlama3 compares with the factors that llama.cpp's converter writes for Llama 3.1, printed to 7 digits.
func TestRoPELlama3(t *testing.T) {
	want := map[int]float64{0: 1, 28: 1, 29: 1.207484, 30: 1.553415, 31: 2.026313, 32: 2.69453, 33: 3.684253,
		34: 5.257327, 35: 8, 63: 8}
	r := &RoPE{NRot: 128, Base: 5e5, Scaling: Llama3, Factor: 8, Context: 8192}
	got := freqs(t, r, nil)
	for i, f := range want {
		if !near(plain(5e5, 128, i)/got[i], f, 5e-7) {
			t.Errorf("pair %d: factor %v, want %v", i, plain(5e5, 128, i)/got[i], f)
		}
	}
	// The same through a tensor of factors.
	factors := r.llama3Factors()
	for i, f := range freqs(t, &RoPE{NRot: 128, Base: 5e5}, factors) {
		if f != got[i] {
			t.Errorf("pair %d: %v from a tensor, %v computed", i, f, got[i])
		}
	}
	// A tensor is not scaled again.
	for i, f := range freqs(t, r, factors) {
		if f != got[i] {
			t.Errorf("pair %d: %v with tensor and parameters, want %v", i, f, got[i])
		}
	}
}

// TestRoPEYaRN compares with the effective frequencies of gpt-oss in llama.cpp.
func TestRoPEYaRN(t *testing.T) {
	want := map[int]float64{0: 1, 8: 0.0508132748, 9: 0.0316207523, 12: 0.00701571391, 17: 2.27947796e-4,
		18: 3.83088124e-5, 31: 3.02351143e-7}
	r := &RoPE{NRot: 64, Base: 150000, Scaling: YaRN, Factor: 32, Context: 4096}
	got := freqs(t, r, nil)
	for i, f := range want {
		if !near(got[i], f, 2e-6) { // llama.cpp multiplies in float32
			t.Errorf("pair %d: %v, want %v", i, got[i], f)
		}
	}
	if m := r.MScale(); !near(m, 1.34657359, 1e-8) {
		t.Errorf("mscale %v, want 1.34657359", m)
	}
	if lo, hi := r.yarnPair(32), r.yarnPair(1); math.Abs(lo-8.093) > 5e-4 || math.Abs(hi-17.398) > 5e-4 {
		t.Errorf("ramp from %v to %v, want 8.093 to 17.398", lo, hi)
	}
	r.Unrounded = true
	// Pair 12 of the unrounded ramp: kept share 1-(12-8.0929)/(17.3980-8.0929).
	lo, hi := r.yarnPair(32), r.yarnPair(1)
	keep := 1 - (12-lo)/(hi-lo)
	if f := plain(150000, 64, 12); !near(freqs(t, r, nil)[12], f*(keep+(1-keep)/32), 1e-6) {
		t.Errorf("unrounded pair 12: %v", freqs(t, r, nil)[12])
	}
	r.NoExtrapolation = true
	for i, f := range freqs(t, r, nil) {
		if !near(f, plain(150000, 64, i)/32, 1e-6) {
			t.Errorf("without extrapolation, pair %d: %v", i, f)
		}
	}
}

func TestRoPEMScale(t *testing.T) {
	ln16 := math.Log(16)
	for _, c := range []struct {
		name string
		r    RoPE
		want float64
	}{
		{"none", RoPE{}, 1},
		{"attn factor", RoPE{AttnFactor: 1.25}, 1.25},
		{"linear", RoPE{Scaling: LinearScaling, Factor: 8}, 1},
		{"yarn", RoPE{Scaling: YaRN, Factor: 16}, 1 + 0.1*ln16},
		{"yarn, factor below 1", RoPE{Scaling: YaRN, Factor: 0.5}, 1},
		{"yarn, no extrapolation", RoPE{Scaling: YaRN, Factor: 16, NoExtrapolation: true}, 1},
		{"yarn, log multiplier 1", RoPE{Scaling: YaRN, Factor: 16, LogMultiplier: 1}, 1},
		{"yarn, log multiplier 0.707", RoPE{Scaling: YaRN, Factor: 16, LogMultiplier: 0.707},
			(1 + 0.1*ln16) / (1 + 0.0707*ln16)},
		{"yarn, attn factor", RoPE{Scaling: YaRN, Factor: 16, AttnFactor: 2}, 2 * (1 + 0.1*ln16)},
		{"longrope", RoPE{Scaling: LongRoPE, Factor: 32, AttnFactor: 1.1902380714238083}, 1.1902380714238083},
	} {
		if m := c.r.MScale(); !near(m, c.want, 1e-14) {
			t.Errorf("%s: %v, want %v", c.name, m, c.want)
		}
	}
}

// TestRoPETables checks the simple forms by hand: base 10000 and four pairs give 1, 0.1, 0.01, 0.001.
func TestRoPETables(t *testing.T) {
	proportional := []float32{1, 1, 1e30, 1e30}
	for _, c := range []struct {
		name    string
		r       RoPE
		factors []float32
		want    [4]float64
	}{
		{"none", RoPE{}, nil, [4]float64{1, 0.1, 0.01, 0.001}},
		{"factor without scaling", RoPE{Factor: 8}, nil, [4]float64{1, 0.1, 0.01, 0.001}},
		{"linear", RoPE{Scaling: LinearScaling, Factor: 8}, nil, [4]float64{0.125, 0.0125, 0.00125, 0.000125}},
		{"linear 1", RoPE{Scaling: LinearScaling}, nil, [4]float64{1, 0.1, 0.01, 0.001}},
		{"factors", RoPE{}, []float32{1, 2, 4, 8}, [4]float64{1, 0.05, 0.0025, 0.000125}},
		{"linear and factors", RoPE{Scaling: LinearScaling, Factor: 2}, []float32{1, 2, 4, 8},
			[4]float64{0.5, 0.025, 0.00125, 0.0000625}},
		{"partial", RoPE{Pairs: 2}, nil, [4]float64{1, 0.1, 0, 0}},
		{"proportional by factors", RoPE{}, proportional, [4]float64{1, 0.1, 1e-32, 1e-33}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.r.NRot, c.r.Base = 8, 10000
			for i, f := range freqs(t, &c.r, c.factors) {
				if !near(f, c.want[i], 1e-7) {
					t.Errorf("pair %d: %v, want %v", i, f, c.want[i])
				}
			}
		})
	}
	for name, bad := range map[string][]float32{
		"zero": {1, 1, 0, 1}, "negative": {1, -1, 1, 1}, "NaN": {float32(math.NaN()), 1, 1, 1},
		"infinite": {1, 1, 1, float32(math.Inf(1))},
		"tiny":     {1e-45, 1, 1, 1}, "short": {1, 1, 1}, "none at all": {},
	} {
		if f, err := (&RoPE{NRot: 8, Base: 10000}).Freqs(bad); err == nil {
			t.Errorf("%s factors gave %v and no error", name, f)
		}
	}
}

// ropeOf records one rotation and returns the name of the table and the attributes that it uses.
func ropeOf(t *testing.T, r *RoPE, context int) (string, ops.RoPEAttrs) {
	t.Helper()
	m := &Decoder{Hparams: models.Hparams{Embd: 8, Vocab: 4}, RoPE: []*RoPE{r}}
	src := randomSource(m)
	g := &ops.Graph{}
	x := g.Input("x", f32, 3, 2, 8)
	r.Apply(g, loadWeights(t, m, src), models.Batch{Pos: g.Input("pos", i32, 3), Context: context}, x)
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	n := g.Nodes[len(g.Nodes)-1]
	return n.In[2].Node().Name, n.Attrs.(ops.RoPEAttrs)
}

// TestLongRoPE checks that the context picks the table, and that both come from their tensors.
func TestLongRoPE(t *testing.T) {
	r := &RoPE{NRot: 8, Base: 10000, Scaling: LongRoPE, Context: 4096, AttnFactor: 1.19, Pairing: ops.NeoX}
	for context, want := range map[int]string{0: "rope.freqs", 1024: "rope.freqs", 4096: "rope.freqs",
		4097: "rope.freqs.long"} {
		name, a := ropeOf(t, r, context)
		if name != want || a != (ops.RoPEAttrs{NRot: 8, Pairing: ops.NeoX, MScale: 1.19}) {
			t.Errorf("context %d: table %q with %+v, want %q", context, name, a, want)
		}
	}
	var s Specs
	r.Specs(&s)
	for i, in := range []string{"rope_factors_short.weight", "rope_factors_long.weight"} {
		if len(s.List) != 2 || s.List[i].Inputs[0].Name != in || s.List[i].Inputs[0].Optional {
			t.Fatalf("specs %+v", s.List)
		}
		f, err := s.List[i].Derive([][]float32{{1, 2, 4, 8}})
		if err != nil || !near(float64(f[3]), 0.000125, 1e-7) {
			t.Errorf("%s: %v, %v", in, f, err)
		}
	}
	if _, err := s.List[1].Derive([][]float32{{1, 2, 0, 8}}); err == nil ||
		!strings.Contains(err.Error(), "rope_factors_long.weight") {
		t.Errorf("zero factor: error %v does not name the tensor", err)
	}
}

func TestReadRoPE(t *testing.T) {
	for _, c := range []struct {
		name string
		keys map[string]any
		want RoPE
		err  string
	}{
		{"defaults", nil, RoPE{NRot: 64, Base: 10000, Scaling: LinearScaling, Factor: 1, AttnFactor: 1,
			Context: 32768}, ""},
		{"old linear", map[string]any{"rope.scale_linear": float32(4)},
			RoPE{NRot: 64, Base: 10000, Scaling: LinearScaling, Factor: 4, AttnFactor: 1, Context: 32768}, ""},
		{"none", map[string]any{"rope.scaling.type": "none", "rope.scaling.factor": float32(4)},
			RoPE{NRot: 64, Base: 10000, Factor: 4, AttnFactor: 1, Context: 32768}, ""},
		{"yarn", map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": float32(16),
			"rope.dimension_count": uint32(32), "rope.freq_base": float32(1e6),
			"rope.scaling.original_context_length": uint32(16384), "rope.scaling.yarn_log_multiplier": float32(1),
			"rope.scaling.yarn_beta_fast": float32(32)},
			RoPE{NRot: 32, Base: 1e6, Scaling: YaRN, Factor: 16, AttnFactor: 1, Context: 16384, BetaFast: 32,
				BetaSlow: 1, LogMultiplier: 1}, ""},
		{"longrope", map[string]any{"rope.scaling.type": "longrope", "rope.scaling.attn_factor": float32(1.5),
			"rope.scaling.original_context_length": uint32(4096)},
			RoPE{NRot: 64, Base: 10000, Scaling: LongRoPE, Factor: 1, AttnFactor: 1.5, Context: 4096}, ""},
		{"llama3", map[string]any{"rope.scaling.type": "llama3", "rope.scaling.factor": float32(8),
			"rope.scaling.original_context_length": uint32(8192)},
			RoPE{NRot: 64, Base: 10000, Scaling: Llama3, Factor: 8, AttnFactor: 1, Context: 8192, LowFreq: 1,
				HighFreq: 4}, ""},
		{"unknown type", map[string]any{"rope.scaling.type": "ntk"}, RoPE{}, `"ntk" is not known`},
		{"odd", map[string]any{"rope.dimension_count": uint32(31)}, RoPE{}, "rope.dimension_count 31 is odd"},
		{"too many", map[string]any{"rope.dimension_count": uint32(66)}, RoPE{}, "rope.dimension_count"},
		{"zero dimensions", map[string]any{"rope.dimension_count": uint32(0)}, RoPE{}, "rope.dimension_count"},
		{"base 1", map[string]any{"rope.freq_base": float32(1)}, RoPE{}, "rope.freq_base"},
		{"base NaN", map[string]any{"rope.freq_base": float32(math.NaN())}, RoPE{}, "rope.freq_base"},
		{"negative factor", map[string]any{"rope.scaling.factor": float32(-2)}, RoPE{}, "rope.scaling.factor"},
		{"infinite factor", map[string]any{"rope.scaling.factor": float32(math.Inf(1))}, RoPE{},
			"rope.scaling.factor"},
		{"zero beta", map[string]any{"rope.scaling.type": "yarn", "rope.scaling.yarn_beta_fast": float32(0)}, RoPE{},
			"yarn_beta_fast"},
		{"ext factor", map[string]any{"rope.scaling.type": "yarn", "rope.scaling.yarn_ext_factor": float32(0.5)},
			RoPE{}, "yarn_ext_factor 0.5"},
		{"frequency order", map[string]any{"rope.scaling.type": "llama3", "rope.scaling.low_freq_factor": float32(4),
			"rope.scaling.high_freq_factor": float32(4)}, RoPE{}, "not above"},
		{"original context", map[string]any{"rope.scaling.original_context_length": uint32(0)}, RoPE{},
			"original_context_length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			meta := &gguf.Meta{}
			if err := meta.Set("general.architecture", "a"); err != nil {
				t.Fatal(err)
			}
			for key, v := range c.keys {
				if err := meta.Set("a."+key, v); err != nil {
					t.Fatal(err)
				}
			}
			k := models.NewKeys(meta)
			d := &Decoder{}
			d.Context = 32768
			r := ReadRoPE(k, d, 64, ops.NeoX)
			if c.err != "" {
				if err := k.Err(); err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want it to say %q", err, c.err)
				}
				return
			}
			if k.Err() != nil || *r != c.want || len(d.RoPE) != 1 || d.RoPE[0] != r {
				t.Errorf("%+v, %v, want %+v", *r, k.Err(), c.want)
			}
		})
	}
}
