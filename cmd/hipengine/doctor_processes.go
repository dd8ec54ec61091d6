package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kfdProcesses is the part of doctor --kfd that takes processes of its own: the kernel gives a GPU to one runtime of a
// process, and forgives a process nothing.
type kfdProcesses struct {
	w   io.Writer
	n   int // of the device
	run func(ctx context.Context, args ...string) (string, error)
}

// runSelf runs this program and returns what it writes to its output. The error has what it writes to the other.
func runSelf(ctx context.Context, args ...string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, strings.TrimSpace(log.String()))
	}
	return out.String(), nil
}

// all compares answers, lets two processes use the GPU at once and, if destructive, does what must be noticed.
func (k *kfdProcesses) all(ctx context.Context, soak int, destructive bool) error {
	if err := k.compareAnswers(ctx); err != nil {
		return err
	}
	if err := k.step("two processes at once", func() error { return k.two(ctx, soak) }); err != nil {
		return err
	}
	if destructive {
		for _, part := range kfdParts {
			if part == "soak" {
				continue
			}
			if err := k.step(part+", and a process after it", func() error { return k.provoke(ctx, part) }); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(k.w, "now: hipengine conform --device %s\n", k.device())
	return ctx.Err()
}

func (k *kfdProcesses) device() string { return fmt.Sprintf("kfd:%d", k.n) }

// step runs f and reports it.
func (k *kfdProcesses) step(name string, f func() error) error {
	start := time.Now()
	err := f()
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		fmt.Fprintf(k.w, "   FAIL %s (%v): %v\n", name, took, err)
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(k.w, "   OK   %s (%v)\n", name, took)
	return nil
}

// part lets a process do a part of bringing up. The error has what it printed.
func (k *kfdProcesses) part(ctx context.Context, part string, soak int) error {
	out, err := k.run(ctx, "doctor", "--kfd", "--device", k.device(), "--only", part, "--soak", strconv.Itoa(soak))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// two soaks the GPU in two processes at once.
func (k *kfdProcesses) two(ctx context.Context, soak int) error {
	var errs [2]error
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() { errs[i] = k.part(ctx, "soak", soak) })
	}
	done.Wait()
	return errors.Join(errs[:]...)
}

// afterSoak is how many dispatches show that a new process can use the GPU.
const afterSoak = 100

// provoke does what must be noticed, and uses the GPU again.
func (k *kfdProcesses) provoke(ctx context.Context, part string) error {
	if err := k.part(ctx, part, afterSoak); err != nil {
		return err
	}
	if err := k.part(ctx, "soak", afterSoak); err != nil {
		return fmt.Errorf("a new process: %w", err)
	}
	return nil
}

// kfdPrompt asks for a text that is long enough to differ.
const kfdPrompt = "Tell me a short story about a dog."

// compareAnswers lets Ember answer on kfd:N, on the CPU and, where there is one, on hip:N.
func (k *kfdProcesses) compareAnswers(ctx context.Context) error {
	answer := func(device string) (string, error) {
		out, err := k.run(ctx, "run", "--device", device, "--temp", "0", "ember", kfdPrompt)
		if err != nil {
			return "", fmt.Errorf("ember on %s: %w", device, err)
		}
		return out, nil
	}
	got, err := answer(k.device())
	if err != nil {
		fmt.Fprintf(k.w, "answer FAIL: %v\n", err)
		return err
	}
	fmt.Fprintf(k.w, "answer of %s: %q\n", k.device(), strings.TrimSpace(got))
	for _, other := range []string{"cpu", fmt.Sprintf("hip:%d", k.n)} {
		want, err := answer(other)
		switch {
		case err != nil && other == "cpu":
			fmt.Fprintf(k.w, "answer FAIL: %v\n", err)
			return err
		case err != nil:
			fmt.Fprintf(k.w, "no answer of %s to compare with: %v\n", other, err)
		case want != got:
			fmt.Fprintf(k.w, "answer FAIL: %s says %q\n", other, strings.TrimSpace(want))
			return fmt.Errorf("%s and %s give different answers", k.device(), other)
		default:
			fmt.Fprintf(k.w, "answer of %s: the same\n", other)
		}
	}
	return nil
}
