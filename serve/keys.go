package serve

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/hipengine/hipengine/serve/openai"
)

// keys are the hashes of keys, which have one length and so compare in constant time. The keys themselves are not
// kept.
type keys []key

type key struct {
	sum    [sha256.Size]byte
	active *atomic.Int64 // requests under way
}

// hashPrefix begins a key that is given by its hash.
const hashPrefix = "sha256:"

// newKeys reads keys, each as it is or as sha256: and its hash in hexadecimal. Empty ones are left out.
func newKeys(given []string) (keys, error) {
	var k keys
	for i, g := range given {
		if g == "" {
			continue
		}
		n := key{active: new(atomic.Int64)}
		if h, ok := strings.CutPrefix(g, hashPrefix); ok {
			b, err := hex.DecodeString(h)
			if err != nil || len(b) != sha256.Size {
				return nil, fmt.Errorf("serve: key %d begins with %s but is not followed by %d hexadecimal digits",
					i+1, hashPrefix, 2*sha256.Size)
			}
			n.sum = [sha256.Size]byte(b)
		} else {
			n.sum = sha256.Sum256([]byte(g))
		}
		k = append(k, n)
	}
	return k, nil
}

// ReadKeys reads a file of keys for Config.APIKeys and Config.AdminKeys: one a line, as it is or as "sha256:" and the
// hash in hexadecimal. Empty lines and those that begin with # are left out. A file without a key is an error, since
// its owner means to lock the server.
func ReadKeys(r io.Reader) ([]string, error) {
	var list []string
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#':
			continue
		case strings.ContainsAny(line, " \t"):
			return nil, fmt.Errorf("serve: line %d of the keys: a key has no spaces", n)
		}
		if _, err := newKeys([]string{line}); err != nil {
			return nil, fmt.Errorf("serve: line %d of the keys: want %d hexadecimal digits after %s", n, 2*sha256.Size,
				hashPrefix)
		}
		list = append(list, line)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("serve: keys: %w", err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("serve: there is no key in the file")
	}
	return list, nil
}

func (k keys) empty() bool { return len(k) == 0 }

// find returns the key of k that is given, or nil, in a time that depends on neither.
func (k keys) find(given string) *key {
	sum := sha256.Sum256([]byte(given))
	found := -1
	for i := range k {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], k[i].sum[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return &k[found]
}

// of returns the key of k that a request has in its header, or nil.
func (k keys) of(r *http.Request) *key {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		if found := k.find(strings.TrimSpace(given)); found != nil {
			return found
		}
	}
	if given := r.Header.Get("X-Api-Key"); given != "" { // Anthropic's clients
		return k.find(strings.TrimSpace(given))
	}
	return nil
}

// guard asks for an API key if the server has any, and bounds the requests of one key.
func (s *Server) guard(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.keys.empty() {
			next(w, r)
			return
		}
		k := s.keys.of(r)
		if k == nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, r, &openai.Error{
				Status: http.StatusUnauthorized, Type: openai.TypeAuthentication, Code: "invalid_api_key",
				Message: "an API key is needed, in the header Authorization: Bearer KEY, or X-Api-Key: KEY",
			})
			return
		}
		// Whoever has another key neither gets the states that this one's prompts left, nor sees by the time that an
		// answer takes that they are there.
		recordOf(r.Context()).space = string(k.sum[:])
		defer k.active.Add(-1)
		if n := k.active.Add(1); s.c.MaxPerKey > 0 && n > int64(s.c.MaxPerKey) {
			s.fail(w, r, &openai.Error{
				Status: http.StatusTooManyRequests, Type: openai.TypeRateLimit, Code: "too_many_requests",
				Message: fmt.Sprintf("more than %d requests of this API key at once; try again", s.c.MaxPerKey),
			})
			return
		}
		next(w, r)
	})
}

// guardAdmin asks for the administrator's key, which no API key stands in for. Without one, nobody is let in.
func (s *Server) guardAdmin(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.adminKeys.empty() {
			s.fail(w, r, &openai.Error{
				Status: http.StatusForbidden, Type: openai.TypePermission, Code: "no_admin_key",
				Message: "this server has no admin key, so that nobody may do this",
			})
			return
		}
		if s.adminKeys.of(r) == nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, r, &openai.Error{
				Status: http.StatusUnauthorized, Type: openai.TypeAuthentication, Code: "invalid_admin_key",
				Message: "the admin key is needed, in the header Authorization: Bearer KEY, or X-Api-Key: KEY",
			})
			return
		}
		next(w, r)
	})
}
