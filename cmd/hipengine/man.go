package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// manCmd writes manual pages.
type manCmd struct {
	Command []string `arg:"" optional:"" help:"A command; without one, hipengine itself."`
	Dir     string   `placeholder:"DIR" help:"Write the pages of all commands into this folder instead."`
}

// Run executes the command.
func (c *manCmd) Run(all *commands, std stdio) error {
	parser, err := newParser(new(commands), std, func(int) {})
	if err != nil {
		return err
	}
	refs := references(parser.Model)
	version, _ := programVersion()
	if c.Dir == "" {
		for _, r := range refs {
			if r.name == strings.Join(c.Command, " ") {
				return writePage(std.out, r, refs, version)
			}
		}
		return usageError{fmt.Errorf("there is no command %q", strings.Join(c.Command, " "))}
	}
	if len(c.Command) > 0 {
		return usageError{fmt.Errorf("--dir writes all pages, and takes no command")}
	}
	for _, r := range refs {
		var page strings.Builder
		if err := writePage(&page, r, refs, version); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(c.Dir, pageName(r)+".1"), []byte(page.String()), 0o644); err != nil {
			return fmt.Errorf("man: %w", err)
		}
	}
	return nil
}

// pageName returns the name of a page, without its section.
func pageName(r reference) string {
	return strings.TrimSuffix("hipengine-"+strings.ReplaceAll(r.name, " ", "-"), "-")
}

// roff escapes text for roff.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") { // would be a request
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

// writePage writes the page of a command in the man macros of roff.
func writePage(w io.Writer, r reference, refs []reference, version string) error {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	typed := strings.TrimSpace("hipengine " + r.name)
	p(`.\" Written by "hipengine man".`)
	p(`.TH %s 1 "" "hipengine %s" "hipengine"`, roff(strings.ToUpper(pageName(r))), roff(version))
	p(".SH NAME\n%s \\- %s", roff(pageName(r)), roff(lowerFirst(firstSentence(r.help))))
	p(".SH SYNOPSIS\n.B %s", roff(typed))
	if r.name == "" {
		p("[\\fIFLAG\\fR...] \\fICOMMAND\\fR [\\fIFLAG\\fR...] [\\fIARGUMENT\\fR...]")
	} else {
		p("[\\fIFLAG\\fR...]")
	}
	for _, a := range r.args {
		p("%s", roff(argument(a.Name, a.Required, a.IsCumulative())))
	}
	p(".SH DESCRIPTION\n%s", roff(r.help))
	if r.name == "" {
		p(".SH COMMANDS")
		for _, c := range refs[1:] {
			p(".TP\n.BR %s (1)\n%s", roff(pageName(c)), roff(c.help))
		}
	}
	if len(r.args) > 0 {
		p(".SH ARGUMENTS")
		for _, a := range r.args {
			p(".TP\n.I %s\n%s", roff(strings.ToUpper(a.Name)), roff(a.Help))
		}
	}
	p(".SH OPTIONS")
	for _, f := range r.flags {
		name := `\fB` + roff("--"+f.Name) + `\fR`
		if f.Short != 0 {
			name = `\fB\-` + string(f.Short) + `\fR, ` + name
		}
		if takesValue(f) {
			name += `=\fI` + roff(placeholder(f)) + `\fR`
		}
		text := f.Help
		if f.HasDefault && f.Default != "" {
			text += " Default: " + f.Default + "."
		}
		if len(f.Envs) > 0 {
			text += " Environment: " + strings.Join(f.Envs, ", ") + "."
		}
		p(".TP\n%s\n%s", name, roff(text))
	}
	if r.name != "" {
		p(".PP\nFlags that all commands take are in\n.BR hipengine (1).")
	}
	p(".SH FILES")
	for _, f := range manFiles {
		p(".TP\n.I %s\n%s", roff(f[0]), roff(f[1]))
	}
	p(".SH EXIT STATUS\n0 if the work is done, 1 if it failed, 2 if the command line, the environment or the configuration file is wrong.")
	p(".SH SEE ALSO")
	var also []string
	for _, c := range refs {
		if c.name != r.name && (r.name == "" || c.name == "" || sameFamily(c.name, r.name)) {
			also = append(also, `\fB`+roff(pageName(c))+`\fR(1)`)
		}
	}
	p("%s", strings.Join(also, ",\n"))
	_, err := io.WriteString(w, b.String())
	return err
}

// manFiles are the files of all commands, and what they are for.
var manFiles = [][2]string{
	{"~/.config/hipengine/config.toml", "Values of flags, for this user. If it is there, the next one is not read."},
	{"/etc/hipengine/config.toml",
		"Values of flags, for the machine: a key is the flag of that name of all commands; in a table with " +
			"the name of a command, of that command alone. Flags and the environment go before. \"hipengine config --sample\" lists all."},
	{"~/.local/share/hipengine/models", "Models that are found by name."},
}

// sameFamily reports whether one of two commands is below the other.
func sameFamily(a, b string) bool {
	return strings.HasPrefix(a, b+" ") || strings.HasPrefix(b, a+" ")
}

// argument returns how an argument stands in a synopsis.
func argument(name string, required, several bool) string {
	name = strings.ToUpper(name)
	if several {
		name += "..."
	}
	if !required {
		name = "[" + name + "]"
	}
	return name
}

// lowerFirst returns a sentence as the part of another. Abbreviations stay.
func lowerFirst(s string) string {
	if len(s) < 2 || s[1] < 'a' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
