// Command release makes what users install: Debian packages and a repository of them, archives, container images, and
// the lists that belong to them. Two runs on one commit make the same bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

const usage = `usage: release [-root DIR] [-out DIR] COMMAND

  version    print the version
  deb        Debian packages for amd64 and arm64
  apt-repo   a signed repository of the packages in -out; RELEASE_KEY names a file with the secret key
  dist       archives, image layouts, bill of materials, licences, and their checksums
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root := flag.String("root", filepath.Join("..", ".."), "folder of the repository")
	out := flag.String("out", filepath.Join("..", "..", "dist"), "folder for what is made")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	flag.Parse()
	if flag.NArg() != 1 {
		return errors.New("one command is needed\n" + usage)
	}
	p, err := openProject(ctx, *root)
	if err != nil {
		return err
	}
	defer p.close()
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	switch flag.Arg(0) {
	case "version":
		_, err := fmt.Println(p.version)
		return err
	case "deb":
		return p.debs(ctx, *out)
	case "apt-repo":
		return p.aptRepo(*out, os.Getenv("RELEASE_KEY"))
	case "dist":
		return p.dist(ctx, *out)
	}
	return fmt.Errorf("there is no command %q\n%s", flag.Arg(0), usage)
}
