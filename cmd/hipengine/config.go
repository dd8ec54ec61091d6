package main

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// configCmd shows what a command's flags are, and why.
type configCmd struct {
	Sample bool     `help:"Print a configuration file in which each setting is a comment."`
	Args   []string `arg:"" optional:"" passthrough:"" placeholder:"COMMAND" help:"A command with its flags; without one, serve."`
}

// Run executes the command.
func (c *configCmd) Run(all *commands, std stdio) error {
	if c.Sample {
		return c.sample(std)
	}
	args := c.Args
	if len(args) == 0 {
		args = []string{"serve"}
	}
	if all.Config != "" {
		args = append([]string{"--config", all.Config}, args...)
	}
	var shown commands
	code := -1
	parser, err := newParser(&shown, std, func(n int) { code = n })
	if err != nil {
		return err
	}
	k, err := parser.Parse(args)
	if code >= 0 {
		return nil
	}
	if err != nil {
		return usageError{err}
	}
	path := shown.file.path
	if path == "" {
		path = "none"
	}
	fmt.Fprintf(std.out, "file: %s\n", path)
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	for _, node := range []*kong.Node{k.Model.Node, k.Selected()} {
		for _, f := range node.Flags {
			if f.Name == "help" || f.Name == "config" {
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, shownValue(f, k.FlagValue(f)), origin(k, f, path))
		}
	}
	if k.Selected().Name == "serve" {
		for _, id := range slices.Sorted(maps.Keys(shown.file.models)) {
			v := reflect.ValueOf(shown.file.models[id])
			for i := range v.NumField() {
				if !v.Field(i).IsNil() {
					fmt.Fprintf(w, "model.%s.%s\t%v\t%s\n", id, v.Type().Field(i).Tag.Get("toml"),
						v.Field(i).Elem().Interface(), path)
				}
			}
		}
	}
	return w.Flush()
}

// sample prints all settings with their defaults.
func (c *configCmd) sample(std stdio) error {
	if len(c.Args) > 0 {
		return usageError{errors.New("--sample lists the settings of all commands, and takes none")}
	}
	parser, err := newParser(new(commands), std, func(int) {})
	if err != nil {
		return err
	}
	return writeSample(std.out, parser.Model)
}

// shownValue returns the value of a flag for people. Keys are not shown.
func shownValue(f *kong.Flag, v any) string {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer {
		if p.IsNil() {
			return "-"
		}
		v = p.Elem().Interface()
	}
	text := fmt.Sprint(v)
	switch list, isList := v.([]string); {
	case isList && len(list) == 0, text == "":
		return "-"
	case f.Name == "api-key" || f.Name == "admin-key" || f.Name == "seal-key":
		return "(hidden)"
	case isList:
		return strings.Join(list, ",")
	}
	return text
}

// origin says where the value of a flag comes from: the command line, else the environment, else the file, else the
// program.
func origin(k *kong.Context, f *kong.Flag, path string) string {
	for _, p := range k.Path {
		if p.Flag == f && p.Resolved {
			return path
		}
		if p.Flag == f {
			return "flag"
		}
	}
	if name := environment(f); name != "" {
		return "environment " + name
	}
	return "default"
}
