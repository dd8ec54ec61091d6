package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedCommands parses the command lines of docs/CLI.md.
func TestDocumentedCommands(t *testing.T) {
	text, err := os.ReadFile("../../docs/CLI.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^hipengine (.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(lines) < 15 {
		t.Fatalf("only %d command lines", len(lines))
	}
	t.Setenv("HIPENGINE_CONFIG", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, l := range lines {
		line, _, _ := strings.Cut(l[1], "#")
		words := strings.Fields(strings.NewReplacer(`"`, "").Replace(line))
		var c commands
		parser, err := newParser(&c, stdio{strings.NewReader(""), io.Discard, io.Discard}, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(words); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
