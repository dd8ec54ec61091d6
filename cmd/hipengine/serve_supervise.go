package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/hipengine/hipengine/internal/supervise"
	"github.com/hipengine/hipengine/serve"
)

// hasGPU reports whether there is a file by which programs reach AMD GPUs: of the kernel's driver, or of Windows
// below WSL. What is behind it is left to the process that computes.
func hasGPU() bool {
	for _, node := range []string{"/dev/kfd", "/dev/dxg"} {
		if _, err := os.Stat(node); err == nil {
			return true
		}
	}
	return false
}

// supervised reports whether models run in a process of their own. profile is the kind of profile that is written, own
// are devices that models name themselves, and hasGPU says whether device auto may be a GPU.
func (c *serveCmd) supervised(profile string, own []string, hasGPU func() bool) (bool, error) {
	switch {
	case c.Supervise == "always" && profile != "":
		return false, usageError{errors.New("--profile describes one process: it goes with --supervise never")}
	case c.Supervise == "always":
		return true, nil
	case c.Supervise == "never" || profile != "" || runtime.GOOS != "linux":
		return false, nil
	}
	gpu := false
	for _, device := range strings.Split(strings.Join(append([]string{c.Device}, own...), ","), ",") {
		kind, _, _ := strings.Cut(device, ":")
		gpu = gpu || kind == "hip" || kind == "kfd" || kind == "cuda" || kind == "auto" && hasGPU()
	}
	return gpu, nil
}

// supervise runs the server of a worker, which has the arguments of this process.
func (c *serveCmd) supervise(ctx context.Context, config serve.Config, std stdio) error {
	l, err := c.listen(nil)
	if err != nil {
		return err
	}
	if c.SealKey == "" { // so that what one worker sealed the next one opens
		if err := os.Setenv("HIPENGINE_SEAL_KEY", rand.Text()); err != nil {
			return err
		}
	}
	config = config.WithDefaults()
	context.AfterFunc(ctx, func() { notify(daemon.SdNotifyStopping, std.err) })
	return supervise.Run(ctx, supervise.Config{
		Listener: serve.LimitConns(l, config.MaxConns), Args: os.Args[1:], Device: c.Device,
		HeaderTimeout: config.HeaderTimeout, IdleTimeout: config.IdleTimeout, ReadTimeout: config.ReadTimeout,
		WriteTimeout:   config.WriteTimeout,
		MaxHeaderBytes: serve.MaxHeaderBytes,
		Ready:          func() { notify(daemon.SdNotifyReady, std.err) },
		Say:            func(text string) { fmt.Fprintf(std.err, "hipengine: %s\n", text) },
	})
}
