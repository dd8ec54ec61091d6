package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hipengine/hipengine"
)

// typed is a terminal on which somebody types.
func typed(keys string) (in io.Reader, out *bytes.Buffer) {
	return iotest.OneByteReader(strings.NewReader(keys)), &bytes.Buffer{}
}

// TestMessages reads lines that belong together as one message.
func TestMessages(t *testing.T) {
	const paste, end = "\x1b[200~", "\x1b[201~"
	for _, c := range []struct {
		name, keys string
		want       []string
	}{
		{"a line", "hi\r", []string{"hi"}},
		{"two messages", "hi\rho\r", []string{"hi", "ho"}},
		{"an empty line", "\r", []string{""}},
		{"a pasted line", paste + "one" + end + "\r", []string{"one"}},
		{"ten pasted lines", paste + strings.Repeat("line\r", 9) + "line" + end + "\r",
			[]string{strings.TrimSuffix(strings.Repeat("line\n", 10), "\n")}},
		{"a paste that ends a line", paste + "one\rtwo\r" + end + "\r", []string{"one\ntwo"}},
		{"a paste and more", "Sum up: " + paste + "one\rtwo" + end + " please\r", []string{"Sum up: one\ntwo please"}},
		{"empty lines in a paste", paste + "one\r\rtwo" + end + "\r", []string{"one\n\ntwo"}},
		{"tabs in a paste", paste + "a\tb" + end + "\r", []string{"a\tb"}},
		{"two pastes", paste + "a\nb" + end + " or " + paste + "c\nd" + end + "\r", []string{"a\nb or c\nd"}},
		{"a long paste", paste + strings.Repeat("long ", 5000) + end + "\r", []string{strings.Repeat("long ", 5000)}},
		{"backslashes", "one\\\rtwo\\\rthree\r", []string{"one\ntwo\nthree"}},
		{"quotes", "\"\"\"\rone\r\rtwo\\\r\"\"\"\rx\r", []string{"one\n\ntwo\\", "x"}},
		{"Ctrl-C clears the line", "no\x03yes\r", []string{"yes"}},
	} {
		in, out := typed(c.keys)
		l := newEditor(in, out)
		for _, want := range c.want {
			if got, err := l.read(); err != nil || got != want {
				t.Errorf("%s: %q, %v, want %q", c.name, got, err, want)
			}
		}
		if _, err := l.read(); err != io.EOF {
			t.Errorf("%s: %v at the end, want EOF", c.name, err)
		}
	}
}

// TestHistory keeps lines from one chat to the next, the newest ones, in a file for its owner alone.
func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "history")
	for round := range 3 {
		h, err := openHistory(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range maxHistory/2 + 1 {
			h.Add(strings.Repeat("x", 1+(round*maxHistory+i)%700))
		}
		h.Add("last")
		h.Add("last")
		h.Add(" ")
		if h.At(0) != "last" || h.At(1) == "last" || h.Len() > maxHistory {
			t.Errorf("%q, %q of %d lines", h.At(0), h.At(1), h.Len())
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	h, err := openHistory("")
	if err != nil || h.Len() != 0 {
		t.Errorf("without a file: %d lines, %v", h.Len(), err)
	}
}

// TestChatCommands carries out every command of the chat with Ember.
func TestChatCommands(t *testing.T) {
	host, err := hipengine.NewHost(hipengine.HostOptions{Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	open := func(ctx context.Context, name string) (*hipengine.Model, error) {
		return host.Open(ctx, name, hipengine.Options{})
	}
	m, err := open(t.Context(), hipengine.Ember)
	if err != nil {
		t.Fatal(err)
	}
	conv, err := m.NewConversation("", hipengine.Params{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := &chatSession{model: m, conv: conv, open: open, std: stdio{out: &out, err: &out}}
	saved := filepath.Join(t.TempDir(), "a chat.json")
	t.Setenv("HOME", filepath.Dir(saved))
	for _, step := range []struct{ line, want, err string }{
		{line: "What is the capital of France?", want: "The capital of France is Paris.\n"},
		{line: "/stats", want: "last answer: 8 tokens, "},
		{line: "/stats", want: " tokens a second"},
		{line: "/stats", want: "\ncontext: "},
		{line: "/save " + saved},
		{line: "/save " + saved, err: "exists"},
		{line: "/save '" + saved + "'", err: "exists"},
		{line: "/save ~/a chat.json", err: "exists"},
		{line: "/save", err: "/save needs FILE"},
		{line: "/model nowhere.gguf", err: "nowhere.gguf"},
		{line: "/model ember", want: "ember (qwen35) on"},
		{line: "/clear now", err: "/clear takes nothing"},
		{line: "/clear"},
		{line: "/stats", want: "context: 0 of"},
		{line: "// What is\n2 + 2?", want: "\n"},
		{line: "/* What is\n2 + 2? */", want: "\n"},
		{line: "/save " + saved + "2"},
		{line: "/system Be\nkind.", want: ""},
		{line: "/system Be brief.", want: ""},
		{line: "/help", want: "/system TEXT"},
		{line: "/halp", err: "/halp: /help lists them"},
		{line: "//", want: "\n"}, // a message
	} {
		out.Reset()
		err := c.do(t.Context(), step.line)
		if (err == nil) != (step.err == "") || err != nil && !strings.Contains(err.Error(), step.err) ||
			!strings.Contains(out.String(), step.want) {
			t.Errorf("%s: %q, %v; want %q, %q", step.line, out.String(), err, step.want, step.err)
		}
	}
	text, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	var messages []hipengine.Message
	if err := json.Unmarshal(text, &messages); err != nil || len(messages) != 2 || messages[0].Role != "user" {
		t.Errorf("saved %s, %v", text, err)
	}
	if text, err := os.ReadFile(saved + "2"); err != nil || !bytes.Contains(text, []byte(`"// What`)) ||
		!bytes.Contains(text, []byte(`"/* What`)) {
		t.Errorf("messages of several lines: %s, %v", text, err)
	}
	if first := c.conv.Messages()[0]; first.Role != "system" || first.Content != "Be brief." {
		t.Errorf("the system message is %+v", first)
	}
}
