package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hipengine/hipengine/internal/doctor"
)

// kfdFlags are those of doctor --kfd.
type kfdFlags struct {
	KFD         bool          `name:"kfd" help:"Bring the GPU of --device kfd:N (kfd:0 without) up through /dev/kfd, without ROCm, in steps that prove themselves, soak it, and compare it with hip:N if that is there. With --root, only list what the files say."`
	Report      string        `placeholder:"FILE" help:"File for the report of --kfd, to be sent with questions."`
	Soak        int           `default:"10000" help:"Dispatches of the soak of --kfd."`
	Limits      bool          `help:"Let --kfd take nearly all memory of the GPU, too."`
	Idle        time.Duration `default:"60s" help:"How long --kfd leaves the GPU alone before it uses it again; 0s: not."`
	Suspend     bool          `help:"Let --kfd wait until you have suspended the machine and woken it up, and use the GPU again."`
	Destructive bool          `help:"At the end of --kfd let a packet be wrong, a kernel store to memory that is not there, and a queue hang, each in a process of its own: that must be noticed, and harm no later process. Other programs on the GPU may suffer."`
	Only        string        `placeholder:"PART" help:"Of --kfd, only this: soak, packet, fault or hang."`
}

// check says which flags make no sense.
func (f *kfdFlags) check() error {
	switch {
	case !f.KFD && (f.Report != "" || f.Limits || f.Destructive || f.Suspend || f.Only != "" || f.Soak != defaultSoak ||
		f.Idle != defaultIdle):
		return errors.New("--report, --soak, --limits, --idle, --suspend, --destructive and --only are of --kfd")
	case f.Soak < 2 || f.Soak > 1<<24:
		return fmt.Errorf("--soak %d is outside 2..%d", f.Soak, 1<<24)
	case f.Idle < 0 || f.Idle > maxIdle:
		return fmt.Errorf("--idle %v is outside 0s..%v", f.Idle, maxIdle)
	case f.Only != "" && !slices.Contains(kfdParts, f.Only):
		return fmt.Errorf("--only %q: it can be %s", f.Only, strings.Join(kfdParts, ", "))
	case f.Only != "" && (f.Limits || f.Destructive || f.Suspend):
		return fmt.Errorf("--only %s leaves --limits, --suspend and --destructive out", f.Only)
	}
	return nil
}

// Defaults of the flags, and their bounds.
const (
	defaultSoak = 10000
	defaultIdle = time.Minute
	maxIdle     = 24 * time.Hour
)

// kfdParts are the values of --only.
var kfdParts = []string{"soak", "packet", "fault", "hang"}

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

// bringUp runs the steps, and then what takes other processes. What it prints goes to the report, too.
func (c *doctorCmd) bringUp(ctx context.Context, std stdio) (err error) {
	if c.Root != "" && (c.Limits || c.Suspend || c.Destructive || c.Only != "") {
		return usageError{errors.New("--limits, --suspend, --destructive and --only try a GPU of this machine, not one of --root")}
	}
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
	err = doctor.BringUp(ctx, w, doctor.KFD{Device: n, Soak: c.Soak, Root: c.Root, Limits: c.Limits, Idle: c.Idle,
		Suspend: c.Suspend, Only: c.Only})
	if err == nil && c.Root == "" && !c.Quick && c.Only == "" {
		err = (&kfdProcesses{w, n, runSelf}).all(ctx, c.Soak, c.Destructive)
	}
	if c.Report != "" {
		if werr := os.WriteFile(c.Report, report.Bytes(), 0o644); werr != nil {
			return errors.Join(err, werr)
		}
		fmt.Fprintf(std.out, "the report is in %s\n", c.Report)
	}
	return err
}
