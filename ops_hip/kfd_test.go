//go:build linux && (amd64 || arm64)

package opship_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/conformance"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/fake"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// kfdTargets are the targets that the driver is tested for on the fake: one of each generation, or those that
// HIPENGINE_TEST_TARGETS lists.
func kfdTargets() []string {
	if list := os.Getenv("HIPENGINE_TEST_TARGETS"); list != "" {
		return strings.Split(list, ",")
	}
	return []string{"gfx1100", "gfx1151", "gfx1201"}
}

// envKFDMatch names the environment variable that makes TestKFDConformance run the parts of the suite that a regular
// expression matches.
const envKFDMatch = "HIPENGINE_KFD_MATCH"

// TestKFDConformance runs the conformance suite through the KFD driver on the fake, which must find no rule broken.
func TestKFDConformance(t *testing.T) {
	match := os.Getenv(envKFDMatch)
	if match == "" {
		t.Skip("SKIPPED: " + envKFDMatch + " is not set; make kfd sets it")
	}
	re, err := regexp.Compile(match)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range kfdTargets() {
		t.Run(target, func(t *testing.T) {
			dev, m := opship.OpenKFDFake(t, "kfdfake:"+target, fake.Config{Seed: 1})
			start := time.Now()
			report, err := conformance.Run(t.Context(), dev, conformance.Options{Match: re})
			if err != nil {
				t.Fatal(err)
			}
			if err := report.Err(); err != nil {
				t.Error(err)
			}
			m.Check(t)
			n := report.Counts()
			t.Logf("%d checks in %.0f s: %d pass, %d fail, %d unsupported, %d skip; %d violations", len(report.Results),
				time.Since(start).Seconds(), n[conformance.Pass], n[conformance.Fail], n[conformance.Unsupported],
				n[conformance.Skip], len(m.Violations()))
		})
	}
}

// TestKFDEmber runs the built-in model through the KFD driver on the fake: the text must be the reference's.
func TestKFDEmber(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make kfd runs it")
	}
	const steps = 8
	p := emberPrompt(t)
	ref := opsref.New(opsref.Options{})
	t.Cleanup(func() { ref.Close() })
	text, want := greedy(t, emberOn(t, ref), p.IDs, steps)
	if !slices.Equal(text, p.Greedy[:steps]) {
		t.Fatalf("the reference writes %v, recorded are %v", text, p.Greedy[:steps])
	}
	for _, target := range kfdTargets() {
		t.Run(target, func(t *testing.T) {
			start := time.Now()
			dev, m := opship.OpenKFDFake(t, "kfdfake:"+target, fake.Config{Seed: 2})
			r := emberOn(t, dev)
			loaded := time.Since(start)
			first, _ := greedy(t, r, p.IDs, 1)
			t.Logf("opened and loaded in %.1f s, first token after %.1f s", loaded.Seconds(), time.Since(start).Seconds())
			got, logits := greedy(t, r, p.IDs, steps)
			if !slices.Equal(got, text) || first[0] != text[0] {
				t.Errorf("text %v, the reference writes %v", got, text)
			}
			l, err := conformance.CompareLogits(want, logits, r.Limits().Vocab)
			if err != nil {
				t.Fatal(err)
			}
			if !(l.MeanKL <= maxMeanKL) || l.Top1 < 1-1e-9 {
				t.Errorf("%v; want a mean KL of at most %g and the same top-1 everywhere", l, maxMeanKL)
			}
			m.Check(t)
			t.Logf("%v; %d positions, %.1f s", l, l.Positions, time.Since(start).Seconds())
		})
	}
}
