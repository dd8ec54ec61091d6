package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestNormalForms compares the slow path with the library, which is right about few marks in a row.
func TestNormalForms(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	letters := []rune("aeoAcsſﬁ각가각éǆ½①\u0301\u0308\u0323\u0327\u0345\u0344\u0958\u093C\u0915\u1E9B\u212B\u2126文 ")
	for range 20000 {
		var b strings.Builder
		for range 1 + r.IntN(12) {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		for _, f := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
			if got, want := normalSlow(f, b.String()), f.String(b.String()); got != want {
				t.Fatalf("form %d of %+q is %+q, want %+q", f, b.String(), got, want)
			}
		}
	}
	// Many marks: no U+034F comes in, and the first composes.
	marks := "e" + strings.Repeat("\u0301", 100)
	if got, want := normalForm(norm.NFC, marks), "é"+strings.Repeat("\u0301", 99); got != want {
		t.Errorf("many marks: %+q, want %+q", got, want)
	}
	if got := normalForm(norm.NFC, "abc文"); got != "abc文" {
		t.Errorf("normal text changed to %q", got)
	}
}
