package testfiles

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Archives are zip files. Files of numbers are stored as planes: every n-th byte from the first, then from the second,
// and so on, each an entry of its own. Bytes of exponents, which are alike, stand together then, and pack to less.

// stride returns the number of planes of a file.
func stride(name string) int {
	switch {
	case strings.HasSuffix(name, "reference.safetensors"), strings.HasSuffix(name, ".f32"):
		return 4 // float32
	case strings.HasSuffix(name, ".safetensors"):
		return 2 // bfloat16
	}
	return 1
}

// Pack returns an archive of files. The same files give the same bytes.
func Pack(files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	w.RegisterCompressor(zip.Deflate,
		func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b, n := files[name], stride(name)
		for i := range n {
			e, err := w.Create(entryName(name, i, n))
			if err != nil {
				return nil, err
			}
			var plane []byte
			for j := i; j < len(b); j += n {
				plane = append(plane, b[j])
			}
			if _, err := e.Write(plane); err != nil {
				return nil, err
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Unpack writes the files of an archive to the folder dir, which it makes.
func Unpack(dir, archive string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("testfiles: %s: %w", archive, err)
	}
	defer r.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := 0; i < len(r.File); {
		name, _, _ := strings.Cut(r.File[i].Name, planeMark)
		n := stride(name)
		if !filepath.IsLocal(name) || i+n > len(r.File) {
			return fmt.Errorf("testfiles: %s: bad entry %q", archive, r.File[i].Name)
		}
		var size uint64
		for _, f := range r.File[i : i+n] {
			size += f.UncompressedSize64
		}
		b := make([]byte, size)
		for k, f := range r.File[i : i+n] {
			if f.Name != entryName(name, k, n) {
				return fmt.Errorf("testfiles: %s: entry %q, want plane %d of %s", archive, f.Name, k, name)
			}
			plane, err := contents(f)
			if err != nil {
				return fmt.Errorf("testfiles: %s: %s: %w", archive, f.Name, err)
			}
			for j, x := range plane {
				b[k+j*n] = x
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
		i += n
	}
	return nil
}

const planeMark = "#"

func entryName(name string, plane, of int) string {
	if of == 1 {
		return name
	}
	return fmt.Sprintf("%s%s%d", name, planeMark, plane)
}

func contents(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
