package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

// Version identifies the checks and their data. Reports of different versions are not comparable.
const Version = "1"

// Options say what Run checks. The zero value is the full suite.
type Options struct {
	Match  *regexp.Regexp // on the names of checks; nil for all
	Seed   uint64         // of all random data
	GGUF   []string       // paths of model files whose logits are compared; none are downloaded
	NoSkip bool           // a skip counts as a failure
	Tap    bool           // when a model fails, find the first node that departs from the reference

	// Hparams are the hyper-parameters in which tiny models of architectures of other modules differ from the common
	// ones, by architecture and by GGUF key without its prefix, as in {"reglu": {"block_count": uint32(1)}}.
	Hparams map[string]map[string]any
}

// Verdict is the outcome of one check.
type Verdict string

// The verdicts. Unsupported is acceptable for fused ops only, which run expanded then; Skip has a reason in
// Result.Detail.
const (
	Pass        Verdict = "pass"
	Fail        Verdict = "fail"
	Unsupported Verdict = "unsupported"
	Skip        Verdict = "skip"
)

// Metrics are the distances that a check measured. Those that make no sense for it are zero.
type Metrics struct {
	NMSE   float64 // Σ(got-want)²/Σwant² against the float64 oracle
	MaxAbs float64 // largest |got-want|
	MaxULP float64 // the same in units in the last place of float32
	KL     float64 // nats, worst position
	Top1   float64 // share of positions with the same most likely token
}

// Result is the outcome of one check.
type Result struct {
	Name    string
	Verdict Verdict
	Metrics Metrics
	Bound   float64 // on the NMSE; 0 where equality of bits is wanted
	Detail  string  // why, unless the verdict is Pass; more to read otherwise
	Seconds float64

	// Optional says that Unsupported is no shortcoming: the op has an expansion.
	Optional bool
}

// OK reports whether r counts as conforming; noSkip makes skips count against it.
func (r Result) OK(noSkip bool) bool {
	switch r.Verdict {
	case Pass:
		return true
	case Skip:
		return !noSkip
	case Unsupported:
		return r.Optional
	}
	return false
}

// check is one named, independent piece of the suite.
type check struct {
	name string
	run  func(ctx context.Context) Result
}

// suite is what the checks share.
type suite struct {
	dev         ops.Device
	ref, oracle *opsref.Device
	o           Options
	logits      map[modelKey]*wantedLogits
	weights     weightCache
}

// newSuite gives the scalar devices one thread: cases are so small that others would only wait for them.
func newSuite(dev ops.Device, o Options) *suite {
	return &suite{dev: dev, o: o,
		ref: opsref.New(opsref.Options{Threads: 1}), oracle: opsref.New(opsref.Options{Threads: 1, Oracle: true}),
		logits: map[modelKey]*wantedLogits{}, weights: weightCache{}}
}

func (s *suite) close() error { return errors.Join(s.ref.Close(), s.oracle.Close()) }

// checks lists the suite in order, filtered by Options.Match. Listing computes nothing.
func (s *suite) checks() []check {
	var all []check
	for _, layer := range []func() []check{s.opChecks, s.quantChecks, s.graphChecks, s.streamChecks, s.memoryChecks,
		s.transferChecks, s.modelChecks, s.ggufChecks} {
		for _, c := range layer() {
			if s.o.Match == nil || s.o.Match.MatchString(c.name) {
				all = append(all, c)
			}
		}
	}
	return all
}

// do runs one check.
func (s *suite) do(ctx context.Context, c check) Result {
	start := time.Now()
	r := c.run(ctx)
	r.Name, r.Seconds = c.name, time.Since(start).Seconds()
	if !finite(r.Bound) {
		r.Bound = 0 // only where the reference is not finite, which the metrics show
	}
	if r.Verdict == Fail {
		r.Detail = fmt.Sprintf("%s (seed %d)", r.Detail, s.o.Seed)
	}
	return r
}

// Run checks dev against the reference. The error is ctx's: what a device gets wrong, errors that it returns
// included, is in the report. Run uses dev from one goroutine and closes what it opens.
func Run(ctx context.Context, dev ops.Device, o Options) (*Report, error) {
	s := newSuite(dev, o)
	defer s.close()
	r := newReport(dev.Info(), o)
	for _, c := range s.checks() {
		if err := ctx.Err(); err != nil {
			return r, fmt.Errorf("conformance: %w", err)
		}
		r.Results = append(r.Results, s.do(ctx, c))
	}
	return r, nil
}

// failf is a failed result.
func failf(format string, args ...any) Result {
	return Result{Verdict: Fail, Detail: fmt.Sprintf(format, args...)}
}

// failure is the result of a check that could not be carried out: unsupported if that is what err says.
func failure(err error, optional bool) Result {
	if errors.Is(err, ops.ErrUnsupported) {
		return Result{Verdict: Unsupported, Detail: err.Error(), Optional: optional}
	}
	return failf("%v", err)
}
