package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// binary is one build of the command.
type binary struct {
	arch  string // GOARCH, which is Debian's name too
	nogpu bool   // fully static, without GPU runtimes
}

// debBinaries are the builds that Debian packages hold. GPU runtimes are found on amd64.
var debBinaries = []binary{{arch: "amd64"}, {arch: "arm64", nogpu: true}}

// env are the variables of the build, whatever those of the caller are.
func (b binary) env() []string {
	return []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + b.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=",
		"GOEXPERIMENT="}
}

func (b binary) tags() string {
	if b.nogpu {
		return "-tags=nogpu"
	}
	return "-tags="
}

// name tells builds apart in names of files.
func (b binary) name() string {
	if b.nogpu {
		return b.arch + "-cpu"
	}
	return b.arch
}

// build writes the command to path.
func (p *project) build(ctx context.Context, b binary, path string) error {
	_, err := p.command(ctx, b.env(), "go", "build", "-trimpath", "-buildvcs=false", b.tags(),
		"-ldflags=-s -w -X main.version="+p.version+" -X main.commit="+p.commit, "-o", path, "./cmd/hipengine")
	return err
}

// host returns a build for this machine, made once, and removed by close.
func (p *project) host(ctx context.Context) (string, error) {
	if p.hostFile != "" {
		return p.hostFile, nil
	}
	dir, err := os.MkdirTemp("", "hipengine-host-")
	if err != nil {
		return "", err
	}
	p.temporary = append(p.temporary, dir)
	file := filepath.Join(dir, "hipengine")
	if err := p.build(ctx, binary{arch: runtime.GOARCH}, file); err != nil {
		return "", err
	}
	p.hostFile = file
	return file, nil
}

// close removes temporary files.
func (p *project) close() {
	for _, dir := range p.temporary {
		os.RemoveAll(dir)
	}
}

// stage makes the files of packages for a build in a folder: the command, and what it says of itself.
func (p *project) stage(ctx context.Context, b binary, dir string) error {
	host, err := p.host(ctx)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "hipengine")
	if b == (binary{arch: runtime.GOARCH}) {
		err = os.Link(host, file)
	} else {
		err = p.build(ctx, b, file)
	}
	if err != nil {
		return err
	}
	man := filepath.Join(dir, "man")
	if err := os.Mkdir(man, 0o755); err != nil {
		return err
	}
	if _, err := p.command(ctx, nil, host, "--config", os.DevNull, "man", "--dir", man); err != nil {
		return err
	}
	for file, args := range map[string][]string{
		"config.toml": {"config", "--sample"}, "completion.bash": {"completion", "bash"},
		"completion.zsh": {"completion", "zsh"}, "completion.fish": {"completion", "fish"},
	} {
		out, err := p.command(ctx, nil, host, append([]string{"--config", os.DevNull}, args...)...)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), out, 0o644); err != nil {
			return err
		}
	}
	for to, from := range map[string]string{
		"hipengine.service":  "packaging/systemd/hipengine.service",
		"hipengine.sysusers": "packaging/systemd/hipengine.sysusers",
		"LICENSE":            "LICENSE", "CHANGELOG.md": "CHANGELOG.md",
	} {
		text, err := os.ReadFile(filepath.Join(p.root, filepath.FromSlash(from)))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o644); err != nil {
			return err
		}
	}
	parts, err := p.parts(ctx, b)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "THIRD-PARTY-LICENSES"), []byte(licenceList(parts)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "copyright"), []byte(debianCopyright(parts)), 0o644)
}

// settle gives all files below a folder the time of the release, which archives show.
func (p *project) settle(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, p.epoch, p.epoch)
	})
}

// compress returns data as gzip writes it, without a name or a time.
func compress(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// compressAll replaces the files of a folder by compressed ones.
func compressAll(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		small, err := compress(text)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := os.WriteFile(path+".gz", small, 0o644); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// indent puts a prefix before each line, as continued fields of Debian's files have it.
func indent(text string) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if line = strings.TrimRight(line, " \t\r"); line == "" {
			line = "."
		}
		b.WriteString(" " + line + "\n")
	}
	return b.String()
}
