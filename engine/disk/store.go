package disk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hipengine/hipengine/engine/prefix"
)

// ErrInUse says that another process uses the folder.
var ErrInUse = errors.New("disk: the folder of states is in use by another process")

// State is what a file keeps.
type State interface {
	Bytes() int64 // that WriteTo writes
	WriteTo(w io.Writer) (int64, error)
}

// Store is a folder of states, within a budget. Its methods may be called from any goroutine.
type Store struct {
	dir      string
	identity [sha256.Size]byte
	warn     func(message string)
	lock     *os.File

	mu    sync.Mutex
	cache *prefix.Cache[*file]
	gone  []string // files that left the cache and are to be removed

	queue   chan write
	writing sync.WaitGroup
}

// file is a state in the cache.
type file struct {
	name  string
	bytes int64
}

// write is a state that is to become a file.
type write struct {
	header
	state State
}

// The names of files: random, since what they hold is in their headers.
const (
	suffix    = ".state"
	temporary = ".tmp"
	lockName  = "lock"
)

// queued is how many states may wait to be written: they are in memory meanwhile. More are not kept.
const queued = 4

// Open opens the folder of an identity below dir, which it makes if need be, for files of budget bytes in all. What
// is no whole state of this identity is removed; warn is told, one sentence at a time, and must be safe to be called
// from any goroutine. The error wraps ErrInUse if another process has the folder. The caller closes the store.
func Open(dir, identity string, budget int64, warn func(message string)) (_ *Store, err error) {
	s := &Store{identity: sha256.Sum256([]byte(identity)), warn: warn, queue: make(chan write, queued)}
	s.dir = filepath.Join(dir, hex.EncodeToString(s.identity[:8]))
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	if s.lock, err = lock(filepath.Join(s.dir, lockName)); err != nil {
		return nil, err
	}
	s.cache = prefix.New(budget, func(f *file) { s.gone = append(s.gone, f.name) })
	if err := s.scan(); err != nil {
		s.lock.Close()
		return nil, fmt.Errorf("disk: %w", err)
	}
	s.writing.Go(s.writer)
	return s, nil
}

// scan finds the files of the folder, the youngest of which stay if they are too many.
func (s *Store) scan() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	type found struct {
		header
		file
		at time.Time
	}
	var all []found
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		switch {
		case strings.HasSuffix(e.Name(), temporary): // of a process that ended while it wrote
			s.remove(path)
			continue
		case !strings.HasSuffix(e.Name(), suffix):
			continue
		}
		h, info, err := s.readFile(path)
		if err != nil {
			s.warn(fmt.Sprintf("%s is not used and is removed: %v", path, err))
			s.remove(path)
			continue
		}
		all = append(all, found{h, file{e.Name(), info.Size()}, info.ModTime()})
	}
	slices.SortFunc(all, func(a, b found) int { return a.at.Compare(b.at) })
	for _, f := range all {
		s.enter(f.header, &file{f.name, f.bytes})
	}
	return nil
}

// readFile reads the header of a file and compares its size with what that says.
func (s *Store) readFile(path string) (header, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return header{}, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return header{}, nil, err
	}
	h, err := readHeader(bufio.NewReader(f), sha256.New())
	switch {
	case err != nil:
		return h, nil, err
	case h.identity != s.identity:
		return h, nil, fmt.Errorf("%w: its state is of another model or device", errDamaged)
	case h.size() != info.Size():
		return h, nil, fmt.Errorf("%w: it has %d bytes, and its header says %d", errDamaged, info.Size(), h.size())
	}
	return h, info, nil
}

// enter puts a file into the cache, and removes those that must make room.
func (s *Store) enter(h header, f *file) {
	s.mu.Lock()
	if !s.cache.Add(string(h.space[:]), h.ids, h.floor, f.bytes, f) {
		s.gone = append(s.gone, f.name)
	}
	gone := s.gone
	s.gone = nil
	s.mu.Unlock()
	for _, name := range gone {
		s.remove(filepath.Join(s.dir, name))
	}
}

func (s *Store) remove(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.warn(fmt.Sprintf("a file of states cannot be removed: %v", err))
	}
}

// spaceOf hides the name of a space, which may be derived from a key.
func spaceOf(space string) [sha256.Size]byte {
	return sha256.Sum256([]byte("hipengine space\x00" + space))
}

// Find returns how many of the first ids need not be read with the best state that is kept; 0 without one. Like Load
// it may be overtaken by writes that make room.
func (s *Store) Find(space string, ids []int32) int {
	key := spaceOf(space)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, n, _ := s.cache.Find(string(key[:]), ids)
	return n
}

