package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parsed returns the model of the command line.
func parsed(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := newParser(new(commands), stdio{strings.NewReader(""), os.Stdout, os.Stderr}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// printed runs a command line that must succeed and returns its output.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := run(args, stdio{strings.NewReader(""), &out, &errOut}); code != exitDone || errOut.Len() > 0 {
		t.Fatalf("%v: %d %s", args, code, &errOut)
	}
	return out.String()
}

// TestConfigSample takes the settings of the sample out of their comments: each flag of each command must be among
// them, the file must be valid, and its values must be those without a file.
func TestConfigSample(t *testing.T) {
	sample := printed(t, "config", "--sample")
	if m := regexp.MustCompile(`(?m)^[^#\n].*`).FindString(sample); m != "" {
		t.Errorf("%q is no comment", m)
	}
	text := regexp.MustCompile(`(?m)^#([a-z\[])`).ReplaceAllString(sample, "$1")
	file := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	app := parsed(t)
	c, err := readConfig(app, file)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(c.models) != 1 {
		t.Errorf("models %v", c.models)
	}
	for _, n := range app.Leaves(false) {
		for _, f := range append(slices.Clone(app.Flags), n.Flags...) {
			if f.Name == "help" || f.Name == "config" {
				continue
			}
			value, ok := c.value(commandName(n), f.Name)
			if !ok {
				t.Errorf("--%s of %q is not in the sample", f.Name, commandName(n))
			}
			// Compared as kong reads it, since "0" and "0s" are one duration.
			got, want := reflect.New(f.Target.Type()).Elem(), reflect.New(f.Target.Type()).Elem()
			for _, v := range []struct {
				text string
				to   reflect.Value
			}{{value, got}, {f.Default, want}} {
				if v.text == "" {
					continue
				}
				if err := f.Parse(kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: v.text}),
					v.to); err != nil {
					t.Errorf("--%s of %q: %v", f.Name, commandName(n), err)
				}
			}
			if f.Target.Kind() != reflect.Pointer && !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Errorf("--%s of %q: the sample has %q, the default is %q", f.Name, commandName(n), value, f.Default)
			}
		}
	}
}

// TestManPages checks that each command has a page that names all its flags, and that roff understands it.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	printed(t, "man", "--dir", dir)
	refs := references(parsed(t))
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(refs) {
		t.Errorf("%d pages of %d commands, %v", len(files), len(refs), err)
	}
	if len(refs) < 20 {
		t.Errorf("%d commands", len(refs))
	}
	for _, r := range refs {
		page, err := os.ReadFile(filepath.Join(dir, pageName(r)+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		if one := printed(t, append([]string{"man"}, strings.Fields(r.name)...)...); one != string(page) {
			t.Errorf("%s: man alone prints something else", r.name)
		}
		for _, f := range r.flags {
			if !strings.Contains(string(page), `\fB`+roff("--"+f.Name)+`\fR`) {
				t.Errorf("%s: no --%s", r.name, f.Name)
			}
		}
		for _, line := range strings.Split(string(page), "\n") {
			if strings.HasPrefix(line, ".") &&
				!regexp.MustCompile(`^\.(\\"|TH|SH|PP|TP|B|BR|I)( |$)`).MatchString(line) {
				t.Errorf("%s: %q reads as a request", r.name, line)
			}
		}
	}
}

// TestBashCompletion asks bash to complete words.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"a.gguf", "b c.gguf"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := printed(t, "completion", "bash") + `
words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _hipengine; echo "${COMPREPLY[*]}. ${#COMPREPLY[@]}"; }
`
	for _, c := range []struct {
		words, want string
		n           int
	}{
		{"hipengine ser", "serve", 1},
		{"hipengine --config x ser", "serve", 1},
		{"hipengine serve --par", "--parallel", 1},
		{"hipengine serve --log ", "text json none", 3},
		{"hipengine serve --log = j", "json", 1},
		{"hipengine bench se", "serve", 1},
		{"hipengine bench serve --ht", "--html", 1},
		{"hipengine run a.", "a.gguf", 1},
		{"hipengine --config b", "b c.gguf", 1},
		{"hipengine run --device c", "cpu cuda:0", 2},
		{"hipengine completion --h", "--help", 1},
		{"hipengine nonsense --h", "", 0},
	} {
		words := strings.Split(c.words, " ")
		for i := range words {
			words[i] = single(words[i])
		}
		cmd := exec.Command(bash, "--norc", "-c", script+"words "+strings.Join(words, " "))
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if got := strings.Join(strings.Fields(string(out)), " "); err != nil ||
			got != fmt.Sprintf("%s. %d", c.want, c.n) {
			t.Errorf("%q: %q, %v, want %q", c.words, got, err, c.want)
		}
	}
}
