package main

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageUser is the user and group of containers: nobody that a host knows.
const imageUser = "65532:65532"

// image writes an OCI image layout, packed with tar: for each architecture an image that holds a static program, and
// nothing else.
func (p *project) image(programs map[string]string, file string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range slices.Sorted(maps.Keys(programs)) {
		program, err := os.ReadFile(programs[arch])
		if err != nil {
			return err
		}
		img, err := p.imageOf(arch, program)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// The layout's own index names one thing, the index of all architectures, and its version.
	whole, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := whole.AppendIndex(index,
		layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": p.version})); err != nil {
		return err
	}
	return writeFile(file, func(f *os.File) error { return writeTar(f, os.DirFS(dir), "", p.epoch) })
}

// imageOf returns the image of a program.
func (p *project) imageOf(arch string, program []byte) (v1.Image, error) {
	var content bytes.Buffer
	t := tar.NewWriter(&content)
	err := t.WriteHeader(&tar.Header{Name: "hipengine", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program)),
		ModTime: p.epoch})
	if err != nil {
		return nil, err
	}
	if _, err := t.Write(program); err != nil {
		return nil, err
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if img, err = mutate.Append(img,
		mutate.Addendum{Layer: layer,
			History: v1.History{Created: v1.Time{Time: p.epoch}, CreatedBy: "release"}}); err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: p.epoch}
	config.Config = v1.Config{
		User: imageUser, Entrypoint: []string{"/hipengine"}, Cmd: []string{"serve"}, WorkingDir: "/",
		// A server that others reach needs a key: it says so unless HIPENGINE_API_KEY is set.
		Env: []string{"HIPENGINE_HOST=0.0.0.0", "XDG_DATA_HOME=/data", "XDG_CACHE_HOME=/cache",
			"XDG_CONFIG_HOME=/config"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		// OCI has no health checks; Docker and Podman know this one.
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/hipengine", "health"}, Interval: 30 * time.Second,
			Timeout:     10 * time.Second,
			StartPeriod: 10 * time.Minute},
		Labels: map[string]string{
			"org.opencontainers.image.title": "hipengine", "org.opencontainers.image.version": p.version,
			"org.opencontainers.image.revision":    p.commit,
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.source":      "https://github.com/hipengine/hipengine",
			"org.opencontainers.image.description": "LLM inference on the CPU; GPUs need the runtime libraries of their makers, which are not in here",
		},
	}
	return mutate.ConfigFile(img, config)
}