// Load reads the state of which the largest number n of first ids need not be read: read gets its bytes and how many
// of its own ids led to it, and must read all of them. What read made is to be used only if Load then returns n > 0:
// the checksum is known at the end. It blocks. A damaged file is removed, and 0 returned.
func (s *Store) Load(space string, ids []int32, read func(r io.Reader, bytes int64) error) (n int) {
	key := spaceOf(space)
	s.mu.Lock()
	e, n, _ := s.cache.Find(string(key[:]), ids)
	if e == nil {
		s.mu.Unlock()
		return 0
	}
	s.cache.Use(e)
	name := e.State.name
	s.mu.Unlock()
	path := filepath.Join(s.dir, name)
	err := s.load(path, key, read)
	if err == nil {
		now := time.Now()
		if err := os.Chtimes(path, now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.warn(fmt.Sprintf("the time of a file of states cannot be set: %v", err))
		}
		return n
	}
	s.mu.Lock()
	// Unless it made room meanwhile.
	if now, _, _ := s.cache.Find(string(key[:]), ids); now != nil && now.State.name == name {
		s.cache.Remove(now)
	}
	gone := s.gone
	s.gone = nil
	s.mu.Unlock()
	if !errors.Is(err, fs.ErrNotExist) {
		s.warn(fmt.Sprintf("%s is not used and is removed: %v", path, err))
	}
	for _, name := range gone {
		s.remove(filepath.Join(s.dir, name))
	}
	return 0
}

// load reads a file.
func (s *Store) load(path string, space [sha256.Size]byte, read func(r io.Reader, bytes int64) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in, sum := bufio.NewReaderSize(f, 1<<20), sha256.New()
	h, err := readHeader(in, sum)
	if err != nil {
		return err
	}
	if h.identity != s.identity || h.space != space {
		return fmt.Errorf("%w: its state is of another model, device or key", errDamaged)
	}
	state := &io.LimitedReader{R: io.TeeReader(in, sum), N: h.state}
	err = read(state, h.state)
	if err == nil && state.N != 0 {
		err = fmt.Errorf("%w: %d bytes of its state are too many", errDamaged, state.N)
	}
	if err != nil {
		return err
	}
	var want [sha256.Size]byte
	if _, err := io.ReadFull(in, want[:]); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	if !bytes.Equal(sum.Sum(nil), want[:]) {
		return fmt.Errorf("%w: its checksum is wrong", errDamaged)
	}
	return nil
}

// Keep writes a state to a file soon: of all ids, from which it can be cut back to floor of them. It does not block;
// the state must not change any more, and is in memory until it is written. It is not kept if too many wait. Close
// must not have been called.
func (s *Store) Keep(space string, ids []int32, floor int, state State) {
	select {
	case s.queue <- s.entry(space, ids, floor, state):
	default:
	}
}

// KeepWait is Keep, but waits for its turn until ctx ends.
func (s *Store) KeepWait(ctx context.Context, space string, ids []int32, floor int, state State) {
	select {
	case s.queue <- s.entry(space, ids, floor, state):
	case <-ctx.Done():
	}
}

func (s *Store) entry(space string, ids []int32, floor int, state State) write {
	return write{header{identity: s.identity, space: spaceOf(space), ids: ids, floor: floor, state: state.Bytes()},
		state}
}

// Covers reports whether a file has the state, or one that can be cut back to it.
func (s *Store) Covers(space string, ids []int32, floor int) bool {
	key := spaceOf(space)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cache.Covers(string(key[:]), ids, floor)
}

// writer writes what is queued, until Close.
func (s *Store) writer() {
	for w := range s.queue {
		if err := s.write(w); err != nil {
			s.warn(fmt.Sprintf("a state was not written: %v", err))
		}
	}
}

// write writes a file whole or not at all.
func (s *Store) write(w write) (err error) {
	name := rand.Text()
	path := filepath.Join(s.dir, name)
	f, err := os.OpenFile(path+temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			s.remove(path + temporary)
		}
	}()
	sum := sha256.New()
	out := bufio.NewWriterSize(f, 1<<20)
	both := io.MultiWriter(out, sum)
	if _, err := both.Write(w.encode()); err != nil {
		return err
	}
	n, err := w.state.WriteTo(both)
	if err != nil {
		return err
	}
	if n != w.header.state {
		return fmt.Errorf("a state of %d bytes wrote %d", w.header.state, n)
	}
	if _, err := out.Write(sum.Sum(nil)); err != nil {
		return err
	}
	if err := errors.Join(out.Flush(), f.Sync()); err != nil {
		return err
	}
	if err := os.Rename(path+temporary, path+suffix); err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return err
	}
	s.enter(w.header, &file{name + suffix, w.size()})
	return nil
}

// syncDir makes names of a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Len returns the number of files and their bytes.
func (s *Store) Len() (files int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cache.Len(), s.cache.Bytes()
}

// Close writes what is queued, and lets go of the folder.
func (s *Store) Close() error {
	close(s.queue)
	s.writing.Wait()
	return s.lock.Close()
}
