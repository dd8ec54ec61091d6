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
	version, commit := programVersion()
	if commit != "" {
		commit = " " + commit
	}
	_, err := fmt.Fprintf(std.out, "hipengine %s%s\n%s %s/%s\narchitectures: %s\nweight types: %s\n", version, commit,
		runtime.Version(), runtime.GOOS, runtime.GOARCH, strings.Join(hipengine.Architectures(), " "), strings.Join(hipengine.WeightTypes(), " "))
	return err
}

// programVersion returns the version and the commit that the program was built from, as far as the build says.
func programVersion() (version, commit string) {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)", ""
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value
		}
	}
	return b.Main.Version, commit
}
