package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd writes what a shell needs to complete command lines.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run executes the command.
func (c *completionCmd) Run(std stdio) error {
	parser, err := newParser(new(commands), std, func(int) {})
	if err != nil {
		return err
	}
	refs := references(parser.Model)
	write := map[string]func(*strings.Builder, []reference){"bash": writeBash, "zsh": writeZsh,
		"fish": writeFish}[c.Shell]
	var b strings.Builder
	write(&b, refs)
	_, err = io.WriteString(std.out, b.String())
	return err
}

// single quotes text for shells. A line end would end a completion, so that it becomes a space.
func single(text string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(text, "\n", " "), "'", `'\''`) + "'"
}

// subcommands returns the last words of the commands below a command.
func subcommands(refs []reference, name string) []string {
	var subs []string
	for _, r := range refs {
		if sub, ok := strings.CutPrefix(r.name, name+" "); ok {
			subs = append(subs, sub)
		}
	}
	return subs
}

// withCommon returns the flags of a command and those of hipengine itself, which may stand behind any command.
func withCommon(r reference, refs []reference) []*kong.Flag {
	if r.name == "" {
		return r.flags
	}
	return append(slices.Clone(r.flags), refs[0].flags...)
}

// firstSentence returns the first sentence of a help text, without its point.
func firstSentence(help string) string {
	first, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(first, ".")
}

// writeBash writes a script that looks for the command among the words, and offers its flags, or values of one.
func writeBash(b *strings.Builder, refs []reference) {
	var valued, nested []string // flags before the command that take a value; commands of two words
	for _, f := range refs[0].flags {
		if takesValue(f) {
			valued = append(valued, "--"+f.Name)
		}
	}
	for _, r := range refs {
		if strings.Contains(r.name, " ") {
			nested = append(nested, single(r.name))
		}
	}
	fmt.Fprintf(b, `# Completion of hipengine for bash, written by "hipengine completion bash".
_hipengine() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= skip= i flags= subs=
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    local word=${COMP_WORDS[i]}
    if [[ -n $skip ]]; then [[ $word == = ]] || skip=; continue; fi
    case $word in
      %s) skip=1 ;;
      -*|=) ;;
      *)
        if [[ -z $command ]]; then command=$word; continue; fi
        case "$command $word" in %s) command="$command $word" ;; esac
        break ;;
    esac
  done
  case $command in
`, strings.Join(valued, "|"), strings.Join(append(nested, "''"), "|"))
	for _, r := range refs {
		subs := subcommands(refs, r.name)
		if r.name == "" {
			subs = topCommands(refs)
		}
		var names []string
		for _, f := range withCommon(r, refs) {
			names = append(names, "--"+f.Name)
		}
		fmt.Fprintf(b, "    %s) subs=%s flags=%s ;;\n", single(r.name), single(strings.Join(subs, " ")),
			single(strings.Join(names, " ")))
	}
	b.WriteString("  esac\n  case \"$command $prev\" in\n")
	for _, r := range refs {
		for _, f := range r.flags {
			if !takesValue(f) {
				continue
			}
			words, kind := values(f)
			offer := fmt.Sprintf("COMPREPLY=($(compgen -W %s -- \"$cur\"))", single(strings.Join(words, " ")))
			switch {
			case kind == fileValue:
				offer = `mapfile -t COMPREPLY < <(compgen -f -- "$cur")`
			case kind == folderValue:
				offer = `mapfile -t COMPREPLY < <(compgen -d -- "$cur")`
			case len(words) == 0:
				offer = "COMPREPLY=()"
			}
			pattern := single(r.name + " --" + f.Name)
			if r.name == "" {
				pattern = "*" + single(" --"+f.Name) // may stand anywhere
			}
			fmt.Fprintf(b, "    %s) %s; return ;;\n", pattern, offer)
		}
	}
	b.WriteString(`  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *)
      mapfile -t COMPREPLY < <(compgen -W "$subs" -- "$cur"; [[ -z $command ]] || compgen -f -- "$cur") ;;
  esac
}
complete -o filenames -F _hipengine hipengine
`)
}

