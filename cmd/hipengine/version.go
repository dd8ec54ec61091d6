package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/hipengine/hipengine"
)

// Set by the linker in packages. Without them, the build information says what it knows.
var version, commit string

// versionCmd shows what is built in.
type versionCmd struct{}

// Run executes the command.
func (versionCmd) Run(std stdio) error {
	version, commit := programVersion()
	if commit != "" {
		commit = " " + commit
	}
	list := func(names []string) string { return strings.Join(names, " ") }
	_, err := fmt.Fprintf(std.out, "hipengine %s%s\n%s %s/%s\nGPU targets: %s\narchitectures: %s\nweight types: %s\n",
		version,
		commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, list(hipengine.Targets()),
		list(hipengine.Architectures()),
		list(hipengine.WeightTypes()))
	return err
}

// programVersion returns the version and the commit that the program was built from, as far as the build says.
func programVersion() (string, string) {
	if version != "" {
		return version, commit
	}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)", ""
	}
	revision := ""
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return b.Main.Version, revision
}
