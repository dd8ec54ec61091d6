package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/hipengine/hipengine"
)

// versionCmd shows what is built in.
type versionCmd struct{}

// Run executes the command.
func (versionCmd) Run(std stdio) error {
	version, commit := "(unknown)", ""
	if b, ok := debug.ReadBuildInfo(); ok {
		version = b.Main.Version
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				commit = " " + s.Value
			}
		}
	}
	_, err := fmt.Fprintf(std.out, "hipengine %s%s\n%s %s/%s\narchitectures: %s\nweight types: %s\n", version, commit,
		runtime.Version(), runtime.GOOS, runtime.GOARCH, strings.Join(hipengine.Architectures(), " "), strings.Join(hipengine.WeightTypes(), " "))
	return err
}
