package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// cyclonedx lists what a binary is made of.
const cyclonedx = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

// distBinaries are the builds that archives hold.
var distBinaries = []binary{{arch: "amd64"}, {arch: "amd64", nogpu: true}, {arch: "arm64", nogpu: true}}

// sumsFile lists the files of a folder with their hashes.
const sumsFile = "SHA256SUMS"

// dist writes archives, bills of material, licences, an image layout, and the hashes of all that, and of packages that
// are there.
func (p *project) dist(ctx context.Context, out string) error {
	images := map[string]string{} // static builds by architecture
	for _, b := range distBinaries {
		dir, err := os.MkdirTemp("", "hipengine-dist-")
		if err != nil {
			return err
		}
		p.temporary = append(p.temporary, dir)
		if err := p.stage(ctx, b, dir); err != nil {
			return err
		}
		base := filepath.Join(out, "hipengine-"+p.version+"-linux-"+b.name())
		if err := p.archive(dir, base+".tar.zst"); err != nil {
			return err
		}
		if err := p.materials(ctx, filepath.Join(dir, "hipengine"), base+".cdx.json"); err != nil {
			return err
		}
		licences, err := os.ReadFile(filepath.Join(dir, "THIRD-PARTY-LICENSES"))
		if err != nil {
			return err
		}
		if err := writeFile(base+".licenses.txt",
			func(f *os.File) error { _, err := f.Write(licences); return err }); err != nil {
			return err
		}
		if b.nogpu {
			images[b.arch] = filepath.Join(dir, "hipengine")
		}
		fmt.Println(base + ".tar.zst")
	}
	image := filepath.Join(out, "hipengine-"+p.version+"-oci.tar")
	if err := p.image(images, image); err != nil {
		return err
	}
	fmt.Println(image)
	return writeSums(out)
}

// archive packs what a folder has for users who install by hand.
func (p *project) archive(dir, file string) error {
	for from, to := range map[string]string{
		"completion.bash": "completions/hipengine.bash", "completion.zsh": "completions/_hipengine",
		"completion.fish":   "completions/hipengine.fish",
		"hipengine.service": "systemd/hipengine.service", "hipengine.sysusers": "systemd/hipengine.sysusers",
	} {
		target := filepath.Join(dir, filepath.FromSlash(to))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(dir, from), target); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(dir, "copyright")); err != nil { // of Debian
		return err
	}
	return writeFile(file, func(f *os.File) error {
		z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		if err := writeTar(z, os.DirFS(dir), strings.TrimSuffix(filepath.Base(file), ".tar.zst"),
			p.epoch); err != nil {
			return err
		}
		return z.Close()
	})
}

// writeTar writes the files of a folder below a name, in the order of their names, owned by root. A file that can be
// executed stays so.
func writeTar(w io.Writer, files fs.FS, below string, when time.Time) error {
	t := tar.NewWriter(w)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		h := &tar.Header{Name: path.Join(below, name), ModTime: when, Format: tar.FormatPAX}
		if h.Name == "." {
			return nil
		}
		if d.IsDir() {
			h.Typeflag, h.Mode, h.Name = tar.TypeDir, 0o755, h.Name+"/"
			return t.WriteHeader(h)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no regular file", name)
		}
		h.Typeflag, h.Mode, h.Size = tar.TypeReg, 0o644, info.Size()
		if info.Mode()&0o100 != 0 {
			h.Mode = 0o755
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		f, err := files.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(t, f)
		return err
	})
	return errors.Join(err, t.Close())
}

// materials writes what a binary is made of, in the form of CycloneDX.
func (p *project) materials(ctx context.Context, program, file string) error {
	abs, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	_, err = p.command(ctx, []string{"GOFLAGS="}, "go", "run", cyclonedx, "bin", "-json", "-licenses", "-std",
		"-noserial", "-notimestamp",
		"-version", p.version, "-output", abs, program)
	return err
}

// writeSums writes the hashes of the files of a folder, as sha256sum checks them.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var sums []string
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name() == sumsFile {
			continue
		}
		sum, err := hashFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		sums = append(sums, fmt.Sprintf("%s  %s\n", sum, e.Name()))
	}
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return writeFile(filepath.Join(dir, sumsFile), func(f *os.File) error {
		_, err := f.WriteString(strings.Join(sums, ""))
		return err
	})
}

func hashFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
