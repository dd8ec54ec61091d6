package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fenced calls f with each line of a page that stands in a block of commands.
func fenced(page string, f func(line string)) {
	inside, commands := false, false
	for _, line := range strings.Split(page, "\n") {
		if kind, ok := strings.CutPrefix(strings.TrimSpace(line), "```"); ok {
			inside, commands = !inside, kind == ""
		} else if inside && commands {
			f(line)
		}
	}
}

// shellWords splits a command line as a shell does, as far as the pages use one.
func shellWords(line string) []string {
	var words []string
	for _, w := range regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`).FindAllString(line, -1) {
		if strings.HasPrefix(w, "#") || w == "|" || w == ">" {
			break
		}
		words = append(words, strings.Trim(w, `'"`))
	}
	return words
}

// TestDocumentedCommands parses the command lines of all pages, and looks for the make targets that they name.
func TestDocumentedCommands(t *testing.T) {
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := os.ReadFile(filepath.Join(root, "ops_hip", "kernels", "kernels.mk"))
	if err != nil {
		t.Fatal(err)
	}
	rules := string(makefile) + string(kernels)
	commandLine := regexp.MustCompile(
		`(?:^|&& |env \S+ )(?:HIPENGINE_\S+ )?(?:go run \./cmd/|bin/)?hipengine ([a-z-].*)$`)
	target := regexp.MustCompile(`\bmake ([a-z0-9-]+)`)
	quoted := regexp.MustCompile("`[^`\n]+`")
	count := 0
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var made []string
		fenced(string(text), func(line string) {
			made = append(made, line)
			m := commandLine.FindStringSubmatch(line)
			if m == nil || strings.Contains(line, "docker ") || strings.Contains(line, "systemctl ") {
				return
			}
			count++
			parser, err := newParser(new(commands), stdio{strings.NewReader(""), io.Discard, io.Discard}, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(append([]string{"--config", os.DevNull}, shellWords(m[1])...)); err != nil {
				t.Errorf("%s: %q: %v", filepath.Base(page), line, err)
			}
		})
		made = append(made, quoted.FindAllString(string(text), -1)...)
		for _, line := range made {
			for _, m := range target.FindAllStringSubmatch(line, -1) {
				if !strings.Contains(rules, "\n"+m[1]+":") {
					t.Errorf("%s: there is no target %q", filepath.Base(page), m[1])
				}
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d command lines were found", count)
	}
}

// TestDocumentedCommandsNotices checks that the test above would see what is wrong.
func TestDocumentedCommandsNotices(t *testing.T) {
	var lines []string
	fenced("hipengine a\n```\nhipengine b 'c d' # e\n```\n```toml\nf\n```\n",
		func(line string) { lines = append(lines, line) })
	if !slices.Equal(lines, []string{"hipengine b 'c d' # e"}) ||
		!slices.Equal(shellWords(lines[0]), []string{"hipengine", "b", "c d"}) {
		t.Errorf("%q", lines)
	}
}
