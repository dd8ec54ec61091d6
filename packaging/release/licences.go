package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// part is a module that the command is linked with, or Go's standard library.
type part struct {
	path, version string
	licence       string   // Debian's short name
	owners        []string // of the copyright
	text          string   // of its licence files
	other         string   // what of that is not the Apache License, which Debian has a copy of
	notice        string   // text that must go with it
}

// parts lists what a build is linked with. A module whose licence is not found is an error: it could not be passed on.
func (p *project) parts(ctx context.Context, b binary) ([]part, error) {
	out, err := p.command(ctx, b.env(), "go", "list", "-deps", b.tags(), "-json=Module", "./cmd/hipengine")
	if err != nil {
		return nil, err
	}
	goroot, err := p.command(ctx, nil, "go", "env", "GOROOT", "GOVERSION")
	if err != nil {
		return nil, err
	}
	words := strings.Fields(string(goroot))
	if len(words) != 2 {
		return nil, fmt.Errorf("go env says %q", goroot)
	}
	std, err := readPart("Go standard library", strings.TrimPrefix(words[1], "go"), words[0])
	if err != nil {
		return nil, err
	}
	parts := []part{std}
	seen := map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct {
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		m := pkg.Module
		if m == nil || m.Main || seen[m.Path] {
			continue
		}
		seen[m.Path] = true
		part, err := readPart(m.Path, m.Version, m.Dir)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	slices.SortFunc(parts[1:], func(a, b part) int { return strings.Compare(a.path, b.path) })
	return parts, nil
}

var (
	licenceFile   = regexp.MustCompile(`(?i)^(licen[cs]e|copying)(\.(txt|md))?$`)
	noticeFile    = regexp.MustCompile(`(?i)^notice(\.(txt|md))?$`)
	copyrightLine = regexp.MustCompile(`(?mi)^\s*Copyright (?:(?:\(c\) |© )(.+)|(\d{4}.*|The .*))$`)
	debianName    = map[string]string{"MIT": "Expat", "BSD-2-Clause": "BSD-2-clause", "BSD-3-Clause": "BSD-3-clause",
		"Apache-2.0": "Apache-2.0"}
)

// readPart reads the licence of a module in its folder.
func readPart(path, version, dir string) (part, error) {
	m := part{path: path, version: version}
	files, err := os.ReadDir(dir)
	if err != nil {
		return m, err
	}
	for _, f := range files {
		licence, notice := licenceFile.MatchString(f.Name()), noticeFile.MatchString(f.Name())
		if !licence && !notice {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return m, err
		}
		if notice {
			m.notice += string(text)
			continue
		}
		m.text += string(text)
	}
	found := licensecheck.Scan([]byte(m.text))
	var names []string
	rest := 0
	for _, match := range found.Match {
		name, ok := debianName[match.ID]
		if !ok {
			return m, fmt.Errorf("%s: licence %s is new to us: see whether it can be passed on", path, match.ID)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if name == "Apache-2.0" {
			m.other += m.text[rest:match.Start]
			rest = match.End
		}
	}
	m.other += m.text[rest:]
	if len(names) == 0 || found.Percent < 75 {
		return m, fmt.Errorf("%s: no licence is recognized in %s", path, dir)
	}
	m.licence = strings.Join(names, " and ")
	for _, c := range copyrightLine.FindAllStringSubmatch(m.text+"\n"+m.notice, -1) {
		if owner := strings.TrimSpace(c[1] + c[2]); !slices.Contains(m.owners, owner) {
			m.owners = append(m.owners, owner)
		}
	}
	if len(m.owners) == 0 {
		m.owners = []string{"the authors of " + path}
	}
	return m, nil
}

// licenceList returns the licences of all parts as one text.
func licenceList(parts []part) string {
	var b strings.Builder
	b.WriteString("hipengine is under the Apache License 2.0. The program is linked with the following, under their own licences.\n")
	for _, m := range parts {
		line := strings.Repeat("=", 80)
		fmt.Fprintf(&b, "\n%s\n%s %s (%s)\n%s\n\n%s", line, m.path, m.version, m.licence, line, m.text)
		if m.notice != "" {
			fmt.Fprintf(&b, "\nNotice:\n\n%s", m.notice)
		}
	}
	return b.String()
}

// debianCopyright returns the licences in the form that Debian's packages state them.
func debianCopyright(parts []part) string {
	var b strings.Builder
	b.WriteString(`Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: hipengine
Source: https://github.com/hipengine/hipengine
Comment: The program is one file, linked with the modules that are named here by their paths.

Files: *
Copyright: hipengine authors
License: Apache-2.0
`)
	for _, m := range parts {
		files := "vendor/" + m.path + "/*"
		if !strings.Contains(m.path, "/") {
			files = "vendor/std/*"
		}
		fmt.Fprintf(&b, "\nFiles: %s\nCopyright: %s\n", files, strings.Join(m.owners, "\n "))
		if m.licence == "Apache-2.0" {
			b.WriteString("License: Apache-2.0\n")
			if m.notice != "" {
				b.WriteString("Comment: Its notice:\n" + indent(m.notice))
			}
			continue
		}
		b.WriteString("License: " + m.licence + "\n" + indent(m.other))
	}
	b.WriteString(`
License: Apache-2.0
 On Debian systems, the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
`)
	return b.String()
}
