package doctor

import (
	"context"
	"io"

	opship "github.com/hipengine/hipengine/ops_hip"
)

// KFD says what [BringUp] does.
type KFD = opship.BringUpOptions

// BringUp opens the device kfd:N in steps that prove themselves, and writes a report to w. The error is that of the step
// that failed.
func BringUp(ctx context.Context, w io.Writer, o KFD) error { return opship.BringUp(ctx, w, o) }
