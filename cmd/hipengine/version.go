package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
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
	var types []string
	for _, f := range tensor.Formats() {
		if f.Dequant != nil {
			types = append(types, f.Name)
		}
	}
	_, err := fmt.Fprintf(std.out, "hipengine %s%s\n%s %s/%s\narchitectures: %s\nweight types: %s\n", version, commit,
		runtime.Version(), runtime.GOOS, runtime.GOARCH, strings.Join(models.Architectures(), " "), strings.Join(types, " "))
	return err
}
