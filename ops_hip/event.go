package opship

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
)

// event is a point in a stream that was reached by the device, or will be.
type event struct {
	dev *Device
	mu  sync.Mutex // held while another device's thread uses handle, and to close it

	handle hiprt.Event // 0 when closed; used in the device's turn
}

// Sync waits until all work of the stream before the event is done. If ctx ends first, Sync returns its error.
func (e *event) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := e.dev.thread.Do(ctx, func() error {
		if e.handle == 0 {
			return errors.New("the event is closed")
		}
		return e.dev.rt.SyncEvent(e.handle)
	})
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("opship: %s: %w", e.dev.info.Name, err)
}

// Close releases the event. It may be called more than once.
func (e *event) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.dev.thread.Do(background, func() error {
		if e.handle == 0 {
			return nil
		}
		h := e.handle
		e.handle = 0
		return e.dev.rt.CloseEvent(h)
	})
	if err != nil {
		return fmt.Errorf("opship: %s: closing an event: %w", e.dev.info.Name, err)
	}
	return nil
}
