package hipengine

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models/hub"
)

// OpenRemote opens a model of a hub as [OpenFile] does, without fetching more of it than its headers and, of
// safetensors, its small files. It is for looking: weights that are read are fetched, or zero. Errors are those of the
// client and of OpenFile. The caller closes the file, which cannot be read once ctx is done.
func OpenRemote(ctx context.Context, client *hub.Client, r hub.Ref, o Options) (*File, error) {
	files, err := client.Remote(ctx, r)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(files[0].Path, ".gguf") {
		return remoteFolder(files, o)
	}
	var parts []gguf.PartReader
	for _, f := range files {
		parts = append(parts, gguf.PartReader{Name: r.Repo() + "/" + f.Path, R: f, Size: f.Size})
	}
	g, err := gguf.NewParts(parts)
	if err != nil {
		return nil, err
	}
	return fromGGUF(g, files[0].Path, o)
}

// remoteFolder opens a folder in which files of weights have their headers, their length and holes.
func remoteFolder(files []*hub.RemoteFile, o Options) (_ *File, err error) {
	dir, err := os.MkdirTemp("", "hipengine-remote-")
	if err != nil {
		return nil, fmt.Errorf("hipengine: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	for _, f := range files {
		if err := skeleton(f, filepath.Join(dir, filepath.Base(f.Path))); err != nil {
			return nil, err
		}
	}
	f, err := fromFolder(dir, o, 0)
	if err != nil {
		return nil, err
	}
	closeFolder := f.close
	f.close = func() error {
		defer os.RemoveAll(dir)
		return closeFolder()
	}
	return f, nil
}

// maxSmall bounds files that are fetched as a whole to be looked at.
const maxSmall = 256 << 20

// skeleton writes a small file, or of safetensors the header.
func skeleton(f *hub.RemoteFile, path string) error {
	n := f.Size
	if strings.HasSuffix(f.Path, ".safetensors") {
		var length [8]byte
		if _, err := f.ReadAt(length[:], 0); err != nil {
			return fmt.Errorf("hipengine: %s: %w", f.Path, err)
		}
		n = int64(min(binary.LittleEndian.Uint64(length[:]), maxSmall)) + 8
	}
	if n = min(n, f.Size); n > maxSmall {
		return fmt.Errorf("hipengine: %s has %d bytes, and is no weights: at most %d are read", f.Path, n, maxSmall)
	}
	w, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("hipengine: %w", err)
	}
	_, err = io.Copy(w, io.NewSectionReader(f, 0, n))
	if err == nil {
		err = w.Truncate(f.Size)
	}
	if e := w.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("hipengine: %s: %w", f.Path, err)
	}
	return nil
}
