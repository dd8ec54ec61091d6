package hub

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Scheme begins the names of models on a hub.
const Scheme = "hf:"

// Ref names a model on a hub: hf:OWNER/NAME, with @REVISION behind it, and with :QUANT or /FILE behind that.
type Ref struct {
	Owner, Name string
	Revision    string // a branch, a tag or a commit; empty is [DefaultRevision]
	Quant       string // the weight type of a GGUF file, as its name says it: Q4_K_M
	File        string // in place of Quant, the path of a file in the repository
}

// DefaultRevision is what a hub calls the newest state of a repository.
const DefaultRevision = "main"

var (
	nameForm     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)
	revisionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$`)
	quantForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
)

// IsRef reports whether name means a model on a hub, well formed or not.
func IsRef(name string) bool { return strings.HasPrefix(name, Scheme) }

// ParseRef reads a name: hf:OWNER/NAME, hf:OWNER/NAME:Q4_K_M, hf:OWNER/NAME/FOLDER/FILE.gguf, each with @REVISION
// after NAME. The error says which part is wrong, and what a name looks like.
func ParseRef(name string) (r Ref, err error) {
	bad := func(format string, args ...any) (Ref, error) {
		return Ref{}, fmt.Errorf("hub: %q: %s: want hf:OWNER/NAME[@REVISION][:QUANT or /FILE]", name,
			fmt.Sprintf(format, args...))
	}
	rest, ok := strings.CutPrefix(name, Scheme)
	if !ok {
		return bad("does not begin with %s", Scheme)
	}
	r.Owner, rest, ok = strings.Cut(rest, "/")
	if !ok {
		return bad("no NAME")
	}
	end := strings.IndexAny(rest, "/:@")
	if end < 0 {
		end = len(rest)
	}
	r.Name, rest = rest[:end], rest[end:]
	if revision, ok := strings.CutPrefix(rest, "@"); ok {
		if end = strings.IndexAny(revision, "/:"); end < 0 {
			end = len(revision)
		}
		r.Revision, rest = revision[:end], revision[end:]
		if !revisionForm.MatchString(r.Revision) || strings.Contains(r.Revision, "..") {
			return bad("revision %q", r.Revision)
		}
	}
	for _, part := range []string{r.Owner, r.Name} {
		if !nameForm.MatchString(part) || strings.Contains(part, "--") || strings.Contains(part, "..") {
			return bad("%q is no name", part)
		}
	}
	switch {
	case rest == "":
	case rest[0] == ':':
		if r.Quant = rest[1:]; !quantForm.MatchString(r.Quant) {
			return bad("quantization %q", r.Quant)
		}
	default:
		if r.File = rest[1:]; !goodPath(r.File) {
			return bad("file %q", r.File)
		}
	}
	return r, nil
}

// goodPath reports whether a path from outside stays where it is joined to.
func goodPath(p string) bool {
	return p != "" && p == path.Clean(p) && !path.IsAbs(p) && p != ".." && !strings.HasPrefix(p, "../") && p != "." &&
		!strings.ContainsAny(p, "\\:\x00\n")
}

// String is the inverse of [ParseRef].
func (r Ref) String() string {
	s := Scheme + r.Repo()
	if r.Revision != "" {
		s += "@" + r.Revision
	}
	switch {
	case r.File != "":
		s += "/" + r.File
	case r.Quant != "":
		s += ":" + r.Quant
	}
	return s
}

// Repo returns OWNER/NAME.
func (r Ref) Repo() string { return r.Owner + "/" + r.Name }

// revision returns Revision, or the default.
func (r Ref) revision() string {
	if r.Revision == "" {
		return DefaultRevision
	}
	return r.Revision
}
