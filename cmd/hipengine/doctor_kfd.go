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

	"github.com/hipengine/hipengine/internal/doctor"
)

// kfdFlags are those of doctor --kfd.
type kfdFlags struct {
	KFD         bool   `name:"kfd" help:"Bring the GPU of --device kfd:N (kfd:0 without) up through /dev/kfd, without ROCm, in steps that prove themselves, soak it, and compare it with hip:N if that is there. With --root, only list what the files say."`
	Report      string `placeholder:"FILE" help:"File for the report of --kfd, to be sent with questions."`
	Soak        int    `default:"10000" help:"Dispatches of the soak of --kfd."`
	Limits      bool   `help:"Let --kfd take nearly all memory of the GPU, too."`
	Destructive bool   `help:"At the end of --kfd let a kernel store to memory that is not there, which must be noticed. Other programs on the GPU may suffer."`
}

// check says which flags make no sense.
func (f *kfdFlags) check() error {
	switch {
	case !f.KFD && (f.Report != "" || f.Limits || f.Destructive || f.Soak != defaultSoak):
		return errors.New("--report, --soak, --limits and --destructive are of --kfd")
	case f.Soak < 2 || f.Soak > 1<<24:
		return fmt.Errorf("--soak %d is outside 2..%d", f.Soak, 1<<24)
	}
	return nil
}

const defaultSoak = 10000

// kfdNumber returns N of a device kfd:N.
func kfdNumber(device string) (int, error) {
	kind, arg, _ := strings.Cut(device, ":")
	if kind != "kfd" {
		return 0, fmt.Errorf("--kfd is for --device kfd:N, not %q", device)
	}
	if arg == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(arg)
	if err != nil || n < 0 || n > 1<<10 {
		return 0, fmt.Errorf("--device %q: %q is no device number", device, arg)
	}
	return n, nil
}

// bringUp runs the steps, then lets the device and others answer one question. What it prints goes to the report, too.
func (c *doctorCmd) bringUp(ctx context.Context, std stdio) (err error) {
	n := 0
	if c.Device != "" && c.Device != "auto" {
		if n, err = kfdNumber(c.Device); err != nil {
			return usageError{err}
		}
	}
	var report bytes.Buffer
	w := io.MultiWriter(std.out, &report)
	program, commit := programVersion()
	fmt.Fprintf(w, "hipengine %s %s\n", program, commit)
	err = doctor.BringUp(ctx, w, doctor.KFD{Device: n, Soak: c.Soak, Root: c.Root, Limits: c.Limits,
		Destructive: c.Destructive})
	if err == nil && c.Root == "" && !c.Quick {
		err = compareAnswers(ctx, w, n)
	}
	if c.Report != "" {
		if werr := os.WriteFile(c.Report, report.Bytes(), 0o644); werr != nil {
			return errors.Join(err, werr)
		}
		fmt.Fprintf(std.out, "the report is in %s\n", c.Report)
	}
	return err
}

// kfdPrompt asks for a text that is long enough to differ.
const kfdPrompt = "Tell me a short story about a dog."

// compareAnswers lets Ember answer on kfd:N, on the CPU and, where there is one, on hip:N, each in a process of its own:
// the kernel gives a GPU to one runtime of a process.
func compareAnswers(ctx context.Context, w io.Writer, n int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	answer := func(device string) (string, error) {
		cmd := exec.CommandContext(ctx, self, "run", "--device", device, "--temp", "0", "ember", kfdPrompt)
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("ember on %s: %w: %s", device, err, strings.TrimSpace(log.String()))
		}
		return out.String(), nil
	}
	device := fmt.Sprintf("kfd:%d", n)
	got, err := answer(device)
	if err != nil {
		fmt.Fprintf(w, "answer FAIL: %v\n", err)
		return err
	}
	fmt.Fprintf(w, "answer of %s: %q\n", device, strings.TrimSpace(got))
	for _, other := range []string{"cpu", fmt.Sprintf("hip:%d", n)} {
		want, err := answer(other)
		switch {
		case err != nil && other == "cpu":
			fmt.Fprintf(w, "answer FAIL: %v\n", err)
			return err
		case err != nil:
			fmt.Fprintf(w, "no answer of %s to compare with: %v\n", other, err)
		case want != got:
			fmt.Fprintf(w, "answer FAIL: %s says %q\n", other, strings.TrimSpace(want))
			return fmt.Errorf("%s and %s give different answers", device, other)
		default:
			fmt.Fprintf(w, "answer of %s: the same\n", other)
		}
	}
	fmt.Fprintf(w, "now: hipengine conform --device %s\n", device)
	return ctx.Err()
}
