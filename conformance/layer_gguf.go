package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// The tokens of a GGUF check: a prefill, then single tokens.
const (
	ggufPrefill = 64
	ggufDecode  = 8
)

// ggufChecks is layer 7: the logits of real files, device against reference.
func (s *suite) ggufChecks() []check {
	var cs []check
	for _, path := range s.o.GGUF {
		cs = append(cs, check{"GGUF/" + filepath.Base(path), func(ctx context.Context) Result {
			r, err := s.ggufCheck(ctx, path)
			if err != nil {
				return failure(err, false)
			}
			return r
		}})
	}
	return cs
}

func (s *suite) ggufCheck(ctx context.Context, path string) (Result, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return Result{}, err
	}
	defer f.Close()
	m, err := models.New(f.Meta)
	if err != nil {
		return Result{}, err
	}
	rnd := newRand(s.o.Seed, "gguf")
	ids := make([]int32, min(ggufPrefill+ggufDecode, m.Params().Context))
	for i := range ids {
		ids[i] = int32(rnd.IntN(m.Params().Vocab))
	}
	ref := opsref.New(opsref.Options{}) // with all threads: real models are large
	defer ref.Close()
	want, _, err := ggufLogits(ctx, ref, m, f, ids)
	if err != nil {
		return Result{}, fmt.Errorf("reference: %w", err)
	}
	got, floor, err := ggufLogits(ctx, s.dev, m, f, ids)
	if err != nil {
		return Result{}, err
	}
	floor = math.Max(floor, allowed(exceptions, "GGUF/"+m.Params().Arch, s.dev.Info().Target))
	r, err := judgeLogits(want, got, m.Params().Vocab, floor)
	if err == nil && r.Verdict == Fail && s.o.Tap {
		r.Detail += "; " + s.tap(ctx, m, f, ids)
	}
	return r, err
}

// ggufLogits returns the logits of all positions on a device, and the NMSE that they may have there.
func ggufLogits(ctx context.Context, dev ops.Device, m models.Model, f *gguf.File, ids []int32) (out []float32,
	floor float64, err error) {
	l, err := load(ctx, dev, m, f)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if floor, err = l.floor(tensor.Invalid); err != nil {
		return nil, 0, err
	}
	r, err := l.runner(1, tensor.Invalid, false)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	out, err = complete(ctx, r, ids, ggufPrefill, 1)
	return out, floor, err
}

// judgeLogits compares logits position by position. An error of relative mean square floor on logits of mean square
// M has a mean square of floor·M, and moves the distribution by a KL of half that, to second order. The mean KL may
// be errorFactor times as much, the worst position, whose errors may all point one way, eight times that. The most
// likely token must be the same where the reference prefers it by more than twice the largest error that judge allows.
func judgeLogits(want, got []float32, vocab int, floor float64) (Result, error) {
	l, err := CompareLogits(want, got, vocab)
	if err != nil {
		return Result{}, err
	}
	w := float64s(want)
	j := judge(w, w, float64s(got), floor, 0)
	j.KL, j.Top1 = l.WorstKL, l.Top1
	r := Result{Verdict: Pass, Metrics: j.Metrics, Bound: j.bound, Detail: l.String()}
	meanSquare := rms(want) * rms(want)
	klBound := errorFactor * floor * meanSquare / 2
	margin := 2 * 8 * math.Sqrt(floor) * peak(want)
	switch at := decisive(want, got, vocab, margin); {
	case j.err != nil:
		r.Verdict, r.Detail = Fail, fmt.Sprintf("logits: %v; %v", j.err, l)
	case !(l.MeanKL <= klBound) || !(l.WorstKL <= 8*klBound):
		r.Verdict, r.Detail = Fail,
			fmt.Sprintf("%v; allowed are a mean of %.3g and %.3g at worst", l, klBound, 8*klBound)
	case at >= 0:
		r.Verdict, r.Detail = Fail,
			fmt.Sprintf("%v; position %d has another most likely token although the reference prefers its own by more than %.3g", l, at, margin)
	}
	return r, nil
}

// decisive returns the first position where the most likely token differs although that of want leads by more than
// margin, or -1.
func decisive(want, got []float32, vocab int, margin float64) int {
	for i := 0; i*vocab < len(want); i++ {
		w, g := want[i*vocab:(i+1)*vocab], got[i*vocab:(i+1)*vocab]
		best := logits.Argmax(w)
		second := math.Inf(-1)
		for j, v := range w {
			if int32(j) != best {
				second = math.Max(second, float64(v))
			}
		}
		if logits.Argmax(g) != best && float64(w[best])-second > margin {
			return i
		}
	}
	return -1
}
