package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/goreleaser/nfpm/v2"
)

// testDeb writes a package that holds nothing.
func testDeb(t *testing.T, dir, arch, version, description string) string {
	t.Helper()
	packager, err := nfpm.Get("deb")
	if err != nil {
		t.Fatal(err)
	}
	info := nfpm.WithDefaults(&nfpm.Info{Name: "hipengine", Arch: arch, Version: version, VersionSchema: "none",
		Release:    "1",
		Maintainer: maintainer, Description: description, MTime: testProject().epoch})
	file := filepath.Join(dir, packager.ConventionalFileName(info))
	if err := writeFile(file, func(f *os.File) error { return packager.Package(info, f) }); err != nil {
		t.Fatal(err)
	}
	return file
}

// testKey writes a new secret key.
func testKey(t *testing.T, dir string) (string, *openpgp.Entity) {
	t.Helper()
	key, err := openpgp.NewEntity("Test", "", "test@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "key.asc")
	err = writeFile(file, func(f *os.File) error {
		w, err := armor.Encode(f, openpgp.PrivateKeyType, nil)
		if err != nil {
			return err
		}
		if err := key.SerializePrivate(w, nil); err != nil {
			return err
		}
		return w.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return file, key
}

// TestAptRepo publishes a version and then another: both stay, the signatures are those of the key, and the lists have
// the hashes that Release names. make deb-test has apt read it.
func TestAptRepo(t *testing.T) {
	out := t.TempDir()
	file, key := testKey(t, t.TempDir())
	p := testProject()
	for _, version := range []string{"2026.11.0", "2026.12.0"} {
		deb := testDeb(t, out, "amd64", version, "nothing")
		testDeb(t, out, "arm64", version, "nothing")
		if err := p.aptRepo(out, file); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(deb); err != nil { // of amd64: the pool has it
			t.Fatal(err)
		}
	}
	dir := filepath.Join(out, "apt", "dists", "stable")
	signed, err := os.ReadFile(filepath.Join(dir, "InRelease"))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := clearsign.Decode(signed)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatalf("%s", signed)
	}
	if _, err := block.VerifySignature(openpgp.EntityList{key}, nil); err != nil {
		t.Error(err)
	}
	release, err := os.ReadFile(filepath.Join(dir, "Release"))
	if err != nil || !bytes.Equal(bytes.TrimSpace(block.Plaintext), bytes.TrimSpace(release)) {
		t.Errorf("Release and InRelease differ, %v", err)
	}
	detached, err := os.Open(filepath.Join(dir, "Release.gpg"))
	if err != nil {
		t.Fatal(err)
	}
	defer detached.Close()
	if _, err := openpgp.CheckArmoredDetachedSignature(openpgp.EntityList{key}, bytes.NewReader(release), detached,
		nil); err != nil {
		t.Error(err)
	}
	_, sums, _ := strings.Cut(string(release), "SHA256:\n")
	lines := strings.Split(strings.TrimSpace(sums), "\n")
	if len(lines) != 4 { // two lists, each also compressed
		t.Errorf("%d lists", len(lines))
	}
	for _, line := range lines {
		words := strings.Fields(line)
		if sum, err := hashFile(filepath.Join(dir, words[2])); err != nil || sum != words[0] {
			t.Errorf("%s: %s, %v, want %s", words[2], sum, err, words[0])
		}
		if sum, err := hashFile(filepath.Join(dir, filepath.Dir(words[2]), "by-hash", "SHA256",
			words[0])); err != nil || sum != words[0] {
			t.Errorf("%s by its hash: %s, %v", words[2], sum, err)
		}
	}
	list, err := os.ReadFile(filepath.Join(dir, "main", "binary-amd64", "Packages"))
	if err != nil || strings.Count(string(list), "Package: hipengine\n") != 2 ||
		strings.Count(string(list), "\n\n") != 2 {
		t.Errorf("%v\n%s", err, list)
	}
	public, err := os.ReadFile(filepath.Join(out, "apt", keyring))
	if err != nil || bytes.Contains(public, []byte("PRIVATE")) {
		t.Errorf("the public key: %v %s", err, public)
	}

	testDeb(t, out, "amd64", "2026.12.0", "something else")
	if err := p.aptRepo(out, file); err == nil || !strings.Contains(err.Error(), "other content") {
		t.Errorf("a version with other content: %v", err)
	}
}

func TestAptRepoNeeds(t *testing.T) {
	dir := t.TempDir()
	file, _ := testKey(t, t.TempDir())
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ key, want string }{{"", "RELEASE_KEY"}, {text, text}, {file, "make deb"}} {
		if err := testProject().aptRepo(dir, c.key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("key %q: %v, want %q", c.key, err, c.want)
		}
	}
}

// TestWriteSums checks names, order, and that the list leaves itself out.
func TestWriteSums(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b": "x", "a~1": "", sumsFile: "old"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeSums(dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, sumsFile))
	want := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a~1\n" +
		"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  b\n"
	if err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
}

// TestWriteTar packs files that were made in another order at another time: the bytes are the same.
func TestWriteTar(t *testing.T) {
	var packed [2]bytes.Buffer
	for i := range packed {
		dir := t.TempDir()
		for _, name := range [][]string{{"x", "b/y", "a"}, {"a", "b/y", "x"}}[i] {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700+os.FileMode(i)*0o55); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(name), 0o600+os.FileMode(i)*0o44); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, time.Unix(int64(i)*1e9, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if err := writeTar(&packed[i], os.DirFS(dir), "top", testProject().epoch); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(packed[0].Bytes(), packed[1].Bytes()) {
		t.Error("the bytes differ")
	}
	if names := unpack(t, &packed[0], t.TempDir()); strings.Join(names, " ") != "top/ top/a top/b/ top/b/y top/x" {
		t.Errorf("%v", names)
	}
}
