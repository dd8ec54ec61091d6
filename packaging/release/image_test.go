package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// testProject is a release of nothing in particular.
func testProject() *project {
	return &project{version: "2026.11.0", commit: "abc", epoch: time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC)}
}

// unpack writes the files of a tar archive below a folder, and returns their names in order.
func unpack(t *testing.T, r io.Reader, dir string) []string {
	t.Helper()
	var names []string
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		to := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(to, 0o755)
		} else {
			var data []byte
			if data, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(to, data, os.FileMode(h.Mode))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestImage reads a layout as a container runtime would: its index has an image for each architecture, all hashes are
// right, and the program is in it for a user that is not root. Two runs make the same bytes.
func TestImage(t *testing.T) {
	dir := t.TempDir()
	programs := map[string]string{}
	for _, arch := range []string{"amd64", "arm64"} {
		programs[arch] = filepath.Join(dir, arch)
		if err := os.WriteFile(programs[arch], []byte("program for "+arch), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var files [2][]byte
	for i := range files {
		file := filepath.Join(dir, "image.tar")
		if err := testProject().image(programs, file); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two runs make other bytes")
	}
	at := filepath.Join(dir, "layout")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if names := unpack(t, bytes.NewReader(files[0]), at); !slices.Contains(names, "oci-layout") ||
		!slices.Contains(names, "index.json") {
		t.Fatalf("files %v", names)
	}
	whole, err := layout.ImageIndexFromPath(at)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(whole); err != nil {
		t.Error(err)
	}
	top, err := whole.IndexManifest()
	if err != nil || len(top.Manifests) != 1 ||
		top.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "2026.11.0" {
		t.Fatalf("index %+v, %v", top, err)
	}
	index, err := whole.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != len(programs) {
		t.Fatalf("index %+v, %v", manifest, err)
	}
	for _, m := range manifest.Manifests {
		arch := m.Platform.Architecture
		img, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != arch || config.Config.User != imageUser || config.Config.Healthcheck == nil {
			t.Errorf("%s: configuration %+v", arch, config)
		}
		layers, err := img.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%d layers, %v", len(layers), err)
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		below := t.TempDir()
		if names := unpack(t, content, below); len(names) != 1 {
			t.Errorf("%s: files %v", arch, names)
		}
		if got, err := os.ReadFile(filepath.Join(below, config.Config.Entrypoint[0])); string(got) != "program for "+
			arch {
			t.Errorf("%s: the entry point is %q, %v", arch, got, err)
		}
	}
}
