package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestParts finds a licence that can be passed on for everything that the program is linked with.
func TestParts(t *testing.T) {
	p := testProject()
	p.root = filepath.Join("..", "..")
	with := map[bool]string{}
	for _, nogpu := range []bool{false, true} {
		parts, err := p.parts(t.Context(), binary{arch: "amd64", nogpu: nogpu})
		if err != nil {
			t.Fatal(err)
		}
		list, copyright := licenceList(parts), debianCopyright(parts)
		for _, m := range parts {
			if m.version == "" || m.licence == "" || m.text == "" ||
				!strings.Contains(list, "\n"+m.path+" "+m.version+" ("+m.licence+")\n") ||
				!strings.Contains(list, m.text) || !strings.Contains(list, m.notice) {
				t.Errorf("%s %q %q", m.path, m.version, m.licence)
			}
			with[nogpu] += m.path + "\n"
		}
		if strings.Count(copyright, "\nFiles: ") != len(parts)+1 || strings.Contains(copyright, "Definitions.") {
			t.Errorf("%d entries of %d parts, or the Apache License in full", strings.Count(copyright, "\nFiles: "),
				len(parts))
		}
	}
	if !strings.Contains(with[false], "ebitengine/purego") || strings.Contains(with[true], "ebitengine/purego") ||
		!strings.Contains(with[true], "Go standard library") {
		t.Errorf("parts with GPU runtimes:\n%s\nwithout:\n%s", with[false], with[true])
	}
}

// TestUnknownLicence refuses what nobody has looked at.
func TestUnknownLicence(t *testing.T) {
	strange := "Permission to do anything at all with this is granted to nobody but its author, who keeps it to himself."
	for name, text := range map[string]string{"none": "", "strange": strange} {
		dir := t.TempDir()
		if text != "" {
			if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if m, err := readPart("example.com/x", "v1.0.0", dir); err == nil ||
			!strings.Contains(err.Error(), "example.com/x") {
			t.Errorf("%s: %+v %v", name, m, err)
		}
	}
}
