package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// settings runs the command with a configuration file of the given text, and returns what it prints.
func settings(t *testing.T, text string, args ...string) (code int, file, out, errOut string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	code = run(append([]string{"--config", file}, args...), stdio{strings.NewReader(""), &o, &e})
	return code, file, o.String(), e.String()
}

// TestConfigPrecedence sets one flag in each place and in several, and asks where each value comes from.
func TestConfigPrecedence(t *testing.T) {
	t.Setenv("HIPENGINE_PARALLEL", "3")
	t.Setenv("HIPENGINE_HOST", "127.0.0.2")
	t.Setenv("HIPENGINE_MAX_CONNS", "20")
	text := `
threads = 2
port = 7
parallel = 9        # the environment goes before
max-conns = 10
[serve]
port = 9000         # goes before the top
grace = "5s"
public = true
origin = ["http://a,b", "http://c"]
api-key = ["very secret"]
seal-key = "a secret of some length"
[run]
ctx = 77            # of another command
`
	code, file, out, errOut := settings(t, text, "config", "serve", "--max-conns", "30", "--host=::1")
	if code != exitDone {
		t.Fatalf("%d %s", code, errOut)
	}
	for _, want := range []string{
		"file: FILE", "device auto default", "threads 2 FILE", "port 9000 FILE",
		"parallel 3 environment HIPENGINE_PARALLEL",
		"max-conns 30 flag", "host ::1 flag", "grace 5s FILE", "public true FILE", "origin http://a,b,http://c FILE",
		"api-key (hidden) FILE", "seal-key (hidden) FILE", "ctx 0 default", "max-per-key 0 default", "log text default",
	} {
		line := regexp.QuoteMeta(strings.ReplaceAll(want, "FILE", file))
		if !regexp.MustCompile(`(?m)^` + strings.ReplaceAll(line, " ", " +") + `$`).MatchString(out) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "secret") {
		t.Errorf("a key is shown:\n%s", out)
	}
}

// TestConfigKeysAgree: a flag that several commands have is one key at the top of a file, so that it must be of one
// type in all of them.
func TestConfigKeysAgree(t *testing.T) {
	var c commands
	app, err := newParser(&c, stdio{strings.NewReader(""), io.Discard, io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"json": true, "seed": true} // a switch or a file; a number or none
	types, of := map[string]reflect.Type{}, map[string]string{}
	for _, n := range app.Model.Leaves(true) {
		for _, f := range n.Flags {
			if was, ok := types[f.Name]; ok && was != configType(f) && !known[f.Name] {
				t.Errorf("--%s of %s is %v, of %s %v", f.Name, n.Path(), configType(f), of[f.Name], was)
			}
			types[f.Name], of[f.Name] = configType(f), n.Path()
		}
	}
	if len(types) < 50 {
		t.Errorf("only %d flags", len(types))
	}
}

// TestConfigErrors checks that nothing in a file is ignored, and that errors say where they are.
func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", "threads = 1\n\nprt = 7\n", []string{`FILE:3: unknown key "prt"`}},
		{"unknown keys", "prt = 7\n[serve]\nport = 1\ngracee = \"1s\"\n",
			[]string{`FILE:1: unknown key "prt"`, `FILE:4: unknown key "serve.gracee"`}},
		{"unknown table", "[server]\nport = 1\n", []string{"FILE:1:", "server"}},
		{"flag of another command", "[run]\nport = 1\n", []string{`FILE:2: unknown key "run.port"`}},
		{"string for integer", "[serve]\nport = \"x\"\n", []string{"FILE:2: serve.port: want an integer"}},
		{"integer for duration", "[serve]\ngrace = 5\n", []string{"FILE:2: serve.grace: want a string"}},
		{"string for list", "[serve]\norigin = \"x\"\n", []string{"FILE:2: serve.origin: want a list of strings"}},
		{"value for table", "serve = 1\n", []string{"FILE:1: serve: want a table"}},
		{"no TOML", "port = 1\n= 2\n", []string{"FILE:2: "}},
		{"twice", "threads = 1\nthreads = 2\n", []string{"FILE:2: ", "threads"}},
		{"bad duration", "[serve]\ngrace = \"soon\"\n", []string{"--grace", "soon"}},
		{"not among the choices", "[serve]\nlog = \"loud\"\n", []string{"--log", "loud"}},
		{"large", strings.Repeat("#\n", 1<<20), []string{"more than 1048576 bytes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, file, out, errOut := settings(t, c.text, "config")
			if code != exitUsage || out != "" {
				t.Errorf("code %d, output %s", code, out)
			}
			for _, want := range c.want {
				if want = strings.ReplaceAll(want, "FILE", file); !strings.Contains(errOut, want) {
					t.Errorf("no %q in\n%s", want, errOut)
				}
			}
		})
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"--config", "/nowhere/c.toml", "version"},
		stdio{strings.NewReader(""), &out, &errOut}); code != exitUsage ||
		!strings.Contains(errOut.String(), "/nowhere/c.toml") {
		t.Errorf("a file that is not there: %d %s", code, &errOut)
	}
}

// TestConfigOfUser finds the file in the user's folder.
func TestConfigOfUser(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("HOME", dir)
	if err := os.MkdirAll(filepath.Join(dir, "hipengine"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "hipengine", "config.toml")
	if err := os.WriteFile(file, []byte("threads = 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"config", "run"}, stdio{strings.NewReader(""), &out, &errOut}); code != exitDone {
		t.Fatalf("%d %s", code, &errOut)
	}
	if !strings.HasPrefix(out.String(), "file: "+file+"\n") ||
		!regexp.MustCompile(`(?m)^threads +5 +`+regexp.QuoteMeta(file)).MatchString(out.String()) {
		t.Errorf("%s", &out)
	}
}
