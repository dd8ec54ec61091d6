package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// reference is what manual pages, completions and the sample of a configuration file say of a command.
type reference struct {
	name  string // as it is typed behind hipengine: "bench serve"; empty for hipengine itself
	help  string
	flags []*kong.Flag // of its own, with --help, without those of hipengine
	args  []*kong.Positional
}

// references lists hipengine itself and its commands, without hidden ones. A command that a name stands for by default
// has the help of that name.
func references(app *kong.Application) []reference {
	refs := []reference{{help: app.Help, flags: visible(app.Flags)}}
	for _, n := range app.Children {
		if n.Hidden {
			continue
		}
		top := n
		if n.DefaultCmd != nil {
			top = n.DefaultCmd
		}
		refs = append(refs, reference{n.Name, n.Help, flagsOf(top, n), top.Positional})
		for _, sub := range n.Children {
			if sub != n.DefaultCmd && !sub.Hidden {
				refs = append(refs, reference{commandName(sub), sub.Help, flagsOf(sub, n), sub.Positional})
			}
		}
	}
	return refs
}

// flagsOf returns the flags of a command n below the command above, which is n itself for most.
func flagsOf(n, above *kong.Node) []*kong.Flag {
	flags := visible(n.Flags)
	if n != above {
		flags = append(flags, visible(above.Flags)...)
	}
	return flags
}

func visible(flags []*kong.Flag) []*kong.Flag {
	return slices.DeleteFunc(slices.Clone(flags), func(f *kong.Flag) bool { return f.Hidden })
}

// topCommands returns the names of commands that are one word.
func topCommands(refs []reference) []string {
	var names []string
	for _, r := range refs {
		if r.name != "" && !strings.Contains(r.name, " ") {
			names = append(names, r.name)
		}
	}
	return names
}

// What completions offer as the value of a flag or an argument.
const (
	anyValue = iota
	fileValue
	folderValue
)

// values returns the words that the value of a flag is one of, and what it is otherwise.
func values(f *kong.Flag) (words []string, kind int) {
	switch {
	case f.Enum != "":
		return slices.DeleteFunc(f.EnumSlice(), func(w string) bool { return w == "" }), anyValue
	case f.Name == "device":
		return []string{"auto", "cpu", "ref", "hip:0", "cuda:0"}, anyValue
	case f.PlaceHolder == "FILE":
		return nil, fileValue
	case f.PlaceHolder == "DIR":
		return nil, folderValue
	}
	return nil, anyValue
}

// takesValue reports whether something must follow a flag.
func takesValue(f *kong.Flag) bool { return !f.IsBool() && !f.IsCounter() }

// placeholder returns what stands for the value of a flag.
func placeholder(f *kong.Flag) string {
	switch {
	case f.PlaceHolder != "":
		return f.PlaceHolder
	case f.Enum != "":
		words, _ := values(f)
		return strings.Join(words, "|")
	}
	return strings.ToUpper(f.Name)
}
