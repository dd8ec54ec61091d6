package hipengine

import (
	"context"

	"github.com/hipengine/hipengine/engine/runner"
)

// Prove allocates the memory of the largest steps at a full context, so that a model that was loaded cannot run out of
// it later, with many answers and long ones under way. A server proves its models before it says that it is ready. The
// model must be idle, or the error is [ErrBusy].
func (m *Model) Prove(ctx context.Context) error {
	return m.alone(ctx, func(_ context.Context, r *runner.Runner) error {
		if err := r.Prove(); err != nil {
			return err
		}
		m.promise.proven()
		return nil
	})
}
