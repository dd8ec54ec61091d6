package hipengine

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/gguf"
)

// TestParamsSetEverySampler checks that no parameter of Params is lost on its way to the sampler: each, set alone,
// gives other overrides than none.
func TestParamsSetEverySampler(t *testing.T) {
	none, err := Params{}.Overrides()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := []string{"Constraint", "MaxTokens", "MinTokens", "Stop", "StopTokens", "IgnoreEOS", "ThinkingBudget",
		"Tools", "Template", "Spec", "MaxGuesses"}
	typ := reflect.TypeFor[Params]()
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		if slices.Contains(elsewhere, name) {
			continue
		}
		var p Params
		f := reflect.ValueOf(&p).Elem().Field(i)
		switch f.Kind() {
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"xtc"}))
		case reflect.Map:
			f.Set(reflect.MakeMap(f.Type()))
		}
		o, err := p.Overrides()
		if err != nil || reflect.DeepEqual(o, none) {
			t.Errorf("%s changes nothing: %v", name, err)
		}
	}
	overrides := reflect.TypeFor[sample.Overrides]()
	// MinTokens is set beside them.
	if got := typ.NumField() - len(elsewhere) + 1; got != overrides.NumField() {
		t.Errorf("%d parameters for %d overrides", got, overrides.NumField())
	}
	var wrong *ParamsError
	if _, err := (Params{Samplers: []string{"top_k", "infill"}}).Overrides(); !errors.As(err, &wrong) {
		t.Errorf("an unknown sampler: %v", err)
	}
}

// TestSamplingKeys reads what GGUF files say of sampling.
func TestSamplingKeys(t *testing.T) {
	for _, c := range []struct {
		keys map[string]any
		want string
	}{
		{map[string]any{"temp": float32(0.5), "top_k": int32(-1), "top_p": float32(0.9), "min_p": float32(0.1)},
			"temp 0.5, top 0.9, min 0.1, k -1"},
		{map[string]any{"penalty_repeat": float32(1.1), "penalty_last_n": int32(100)}, "repeat 1.1 of 100"},
		{map[string]any{"penalty_repeat": float32(1.1), "penalty_last_n": int32(0)}, "repeat 0 of 0"},
		{map[string]any{"xtc_probability": float32(0.5), "xtc_threshold": float32(0.2)}, "xtc 0.5 from 0.2"},
		{map[string]any{"mirostat": int32(2), "mirostat_tau": float32(4), "mirostat_eta": float32(0.2)},
			"mirostat 2 4 0.2"},
		{map[string]any{"sequence": "top_k;temp"}, "order [top_k temperature]"},
	} {
		meta := &gguf.Meta{}
		for k, v := range c.keys {
			if err := meta.Set("general.sampling."+k, v); err != nil {
				t.Fatal(err)
			}
		}
		o, err := samplingKeys(meta)
		if err != nil {
			t.Fatal(err)
		}
		p := o.Apply(sample.Params{})
		got := fmt.Sprintf("temp %v, top %v, min %v, k %v; repeat %v of %v; xtc %v from %v; mirostat %v %v %v; order %v", p.Temperature, p.TopP, p.MinP, p.TopK,
			p.RepeatPenalty, p.RepeatLastN, p.XTCProbability, p.XTCThreshold, p.Mirostat, p.MirostatTau, p.MirostatEta,
			p.Order)
		if !strings.Contains(got, c.want) {
			t.Errorf("%v: %s, want %s", c.keys, got, c.want)
		}
	}
}
