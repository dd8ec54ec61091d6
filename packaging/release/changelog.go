package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// change is what the changelog says of a version.
type change struct {
	version string // year.month.patch
	date    time.Time
	items   []string
}

var (
	versionLine = regexp.MustCompile(`^## (20\d\d)\.(1[0-2]|[1-9])\.(0|[1-9]\d*) \((\d{4}-\d\d-\d\d)\)$`)
	itemLine    = regexp.MustCompile(`^\* (\S.*)$`)
	moreLine    = regexp.MustCompile(`^  (\S.*)$`)
)

// parseChangelog reads versions, newest first: headings such as "## 2026.11.0 (2026-11-29)" with lists below them.
func parseChangelog(text string) ([]change, error) {
	var changes []change
	for i, line := range strings.Split(text, "\n") {
		m := versionLine.FindStringSubmatch(line)
		switch {
		case m != nil:
			date, err := time.Parse(time.DateOnly, m[4])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			changes = append(changes, change{version: strings.Join(m[1:4], "."), date: date})
		case strings.HasPrefix(line, "#") && i > 0:
			return nil, fmt.Errorf("line %d: %q is no version such as \"## 2026.11.0 (2026-11-29)\"", i+1, line)
		case len(changes) == 0 || line == "":
		default:
			c := &changes[len(changes)-1]
			if m := itemLine.FindStringSubmatch(line); m != nil {
				c.items = append(c.items, m[1])
			} else if m := moreLine.FindStringSubmatch(line); m != nil && len(c.items) > 0 {
				c.items[len(c.items)-1] += " " + m[1]
			} else {
				return nil, fmt.Errorf("line %d: %q is neither an item of a list nor part of one", i+1, line)
			}
		}
	}
	if len(changes) == 0 {
		return nil, errors.New("there is no version")
	}
	for i, c := range changes {
		if len(c.items) == 0 {
			return nil, fmt.Errorf("version %s has no changes", c.version)
		}
		if i > 0 && c.date.After(changes[i-1].date) {
			return nil, fmt.Errorf("version %s is younger than the one above it", c.version)
		}
	}
	return changes, nil
}

// debianChangelog returns the changelog in Debian's form. The newest entry is that of the package, whose version may
// be one before that of the changelog.
func (p *project) debianChangelog() string {
	var b strings.Builder
	for i, c := range p.changes {
		version, date := c.version, c.date
		if i == 0 {
			version, date = p.version, p.epoch
		}
		fmt.Fprintf(&b, "hipengine (%s-1) unstable; urgency=medium\n\n", version)
		for _, item := range c.items {
			for j, line := range wrap(item, 74) {
				if j == 0 {
					line = "* " + line
				} else {
					line = "  " + line
				}
				fmt.Fprintf(&b, "  %s\n", line)
			}
		}
		fmt.Fprintf(&b, "\n -- %s  %s\n\n", maintainer, date.Format(time.RFC1123Z))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

const maintainer = "hipengine maintainers <hipengine@users.noreply.github.com>"

// wrap breaks a text into lines of at most width bytes, unless a word is longer.
func wrap(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
