package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the packager
)

// debs writes the packages of all architectures.
func (p *project) debs(ctx context.Context, out string) error {
	for _, b := range debBinaries {
		path, err := p.deb(ctx, b, out)
		if err != nil {
			return fmt.Errorf("%s: %w", b.arch, err)
		}
		fmt.Println(path)
	}
	return nil
}

// deb writes the package of a build, and returns its path.
func (p *project) deb(ctx context.Context, b binary, out string) (string, error) {
	dir, err := os.MkdirTemp("", "hipengine-deb-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := p.stage(ctx, b, dir); err != nil {
		return "", err
	}
	if err := compressAll(filepath.Join(dir, "man")); err != nil {
		return "", err
	}
	changelog, err := compress([]byte(p.debianChangelog()))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "changelog.Debian.gz"), changelog, 0o644); err != nil {
		return "", err
	}
	overrides, err := p.overrides(b)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "lintian-overrides"), overrides, 0o644); err != nil {
		return "", err
	}
	if err := p.settle(dir); err != nil {
		return "", err
	}
	packaging := filepath.Join(p.root, "packaging")
	libc := "libc6 (>= 2.34)"
	if b.nogpu { // static
		libc = ""
	}
	text, err := os.ReadFile(filepath.Join(packaging, "deb", "nfpm.yaml"))
	if err != nil {
		return "", err
	}
	settings := os.Expand(string(text), func(name string) string {
		return map[string]string{"ARCH": b.arch, "VERSION": p.version, "STAGE": dir, "LIBC": libc,
			"MAINTAINER": maintainer}[name]
	})
	config, err := nfpm.Parse(strings.NewReader(settings))
	if err != nil {
		return "", err
	}
	info, err := config.Get("deb")
	if err != nil {
		return "", err
	}
	info = nfpm.WithDefaults(info)
	info.MTime = p.epoch
	info.Scripts = nfpm.Scripts{PostInstall: filepath.Join(packaging, "deb", "postinst"),
		PreRemove: filepath.Join(packaging, "deb", "prerm"), PostRemove: filepath.Join(packaging, "deb", "postrm")}
	packager, err := nfpm.Get("deb")
	if err != nil {
		return "", err
	}
	if err := nfpm.Validate(info); err != nil {
		return "", err
	}
	path := filepath.Join(out, packager.ConventionalFileName(info))
	return path, writeFile(path, func(f *os.File) error { return packager.Package(info, f) })
}

// overrides returns what lintian should accept in the package of a build.
func (p *project) overrides(b binary) ([]byte, error) {
	common := filepath.Join(p.root, "packaging", "deb", "lintian-overrides")
	text, err := os.ReadFile(common)
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile(common + "." + b.arch)
	return append(text, own...), err
}

// writeFile writes a file by way of a temporary one, so that a file of the name is complete.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // unless it was renamed
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
