package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/blakesmith/ar"
)

// Names within a repository.
const (
	suite     = "stable"
	component = "main"
	keyring   = "hipengine-archive-keyring.asc"
)

// maxControl is far above what the control file of a package has.
const maxControl = 1 << 20

// aptRepo puts the packages of out into the repository below it, next to those that are there, and signs its lists with
// the secret key of a file.
func (p *project) aptRepo(out, keyFile string) error {
	if keyFile == "" {
		return errors.New("RELEASE_KEY must name a file with the secret key (armored OpenPGP, without a passphrase) that signs the repository")
	}
	key, err := readKey(keyFile)
	if err != nil {
		return fmt.Errorf("%s: %w", keyFile, err)
	}
	debs, err := filepath.Glob(filepath.Join(out, "hipengine_*.deb"))
	if err != nil {
		return err
	}
	if len(debs) == 0 {
		return fmt.Errorf("%s has no packages: run \"make deb\" first", out)
	}
	repo := filepath.Join(out, "apt")
	pool := filepath.Join(repo, "pool", component, "h", "hipengine")
	if err := os.MkdirAll(pool, 0o755); err != nil {
		return err
	}
	for _, deb := range debs {
		if err := addToPool(deb, pool); err != nil {
			return err
		}
	}
	if err := indexRepo(repo, key, time.Now().UTC()); err != nil {
		return err
	}
	fmt.Println(repo)
	return nil
}

// readKey returns the one secret key of a file.
func readKey(file string) (*openpgp.Entity, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	keys, err := openpgp.ReadArmoredKeyRing(f)
	if err != nil {
		return nil, err
	}
	if len(keys) != 1 || keys[0].PrivateKey == nil {
		return nil, fmt.Errorf("there are %d keys, or no secret one; one secret key is needed", len(keys))
	}
	if keys[0].PrivateKey.Encrypted {
		return nil, errors.New("the key has a passphrase")
	}
	return keys[0], nil
}

// addToPool copies a package into the pool. One that is there never changes, since clients may have it.
func addToPool(deb, pool string) error {
	data, err := os.ReadFile(deb)
	if err != nil {
		return err
	}
	to := filepath.Join(pool, filepath.Base(deb))
	if old, err := os.ReadFile(to); err == nil {
		if !bytes.Equal(old, data) {
			return fmt.Errorf("%s is in the repository with other content: a version is published once", filepath.Base(deb))
		}
		return nil
	}
	return writeFile(to, func(f *os.File) error { _, err := f.Write(data); return err })
}

// indexRepo writes the lists of a repository for the packages of its pool.
func indexRepo(repo string, key *openpgp.Entity, now time.Time) error {
	lists := map[string][]byte{} // by path below the suite
	archs := map[string]string{}
	debs, err := filepath.Glob(filepath.Join(repo, "pool", component, "*", "*", "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs { // in order
		arch, entry, err := packageEntry(repo, deb)
		if err != nil {
			return fmt.Errorf("%s: %w", deb, err)
		}
		archs[arch] += entry + "\n"
	}
	var names []string
	for arch, text := range archs {
		names = append(names, arch)
		list := path.Join(component, "binary-"+arch, "Packages")
		lists[list] = []byte(text)
		if lists[list+".gz"], err = compress([]byte(text)); err != nil {
			return err
		}
	}
	slices.Sort(names)
	dir := filepath.Join(repo, "dists", suite)
	var sums strings.Builder
	var paths []string
	for list := range lists {
		paths = append(paths, list)
	}
	slices.Sort(paths)
	for _, list := range paths {
		sum := sha256.Sum256(lists[list])
		fmt.Fprintf(&sums, " %x %d %s\n", sum, len(lists[list]), list)
		file := filepath.Join(dir, filepath.FromSlash(list))
		// Also under its hash, so that a client that has an older Release finds what that names.
		for _, to := range []string{file, filepath.Join(filepath.Dir(file), "by-hash", "SHA256", hex.EncodeToString(sum[:]))} {
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := writeFile(to, func(f *os.File) error { _, err := f.Write(lists[list]); return err }); err != nil {
				return err
			}
		}
	}
	release := fmt.Sprintf("Origin: hipengine\nLabel: hipengine\nSuite: %s\nCodename: %[1]s\nDate: %s\nArchitectures: %s\nComponents: %s\n"+
		"Description: Packages of hipengine\nAcquire-By-Hash: yes\nSHA256:\n%s",
		suite, now.Format("Mon, 02 Jan 2006 15:04:05 UTC"), strings.Join(names, " "), component, &sums)
	return sign(repo, dir, release, key)
}

// sign writes the file that names all lists, its signatures, and the key that they are checked with.
func sign(repo, dir, release string, key *openpgp.Entity) error {
	if err := writeFile(filepath.Join(dir, "Release"), func(f *os.File) error { _, err := f.WriteString(release); return err }); err != nil {
		return err
	}
	config := &packet.Config{}
	err := writeFile(filepath.Join(dir, "Release.gpg"), func(f *os.File) error {
		return openpgp.ArmoredDetachSign(f, key, strings.NewReader(release), config)
	})
	if err != nil {
		return err
	}
	signer, ok := key.SigningKey(time.Now())
	if !ok {
		return errors.New("the key cannot sign")
	}
	err = writeFile(filepath.Join(dir, "InRelease"), func(f *os.File) error {
		w, err := clearsign.Encode(f, signer.PrivateKey, config)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, release); err != nil {
			return err
		}
		return w.Close()
	})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(repo, keyring), func(f *os.File) error {
		w, err := armor.Encode(f, openpgp.PublicKeyType, nil)
		if err != nil {
			return err
		}
		if err := key.Serialize(w); err != nil {
			return err
		}
		return w.Close()
	})
}

// packageEntry returns the architecture of a package and its entry in the list of packages.
func packageEntry(repo, deb string) (arch, entry string, err error) {
	data, err := os.ReadFile(deb)
	if err != nil {
		return "", "", err
	}
	control, err := controlOf(data)
	if err != nil {
		return "", "", err
	}
	for _, line := range strings.Split(control, "\n") {
		if a, ok := strings.CutPrefix(line, "Architecture: "); ok {
			arch = a
		}
	}
	if arch == "" {
		return "", "", errors.New("the control file names no architecture")
	}
	name, err := filepath.Rel(repo, deb)
	if err != nil {
		return "", "", err
	}
	return arch, fmt.Sprintf("%sFilename: %s\nSize: %d\nSHA256: %x\n", control, filepath.ToSlash(name), len(data), sha256.Sum256(data)), nil
}

// controlOf returns the control file of a package, ending with one line end.
func controlOf(deb []byte) (string, error) {
	for members := ar.NewReader(bytes.NewReader(deb)); ; {
		h, err := members.Next()
		if err != nil {
			return "", fmt.Errorf("no control archive: %w", err)
		}
		if strings.TrimRight(h.Name, "/") != "control.tar.gz" {
			continue
		}
		z, err := gzip.NewReader(members)
		if err != nil {
			return "", err
		}
		for files := tar.NewReader(z); ; {
			h, err := files.Next()
			if err != nil {
				return "", fmt.Errorf("no control file: %w", err)
			}
			if path.Clean(h.Name) == "control" {
				text, err := io.ReadAll(io.LimitReader(files, maxControl))
				return strings.TrimRight(string(text), "\n") + "\n", err
			}
		}
	}
}