// writeZsh writes a script for zsh's _arguments.
func writeZsh(b *strings.Builder, refs []reference) {
	b.WriteString("#compdef hipengine\n# Completion of hipengine for zsh, written by \"hipengine completion zsh\".\n")
	for _, r := range refs[1:] {
		fmt.Fprintf(b, "%s() {\n", zshFunction(r.name))
		for _, sub := range subcommands(refs, r.name) {
			fmt.Fprintf(b, "  if (( CURRENT > 2 )) && [[ $words[2] == %s ]]; then\n    shift words; (( CURRENT-- )); %s; return\n  fi\n",
				sub, zshFunction(r.name+" "+sub))
		}
		b.WriteString("  _arguments \\\n")
		writeZshFlags(b, withCommon(r, refs))
		if subs := subcommands(refs, r.name); len(subs) > 0 {
			fmt.Fprintf(b, "    '1: : _alternative \"command:command:(%s)\" \"file:file:_files\"' \\\n",
				strings.Join(subs, " "))
		}
		b.WriteString("    '*:file:_files'\n}\n")
	}
	b.WriteString("_hipengine() {\n  local context state state_descr line\n  typeset -A opt_args\n  _arguments -C \\\n")
	writeZshFlags(b, refs[0].flags)
	b.WriteString("    '1:command:->command' '*::argument:->argument'\n  case $state in\n    command)\n      local -a list=(\n")
	for _, r := range refs[1:] {
		if !strings.Contains(r.name, " ") {
			fmt.Fprintf(b, "        %s\n", single(r.name+":"+firstSentence(r.help)))
		}
	}
	b.WriteString("      )\n      _describe command list ;;\n    argument)\n      case $words[1] in\n")
	for _, name := range topCommands(refs) {
		fmt.Fprintf(b, "        %s) %s ;;\n", name, zshFunction(name))
	}
	b.WriteString("      esac ;;\n  esac\n}\nif [[ $funcstack[1] == _hipengine ]]; then _hipengine \"$@\"; else compdef _hipengine hipengine; fi\n")
}

func zshFunction(name string) string {
	return "_hipengine_" + strings.NewReplacer(" ", "_", "-", "_").Replace(name)
}

func writeZshFlags(b *strings.Builder, flags []*kong.Flag) {
	escape := strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`)
	for _, f := range flags {
		help := escape.Replace(firstSentence(f.Help))
		if !takesValue(f) {
			fmt.Fprintf(b, "    %s \\\n", single("--"+f.Name+"["+help+"]"))
			continue
		}
		words, kind := values(f)
		action := " "
		switch {
		case kind == fileValue:
			action = "_files"
		case kind == folderValue:
			action = "_files -/"
		case len(words) > 0:
			action = "(" + escape.Replace(strings.Join(words, " ")) + ")"
		}
		several := ""
		if f.IsSlice() {
			several = "*"
		}
		fmt.Fprintf(b, "    %s \\\n",
			single(several+"--"+f.Name+"=["+help+"]:"+escape.Replace(placeholder(f))+":"+action))
	}
}

// writeFish writes one line for each command and each flag.
func writeFish(b *strings.Builder, refs []reference) {
	b.WriteString(`# Completion of hipengine for fish, written by "hipengine completion fish".
function __hipengine_command --description 'the command of the line, of one word or two'
  set -l words
  set -l skip 0
  for word in (commandline -opc)[2..]
    if test $skip = 1
      set skip 0
      continue
    end
    switch $word
`)
	for _, f := range refs[0].flags {
		if takesValue(f) {
			fmt.Fprintf(b, "      case --%s\n        set skip 1\n", f.Name)
		}
	}
	b.WriteString("      case '-*'\n      case '*'\n        set -a words $word\n    end\n  end\n  switch \"$words[1..2]\"\n")
	for _, r := range refs {
		if strings.Contains(r.name, " ") {
			fmt.Fprintf(b, "    case %s\n      echo %s\n", single(r.name), single(r.name))
		}
	}
	b.WriteString("    case '*'\n      echo $words[1]\n  end\nend\n")
	for _, r := range refs {
		condition := single(fmt.Sprintf(`test "$(__hipengine_command)" = %q`, r.name))
		for _, f := range r.flags {
			if r.name == "" {
				fmt.Fprintf(b, "complete -c hipengine -l %s", f.Name) // may stand anywhere
			} else {
				fmt.Fprintf(b, "complete -c hipengine -n %s -l %s", condition, f.Name)
			}
			words, kind := values(f)
			switch {
			case takesValue(f) && kind == fileValue:
				b.WriteString(" -r -F")
			case takesValue(f) && kind == folderValue:
				b.WriteString(" -x -a '(__fish_complete_directories)'")
			case takesValue(f) && len(words) > 0:
				fmt.Fprintf(b, " -x -a %s", single(strings.Join(words, " ")))
			case takesValue(f):
				b.WriteString(" -x")
			}
			fmt.Fprintf(b, " -d %s\n", single(firstSentence(f.Help)))
		}
		above, last := "", r.name
		if i := strings.LastIndex(r.name, " "); i >= 0 {
			above, last = r.name[:i], r.name[i+1:]
		}
		if r.name != "" {
			files := ""
			if above == "" {
				files = " -f"
			}
			fmt.Fprintf(b, "complete -c hipengine -n %s%s -a %s -d %s\n",
				single(fmt.Sprintf(`test "$(__hipengine_command)" = %q`, above)), files, last,
				single(firstSentence(r.help)))
		}
	}
}
