// Package sim replays traces of requests against a policy, with a model of what steps cost in place of a device: who
// waits how long, without waiting.
package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
)

// Request is one line of a trace.
type Request struct {
	At     time.Duration // of its arrival
	Prompt int           // tokens, at least one
	Answer int           // tokens, at least one
	Cancel time.Duration // after its arrival; 0 is never
}

// Cost is what steps take.
type Cost struct {
	Step  time.Duration // each, whatever it holds: reading the weights
	Token time.Duration // each token in it
}

// Report says how requests fared, in the order of the trace where it is by request.
type Report struct {
	Wait    []time.Duration // from arrival to a slot
	First   []time.Duration // from arrival to the first token
	Between []time.Duration // tokens of one answer
	Done    int             // answers that are complete
	Ended   int             // requests that were cancelled before
	Steps   int
	MaxIdle int           // most steps in a row in which a sequence with a slot got no token
	End     time.Duration // of the last step
}

// sequence is a request on its way.
type sequence struct {
	Request
	pending, left int // tokens of the prompt, and of the answer
	decode        bool
	idle          int
	last          time.Duration // when its last token came
}

// Run replays a trace, whose requests are in the order of their arrival. The error says what is wrong with a decision
// of the policy.
func Run(p engine.Policy, l runner.Limits, c Cost, trace []Request) (Report, error) {
	var r Report
	var now time.Duration
	var running, waiting []*sequence
	for next := 0; next < len(trace) || len(running)+len(waiting) > 0; {
		if len(running)+len(waiting) == 0 {
			now = max(now, trace[next].At)
		}
		for ; next < len(trace) && trace[next].At <= now; next++ {
			waiting = append(waiting,
				&sequence{Request: trace[next], pending: trace[next].Prompt, left: trace[next].Answer})
		}
		gone := func(s *sequence) bool { return s.Cancel > 0 && now >= s.At+s.Cancel }
		before := len(running) + len(waiting)
		running, waiting = slices.DeleteFunc(running, gone), slices.DeleteFunc(waiting, gone)
		r.Ended += before - len(running) - len(waiting)
		snap := engine.Snapshot{Limits: l}
		for _, s := range running {
			snap.Running = append(snap.Running, engine.Running{Pending: s.pending, Decode: s.decode, Idle: s.idle})
		}
		for _, s := range waiting {
			snap.Waiting = append(snap.Waiting, s.pending)
		}
		if len(running)+len(waiting) == 0 {
			continue
		}
		step := p.Next(snap)
		if err := snap.Check(step); err != nil {
			return r, fmt.Errorf("sim: step %d: %w", r.Steps, err)
		}
		for _, s := range waiting[:step.Admit] {
			r.Wait = append(r.Wait, now-s.At)
			running = append(running, s)
		}
		waiting = waiting[step.Admit:]
		r.Steps++
		now += c.Step
		for _, n := range step.Feed {
			now += time.Duration(n) * c.Token
		}
		r.End = now
		for i, n := range step.Feed {
			s := running[i]
			if n == 0 {
				s.idle++
				r.MaxIdle = max(r.MaxIdle, s.idle)
				continue
			}
			s.idle = 0
			if s.pending -= n; s.pending > 0 {
				continue
			}
			if s.decode {
				r.Between = append(r.Between, now-s.last)
			} else {
				r.First = append(r.First, now-s.At)
			}
			s.decode, s.pending, s.last = true, 1, now
			s.left--
		}
		running = slices.DeleteFunc(running, func(s *sequence) bool {
			if s.left == 0 {
				r.Done++
			}
			return s.left == 0
		})
	}
	return r, nil
}

// Percentile returns the value that a share of times, from 0 to 1, does not exceed; 0 of none.
func Percentile(times []time.Duration, share float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// String is a table of percentiles.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d done, %d cancelled, %d steps in %v, idle for %d steps at most\n", r.Done, r.Ended, r.Steps,
		r.End.Round(time.Millisecond), r.MaxIdle)
	fmt.Fprintf(&b, "%-22s %10s %10s %10s %10s\n", "", "p50", "p90", "p99", "max")
	for _, row := range []struct {
		name  string
		times []time.Duration
	}{{"wait for a slot", r.Wait}, {"time to first token", r.First}, {"between tokens", r.Between}} {
		fmt.Fprintf(&b, "%-22s", row.name)
		for _, share := range []float64{0.5, 0.9, 0.99, 1} {
			fmt.Fprintf(&b, " %10v", Percentile(row.times, share).Round(100*time.Microsecond))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
