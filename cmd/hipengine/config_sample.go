package main

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// sampleHead begins the sample of a configuration file.
const sampleHead = `# Values of hipengine's flags. Flags of the command line and HIPENGINE_* variables go before.
#
# Each setting stands here as a comment with its default. To change one, remove its "#" and that of its table.
# "hipengine config COMMAND" shows the values of a command's flags, and where each comes from.
# Keys above the first table are for all commands that have a flag of the name; a table is for one command.
`

// sampleModel ends the table of serve: what is not a flag.
const sampleModel = `
# A model that the server offers under a name, loaded when a request asks for it. What is left out is that of [serve].
#[serve.model.NAME]
`

// writeSample writes a configuration file in which each setting is a comment.
func writeSample(w io.Writer, app *kong.Application) error {
	var b strings.Builder
	b.WriteString(sampleHead)
	refs := references(app)
	common := commonFlags(refs)
	for _, f := range common {
		writeSetting(&b, f)
	}
	for _, r := range refs[1:] {
		own := slices.DeleteFunc(slices.Clone(r.flags), func(f *kong.Flag) bool {
			return f.Name == "help" || slices.ContainsFunc(common, func(c *kong.Flag) bool { return c.Name == f.Name })
		})
		if len(own) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n# hipengine %s: %s\n#[%s]\n", r.name, r.help, strings.ReplaceAll(r.name, " ", "."))
		for _, f := range own {
			writeSetting(&b, f)
		}
		if r.name == "serve" {
			b.WriteString(sampleModel)
			for f := range reflect.TypeFor[servedModel]().Fields() {
				fmt.Fprintf(&b, "#%s = %s\n", f.Tag.Get("toml"), zeroTOML(f.Type.Elem().Kind()))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// commonFlags returns flags of hipengine itself, and those that several commands have with one meaning.
func commonFlags(refs []reference) []*kong.Flag {
	count, differ := map[string]int{}, map[string]bool{}
	first := map[string]*kong.Flag{}
	var order []string
	for i, r := range refs {
		for _, f := range r.flags {
			known := first[f.Name]
			if known == nil {
				first[f.Name] = f
				order = append(order, f.Name)
			} else if known.Help != f.Help || known.Default != f.Default || configType(known) != configType(f) {
				differ[f.Name] = true
			}
			count[f.Name]++
			if i == 0 {
				count[f.Name] = len(refs)
			}
		}
	}
	names := topCommands(refs)
	var flags []*kong.Flag
	for _, name := range order {
		// A table has the name of a command, so that a flag of that name has no key above the tables.
		if name != "help" && name != "config" && count[name] > 1 && !differ[name] && !slices.Contains(names, name) {
			flags = append(flags, first[name])
		}
	}
	return flags
}

// writeSetting writes a flag as a setting in a comment.
func writeSetting(b *strings.Builder, f *kong.Flag) {
	fmt.Fprintf(b, "\n")
	help := f.Help
	if f.Target.Kind() == reflect.Pointer {
		help += " No value is not the same as this one."
	}
	for _, line := range wrapWords(help, 110) {
		fmt.Fprintf(b, "# %s\n", line)
	}
	fmt.Fprintf(b, "#%s = %s\n", f.Name, defaultTOML(f))
}

// defaultTOML returns the default of a flag as TOML.
func defaultTOML(f *kong.Flag) string {
	t := configType(f)
	switch {
	case t.Kind() == reflect.Slice && f.Default == "":
		return "[]"
	case t.Kind() == reflect.Slice:
		return `["` + strings.Join(strings.Split(f.Default, ","), `", "`) + `"]`
	case f.Default == "" && configType(f) == reflect.TypeFor[*string]() &&
		f.Target.Type().Kind() == reflect.Int64: // a duration
		return `"0s"`
	case f.Default == "":
		return zeroTOML(t.Elem().Kind())
	case t.Elem().Kind() == reflect.String:
		return fmt.Sprintf("%q", f.Default)
	}
	return f.Default
}

// zeroTOML returns the zero value of a kind as TOML.
func zeroTOML(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return `""`
	case reflect.Bool:
		return "false"
	}
	return "0"
}

// wrapWords breaks a text into lines of at most width bytes, unless a word is longer.
func wrapWords(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
