package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// project is the commit that is released.
type project struct {
	root    string
	version string // of the packages: that of the changelog, or one before it
	commit  string
	epoch   time.Time // stands for the time of all that is made
	changes []change

	hostFile  string   // see host
	temporary []string // folders that close removes
}

// openProject reads the changelog and asks git for the commit. The version is the newest of the changelog if the
// commit has it as a tag; other commits are made on the way to it, and get versions that sort before it.
func openProject(ctx context.Context, root string) (*project, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	p := &project{root: root}
	text, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		return nil, err
	}
	if p.changes, err = parseChangelog(string(text)); err != nil {
		return nil, fmt.Errorf("CHANGELOG.md: %w", err)
	}
	if p.commit, err = p.git(ctx, "rev-parse", "HEAD"); err != nil {
		return nil, err
	}
	when, err := p.git(ctx, "log", "-1", "--format=%ct")
	if err != nil {
		return nil, err
	}
	if e := os.Getenv("SOURCE_DATE_EPOCH"); e != "" {
		when = e
	}
	seconds, err := strconv.ParseInt(when, 10, 64)
	if err != nil || seconds < 0 {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH %q is no number of seconds", when)
	}
	p.epoch = time.Unix(seconds, 0).UTC()
	tags, err := p.git(ctx, "tag", "--points-at", "HEAD")
	if err != nil {
		return nil, err
	}
	dirty, err := p.git(ctx, "status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return nil, err
	}
	p.version = versionOf(p.changes[0].version, strings.Fields(tags), p.commit, p.epoch, dirty != "")
	return p, nil
}

// versionOf returns the version of a commit on the way to next. "~" sorts before the end of a version, and "+" behind
// it.
func versionOf(next string, tags []string, commit string, epoch time.Time, dirty bool) string {
	for _, t := range tags {
		if t == next && !dirty {
			return next
		}
	}
	v := fmt.Sprintf("%s~git%s.%.7s", next, epoch.Format("20060102150405"), commit)
	if dirty {
		v += "+changed"
	}
	return v
}

func (p *project) git(ctx context.Context, args ...string) (string, error) {
	out, err := p.command(ctx, nil, "git", args...)
	return strings.TrimSpace(string(out)), err
}

// command runs a program in the root and returns what it prints. Its error has what it says on standard error.
func (p *project) command(ctx context.Context, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = p.root
	cmd.Env = append(os.Environ(), env...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err),
			errors.New(strings.TrimSpace(errOut.String())))
	}
	return out, nil
}
