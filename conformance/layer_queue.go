package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

// queueRounds is how often each plan of a queue runs, on two sets of inputs by turns: on devices that capture plans
// directly, captured, and as replays.
const queueRounds = 4

// queued is a case of checkQueued with what it gives when nothing else runs.
type queued struct {
	*session
	data [2][][]byte
	want [2]*outcome
	got  []*outcome // by round
}

// enqueueRound enqueues a round on a stream.
func (q *queued) enqueueRound(on ops.Stream, round int) error {
	own := q.stream
	q.stream = on
	o, err := q.enqueue(q.data[round%2])
	q.stream = own
	q.got = append(q.got, o)
	return err
}

// compare compares all rounds, whose streams have been synchronized, with what was wanted.
func (q *queued) compare(how string) error {
	for round, o := range q.got {
		if err := q.settle(o); err != nil {
			return err
		}
		if err := equalBits(q.want[round%2], o); err != nil {
			return fmt.Errorf("%s: round %d %s: %w", q.in.name, round+1, how, err)
		}
	}
	q.got = nil
	return nil
}

// checkQueued runs a case of every op that the device has a kernel for, one by one with a wait behind each. Then it
// enqueues all of them several times without any wait, each on a stream of its own, so that launches may overlap, and
// all on one stream, so that they may not: the bits must be the same. Some drivers are wrong only then.
func (s *suite) checkQueued(ctx context.Context) (err error) {
	var qs []*queued
	defer func() {
		for _, q := range qs {
			err = errors.Join(err, q.close())
		}
	}()
	for _, d := range ops.Defs() {
		if d.Cases == nil {
			continue
		}
		q := &queued{}
		for i := range q.data {
			cases := d.Cases()
			in, err := newInput(d, cases[len(cases)-1], s.o.Seed+uint64(i), nil)
			if err != nil {
				return err
			}
			q.data[i] = in.data
			if i > 0 {
				continue
			}
			if q.session, err = open(s.dev, in, false); errors.Is(err, ops.ErrUnsupported) {
				break
			} else if err != nil {
				return err
			}
		}
		if q.session == nil {
			continue
		}
		qs = append(qs, q)
		for i := range q.want {
			if q.want[i], err = q.run(ctx, q.data[i]); err != nil {
				return fmt.Errorf("%s: %w", q.in.name, err)
			}
		}
	}
	one, err := s.dev.Stream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, one.Close()) }()
	for _, way := range []struct {
		how string
		on  func(q *queued) ops.Stream
	}{
		{"on streams side by side", func(q *queued) ops.Stream { return q.stream }},
		{"queued on one stream", func(*queued) ops.Stream { return one }},
	} {
		for round := range queueRounds {
			for _, q := range qs {
				if err := q.enqueueRound(way.on(q), round); err != nil {
					return fmt.Errorf("%s %s: %w", q.in.name, way.how, err)
				}
			}
		}
		for _, q := range qs {
			if err := way.on(q).Sync(ctx); err != nil {
				return err
			}
			if err := q.compare(way.how); err != nil {
				return err
			}
		}
	}
	return nil
}
