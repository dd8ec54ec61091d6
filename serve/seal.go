package serve

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// sealer seals thoughts for clients that keep conversations by themselves, and opens them when they come back. What is
// sealed for one API key, another does not open.
type sealer struct{ aead cipher.AEAD }

// sealPrefix begins what is sealed, so that what others have sealed is told apart.
const sealPrefix = "hip1."

var (
	errForeignSeal = errors.New("is not of this server; leave encrypted_content out to send what else the item has")
	errBrokenSeal  = errors.New("cannot be opened: it was changed, or sealed for another API key or before the key that " +
		"this server seals with (serve --seal-key) changed; leave encrypted_content out to send what else the item has")
)

// newSealer returns a sealer with a key that is derived from a secret of any length; an empty one is drawn.
func newSealer(secret string) (*sealer, error) {
	if secret == "" {
		secret = rand.Text()
	}
	key := sha256.Sum256([]byte("hipengine: thoughts: " + secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &sealer{aead}, err
}

func (s *sealer) seal(space, text string) string {
	return sealPrefix + base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, []byte(text), []byte(space)))
}

func (s *sealer) open(space, sealed string) (string, error) {
	coded, ours := strings.CutPrefix(sealed, sealPrefix)
	if !ours {
		return "", errForeignSeal
	}
	raw, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil {
		return "", errBrokenSeal
	}
	text, err := s.aead.Open(nil, nil, raw, []byte(space))
	if err != nil {
		return "", errBrokenSeal
	}
	return string(text), nil
}
