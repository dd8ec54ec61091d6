package codeobj

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// EnvDir names the environment variable that points to a folder of objects, DIR/TARGET/OBJECT.co, which then
// replace the linked ones.
const EnvDir = "HIPENGINE_CODEOBJ"

// ErrNone is wrapped by the error for a target or object that is not there.
var ErrNone = errors.New("no such code object")

// set is what one owner registered for one target.
type set struct {
	target, owner string
	files         fs.FS
	names         []string // of the objects, sorted, without extension
}

func newSet(target, owner string, files fs.FS) (set, error) {
	names, err := fs.Glob(files, "*"+Ext(target))
	if err != nil {
		return set{}, fmt.Errorf("codeobj: objects of %s for %s: %w", owner, target, err)
	}
	for i, n := range names {
		names[i] = strings.TrimSuffix(n, Ext(target))
	}
	slices.Sort(names)
	return set{target, owner, files, names}, nil
}

var sets []set

// Register adds the objects that owner, a module by its path, has for a target: files OBJECT.co for AMD targets
// ("gfx1100"), OBJECT.ptx for NVIDIA ones ("sm_90"). The target may be one for which others have registered objects:
// devices find those of all owners. Launches name objects without an owner, so a name belongs to one owner on all
// targets. Packages call Register from init; it panics if owner registers a target twice or a name that is another's,
// and if objects has no files of the target's kind.
func Register(target, owner string, objects fs.FS) {
	if err := register(target, owner, objects); err != nil {
		panic(err.Error())
	}
}

// RegisterZip is Register for objects in a zip file; it panics if data is none.
func RegisterZip(target, owner string, data []byte) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		panic(fmt.Sprintf("codeobj: objects of %s for %s: %v", owner, target, err))
	}
	Register(target, owner, r)
}

// RegisterDeltas is RegisterZip for deltas: files named as objects, of which Patch makes the objects from those of the
// same names that owner registered for the target base, or from nothing where it has none. It panics if owner
// registered none for base.
func RegisterDeltas(target, owner, base string, data []byte) {
	i := slices.IndexFunc(sets, func(s set) bool { return s.target == base && s.owner == owner })
	if i < 0 {
		panic(fmt.Sprintf("codeobj: %s has deltas for %s, but no objects for %s", owner, target, base))
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		panic(fmt.Sprintf("codeobj: deltas of %s for %s: %v", owner, target, err))
	}
	Register(target, owner, patched{r, sets[i].files})
}

// patched is a folder of objects that are kept as deltas.
type patched struct {
	fs.FS // the deltas, under the names of the objects
	base  fs.FS
}

// ReadFile returns an object.
func (p patched) ReadFile(name string) ([]byte, error) {
	delta, err := fs.ReadFile(p.FS, name)
	if err != nil {
		return nil, err
	}
	base, err := fs.ReadFile(p.base, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return Patch(base, delta)
}

func register(target, owner string, objects fs.FS) error {
	if target == "" || owner == "" {
		return fmt.Errorf("codeobj: objects of owner %q for target %q: both need a name", owner, target)
	}
	n, err := newSet(target, owner, objects)
	if err != nil {
		return err
	}
	if len(n.names) == 0 {
		return fmt.Errorf("codeobj: %s has no *%s among its objects for %s", owner, Ext(target), target)
	}
	for _, s := range sets {
		if s.owner == owner && s.target == target {
			return fmt.Errorf("codeobj: %s registers objects for %s twice", owner, target)
		}
		for _, name := range n.names {
			if s.owner != owner && slices.Contains(s.names, name) {
				return fmt.Errorf("codeobj: %s registers object %s for %s, but that name is taken by %s: choose another",
					owner, name, target, s.owner)
			}
		}
	}
	sets = append(sets, n)
	return nil
}

// Targets returns the targets that somebody registered objects for, in alphabetical order.
func Targets() []string {
	names := map[string]bool{}
	for _, s := range sets {
		names[s.target] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Set is the objects to use on a device, of all owners.
type Set struct {
	Target  string         // what they were compiled for
	objects map[string]set // by name: where each comes from
}

// For returns the objects to use on a device of the given target. Of each owner they are those for the same target;
// for NVIDIA, whose objects are compiled on the device, those for the highest capability that the device has. Target
// of the result is then the highest of these. dir, if not empty, is a folder that replaces all registered objects.
// The error wraps ErrNone.
func For(device, dir string) (Set, error) {
	have := sets
	if dir != "" {
		var err error
		if have, err = setsIn(dir); err != nil {
			return Set{}, err
		}
	}
	best := map[string]set{} // by owner
	top := set{}
	targets := map[string]bool{}
	for _, s := range have {
		targets[s.target] = true
		if s.suits(device) && (best[s.owner].target == "" || capability(s.target) > capability(best[s.owner].target)) {
			best[s.owner] = s
			if top.target == "" || capability(s.target) > capability(top.target) {
				top = s
			}
		}
	}
	if top.target == "" {
		return Set{}, fmt.Errorf("codeobj: no kernels for %s, only for %s: %w",
			device, strings.Join(slices.Sorted(maps.Keys(targets)), ", "), ErrNone)
	}
	u := Set{top.target, map[string]set{}}
	for _, s := range best {
		for _, name := range s.names {
			u.objects[name] = s
		}
	}
	return u, nil
}

// suits reports whether a device of the given target runs the objects of s.
func (s set) suits(device string) bool {
	c := capability(s.target)
	return s.target == device || c > 0 && c <= capability(device)
}

// setsIn returns the objects in DIR/TARGET/, which have the folder as their owner.
func setsIn(dir string) ([]set, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("codeobj: %s: %w", EnvDir, err)
	}
	var found []set
	for _, e := range entries {
		s, err := newSet(e.Name(), dir, os.DirFS(filepath.Join(dir, e.Name())))
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, nil
}

// capability returns 90 for "sm_90", 0 for anything else.
func capability(target string) int {
	s, ok := strings.CutPrefix(target, "sm_")
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// Ext returns the file extension of a target's objects.
func Ext(target string) string {
	if capability(target) > 0 {
		return ".ptx"
	}
	return ".co"
}

// Names returns the objects in alphabetical order, without extension.
func (s Set) Names() []string { return slices.Sorted(maps.Keys(s.objects)) }

// Read returns the contents of an object. The error wraps ErrNone if there is no such object.
func (s Set) Read(object string) ([]byte, error) {
	o, ok := s.objects[object]
	if !ok {
		return nil, fmt.Errorf("codeobj: %s for %s: %w", object, s.Target, ErrNone)
	}
	b, err := fs.ReadFile(o.files, object+Ext(o.target))
	if err != nil {
		return nil, fmt.Errorf("codeobj: %s for %s, of %s: %w", object, o.target, o.owner, err)
	}
	return b, nil
}
