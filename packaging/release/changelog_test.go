package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseChangelog(t *testing.T) {
	changes, err := parseChangelog(
		"# Changelog\n\nProse.\n\n## 2026.12.1 (2026-12-24)\n\n* One\n  goes on.\n* Two.\n\n## 2026.9.0 (2026-09-01)\n* Old.\n")
	if err != nil || len(changes) != 2 || changes[0].version != "2026.12.1" ||
		strings.Join(changes[0].items, "|") != "One goes on.|Two." {
		t.Errorf("%v %v", changes, err)
	}
	for text, want := range map[string]string{
		"":                                      "no version",
		"# Changelog\n":                         "no version",
		"# C\n## 2026.13.0 (2026-12-01)\n* x\n": "line 2",
		"# C\n## 2026.12 (2026-12-01)\n* x\n":   "line 2",
		"# C\n## 2026.02.0 (2026-02-01)\n* x\n": "line 2",
		"# C\n## 2026.2.0 (2026-02-30)\n* x\n":  "line 2",
		"# C\n## 2026.2.0 (2026-02-01)\nx\n":    "line 3",
		"# C\n## 2026.2.0 (2026-02-01)\n":       "no changes",
		"# C\n## 2026.2.0 (2026-02-01)\n* x\n## 2026.3.0 (2026-03-01)\n* y\n": "younger",
	} {
		if _, err := parseChangelog(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestVersionOrder asks dpkg: what is made on the way to a version is replaced by it.
func TestVersionOrder(t *testing.T) {
	day := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	order := []string{
		versionOf("2026.9.3", []string{"2026.9.3"}, "abcdef0123", day, false),
		versionOf("2026.11.0", nil, "ffffff0123", day, false),
		versionOf("2026.11.0", []string{"other"}, "abcdef0123", day.Add(time.Second), false),
		versionOf("2026.11.0", []string{"2026.11.0"}, "abcdef0123", day.Add(2*time.Second), true),
		versionOf("2026.11.0", []string{"2026.11.0"}, "abcdef0123", day, false),
		versionOf("2026.11.1", nil, "abcdef0123", day, false),
		versionOf("2026.12.0", nil, "abcdef0123", day, false),
	}
	if order[0] != "2026.9.3" || order[4] != "2026.11.0" {
		t.Errorf("%v", order)
	}
	for i := range len(order) - 1 {
		if err := exec.Command("dpkg", "--compare-versions", order[i]+"-1", "lt", order[i+1]+"-1").Run(); err != nil {
			t.Errorf("%s does not sort before %s: %v", order[i], order[i+1], err)
		}
	}
}

// TestDebianChangelog has dpkg read what we write of the repository's own changelog.
func TestDebianChangelog(t *testing.T) {
	p, err := openProject(t.Context(), filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "changelog")
	if err := os.WriteFile(file, []byte(p.debianChangelog()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("dpkg-parsechangelog", "-l", file, "--all", "-S", "Version").CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	var want []string
	for i, c := range p.changes {
		if v := c.version; i > 0 {
			want = append(want, v+"-1")
		} else {
			want = append(want, p.version+"-1")
		}
	}
	if got := strings.Fields(string(out)); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("versions %v, want %v", got, want)
	}
}
