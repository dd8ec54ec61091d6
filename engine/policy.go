package engine

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
)

// Snapshot is what a Policy decides on.
type Snapshot struct {
	Limits  runner.Limits
	Running []Running // in the order of admission
	Waiting []int     // tokens that each queued sequence could take, oldest first; at least one
}

// Running is the state of a sequence that occupies a slot.
type Running struct {
	// tokens that it could take: while decoding 1 and those that must follow, else of its prompt up to where its
	// state is kept
	Pending int
	Decode  bool // its prompt is in
	Idle    int  // steps since it last got a token
}

// Step is a Policy's decision.
type Step struct {
	Admit int   // number of sequences to take from the front of Waiting
	Feed  []int // tokens for each sequence of Running, then for each admitted one
}

// Check reports a decision that the runner could not carry out or that would never end.
func (s Snapshot) Check(step Step) error {
	if step.Admit < 0 || step.Admit > len(s.Waiting) || len(s.Running)+step.Admit > s.Limits.Seqs {
		return fmt.Errorf("engine: policy admits %d of %d waiting to %d running, with %d slots", step.Admit,
			len(s.Waiting), len(s.Running), s.Limits.Seqs)
	}
	if len(step.Feed) != len(s.Running)+step.Admit {
		return fmt.Errorf("engine: policy feeds %d sequences of %d", len(step.Feed), len(s.Running)+step.Admit)
	}
	total := 0
	for i, n := range step.Feed {
		pending := 0
		if i < len(s.Running) {
			pending = s.Running[i].Pending
		} else {
			pending = s.Waiting[i-len(s.Running)]
		}
		if n < 0 || n > pending {
			return fmt.Errorf("engine: policy feeds %d tokens of %d", n, pending)
		}
		total += n
	}
	if total < 1 || total > s.Limits.Batch {
		return fmt.Errorf("engine: policy feeds %d tokens, from 1 to %d expected", total, s.Limits.Batch)
	}
	return nil
}

// Policy chooses the work of the next step. Next must be a pure function of the snapshot: no clock, no device, no
// memory. It must feed at least one token if anything is running or waiting, no sequence more than its pending
// tokens, and at most Limits.Batch in all.
type Policy interface {
	Next(s Snapshot) Step
}

// Fair is the default policy.
//
// Admission is first come, first served, as far as there are slots. Within a step, each sequence first gets one
// token, those that have waited longest first, then decoding before prefilling; so a sequence waits at most
// ceil(running/budget) steps. What remains of the budget is shared out among the prompts by max-min fairness: a short
// prompt is done in one step beside a long one, and equal ones progress together; the remainder goes to the oldest.
// Tokens that a constraint forces are read like a prompt's.
type Fair struct {
	// StepTokens bounds the tokens of a step, and with it the time between two tokens of a sequence that decodes while
	// prompts come in. 0 means Limits.Batch, and 512 while any decodes.
	StepTokens int
}

// besideDecoding is StepTokens of steps in which sequences decode, where nothing else was asked for.
const besideDecoding = 512

// Next implements Policy.
func (f Fair) Next(s Snapshot) Step {
	if s.Limits.Encoder {
		return wholly(s)
	}
	budget := s.Limits.Batch
	if f.StepTokens > 0 {
		budget = min(budget, f.StepTokens)
	} else if slices.ContainsFunc(s.Running, func(r Running) bool { return r.Decode }) {
		budget = min(budget, max(besideDecoding, len(s.Running)))
	}
	seqs := slices.Clone(s.Running)
	admit := min(len(s.Waiting), max(0, s.Limits.Seqs-len(seqs)))
	for _, n := range s.Waiting[:admit] {
		seqs = append(seqs, Running{Pending: n})
	}
	feed := make([]int, len(seqs))

	order := make([]int, len(seqs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := seqs[a], seqs[b]
		switch {
		case x.Idle != y.Idle:
			return y.Idle - x.Idle
		case x.Decode && !y.Decode:
			return -1
		case y.Decode && !x.Decode:
			return 1
		}
		return 0
	})
	for _, i := range order[:min(budget, len(order))] {
		feed[i] = 1
	}
	budget -= min(budget, len(order))

	prompts := make([]int, 0, len(seqs))
	for i, q := range seqs {
		if q.Pending > feed[i] {
			prompts = append(prompts, i)
		}
	}
	for budget > 0 && len(prompts) > 0 {
		share := budget / len(prompts)
		if share == 0 {
			for _, i := range prompts[:budget] {
				feed[i]++
			}
			break
		}
		left := prompts[:0]
		for _, i := range prompts {
			n := min(share, seqs[i].Pending-feed[i])
			feed[i] += n
			budget -= n
			if feed[i] < seqs[i].Pending {
				left = append(left, i)
			}
		}
		prompts = left
	}
	return Step{Admit: admit, Feed: feed}
}

// wholly is the step of an encoder: as many prompts, first come, first served, as it has room for as a whole.
func wholly(s Snapshot) Step {
	var step Step
	budget := s.Limits.Batch
	for i, n := range slices.Concat(pendings(s.Running), s.Waiting) {
		if i >= len(s.Running) && (n > budget || i >= s.Limits.Seqs) {
			break
		}
		if n > budget {
			n = 0
		}
		step.Feed = append(step.Feed, n)
		budget -= n
	}
	step.Admit = max(0, len(step.Feed)-len(s.Running))
	return step
}

func pendings(running []Running) (out []int) {
	for _, r := range running {
		out = append(out, r.Pending)
	}
	return out
}
