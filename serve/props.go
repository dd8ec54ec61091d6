package serve

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/anthropic"
	"github.com/hipengine/hipengine/serve/openai"
)

// props serves GET /props: what a model is, and what requests get that say nothing. The query model=NAME chooses one
// of several. It does not load a model that was loaded before, so that whoever asks keeps none awake.
func (s *Server) props(w http.ResponseWriter, r *http.Request) {
	id, err := s.resolve(r.URL.Query().Get("model"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	p, ok := s.described.Load(id)
	if !ok {
		if err := s.describe(r.Context(), id); err != nil {
			s.fail(w, r, err)
			return
		}
		p, _ = s.described.Load(id)
	}
	props := p.(openai.Props)
	props.IsSleeping = !s.loaded(id)
	s.reply(w, http.StatusOK, props)
}

// loaded reports whether a request for a model need not wait for it.
func (s *Server) loaded(id string) bool {
	for _, m := range s.list() {
		if m.ID == id {
			return m.State == pool.Loaded
		}
	}
	return false
}

// describe notes the properties of a model, which stay the same while it is unloaded. It waits until it is loaded.
func (s *Server) describe(ctx context.Context, id string) error {
	m, release, err := s.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	limits := m.Engine.Limits()
	s.described.Store(id, openai.Props{
		Defaults: openai.PropsDefaults{
			Params: samplingSettings(s.c.Sampling.Apply(m.Defaults.Apply(sample.Defaults())),
				m.Defaults.Seed != nil || s.c.Sampling.Seed != nil),
			NCtx: limits.Context,
		},
		TotalSlots: limits.Seqs, ModelAlias: m.ID, ModelPath: m.File, ChatTemplate: m.Template,
		BOSToken: m.Tokenizer.BOSText(), EOSToken: m.Tokenizer.EOSText(), BuildInfo: s.fingerprint(),
		WithoutEffect: openai.WithoutEffect(),
		HostedTools:   slices.Sorted(slices.Values(slices.Concat(openai.HostedTools, anthropic.HostedTools))),
	})
	return nil
}

// samplingSettings returns parameters under llama.cpp's names.
func samplingSettings(p sample.Params, seeded bool) openai.SamplingSettings {
	o := openai.SamplingSettings{
		Seed: -1, Temperature: p.Temperature, DynatempRange: p.DynatempRange, DynatempExponent: p.DynatempExponent,
		TopK: p.TopK,
		TopP: cmp.Or(p.TopP, 1), MinP: p.MinP, TopNSigma: cmp.Or(p.TopNSigma, -1), XTCProbability: p.XTCProbability,
		XTCThreshold: p.XTCThreshold, TypicalP: cmp.Or(p.TypicalP, 1),
		RepeatLastN: cmp.Or(p.RepeatLastN, sample.DefaultRepeatLastN), RepeatPenalty: cmp.Or(p.RepeatPenalty, 1),
		PresencePenalty: p.PresencePenalty, FrequencyPenalty: p.FrequencyPenalty,
		DRYMultiplier: p.DRYMultiplier, DRYBase: p.DRYBase, DRYAllowedLength: p.DRYAllowedLength,
		DRYLastN:    cmp.Or(p.DRYLastN, -1),
		DRYBreakers: append([]string{}, p.DRYBreakers...), Mirostat: p.Mirostat, MirostatTau: p.MirostatTau,
		MirostatEta: p.MirostatEta, MinKeep: p.MinKeep,
	}
	if seeded {
		o.Seed = int64(p.Seed)
	}
	return o
}

// fingerprint names the build of the program, which answers depend on beside their request.
func (s *Server) fingerprint() string { return "build-" + cmp.Or(s.c.Version, "unknown") }
