//go:build linux && (amd64 || arm64)

package bringup

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
)

// Waiting for the machine.
const (
	waitPiece    = time.Second
	suspendWait  = 10 * time.Minute // for a suspend to begin
	suspendLeast = 3 * time.Second  // that counts as one
)

// kept fills memory of the device, lets wait pass, and looks whether the memory is what it was and kernels run.
func (x *exercise) kept(wait func() error) error {
	const n = 1 << 20
	want := bytes.Repeat([]byte{0xc3}, n)
	if err := errors.Join(x.s.Fill(x.dev, want[0], n), x.s.Sync()); err != nil {
		return err
	}
	if err := wait(); err != nil {
		return err
	}
	got, err := x.fetch(x.dev, n)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("memory of the device has changed meanwhile")
	}
	if err := x.s.Fill(x.dev+1, 0x3c, n-1); err != nil {
		return err
	}
	if got, err = x.fetch(x.dev, n); err != nil {
		return err
	}
	if got[0] != 0xc3 || !bytes.Equal(got[1:], bytes.Repeat([]byte{0x3c}, n-1)) {
		return errors.New("a kernel that ran after it has stored something else")
	}
	return nil
}

// idle leaves the device alone, so that it saves power.
func (x *exercise) idle() (string, error) {
	err := x.kept(func() error {
		for left := x.o.Idle; left > 0; left -= waitPiece {
			if err := x.ctx.Err(); err != nil {
				return err
			}
			x.run.s.Sleep(min(left, waitPiece))
		}
		return nil
	})
	return fmt.Sprintf("memory is kept and kernels run after %v", x.o.Idle), err
}

// suspend waits until the machine was in suspend: the clock since boot is then ahead of the one that stands meanwhile.
func (x *exercise) suspend() (string, error) {
	lead := func() (time.Duration, error) {
		t, err := x.d.BootTime()
		return t - x.run.s.Now(), err
	}
	var slept time.Duration
	err := x.kept(func() error {
		before, err := lead()
		if err != nil {
			return err
		}
		x.printf("        suspend the machine now, and wake it up\n")
		for waited := time.Duration(0); slept < suspendLeast; waited += waitPiece {
			if err := x.ctx.Err(); err != nil {
				return err
			}
			if waited >= suspendWait {
				return fmt.Errorf("the machine was not suspended within %v", suspendWait)
			}
			x.run.s.Sleep(waitPiece)
			now, err := lead()
			if err != nil {
				return err
			}
			slept = now - before
		}
		return nil
	})
	return fmt.Sprintf("memory is kept and kernels run after %v in suspend", slept.Round(time.Second)), err
}

// noticed judges an error that must have lost the device, and be of a kind.
func (x *exercise) noticed(err error, kind string) (string, error) {
	if lost := x.d.Lost(); lost == nil || err == nil {
		return "", fmt.Errorf("nobody noticed: %v", err)
	}
	var e *drv.Error
	if !errors.As(err, &e) || e.Call != kind {
		return "", fmt.Errorf("a %s was provoked, noticed was: %w", kind, err)
	}
	return err.Error(), nil
}

// fault stores to memory that is not mapped. The device is lost after it, which is what is wanted.
func (x *exercise) fault() (string, error) {
	const nowhere = 0x1000_0000
	return x.noticed(errors.Join(x.launch(0, nowhere, 4096, 1), x.s.Sync()), "memory fault")
}

// packet submits one that firmware must refuse.
func (x *exercise) packet() (string, error) { return x.noticed(x.d.BadPacket(), "queue error") }

// hang waits for what never comes.
func (x *exercise) hang() (string, error) { return x.noticed(x.d.Stall(), "hang") }
