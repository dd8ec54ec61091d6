package hiprt

import (
	"errors"
	"strings"
	"testing"
)

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  Error
		want string
	}{
		{Error{Call: "hipMalloc", Code: 2, Name: "hipErrorOutOfMemory", Meaning: "out of memory",
			Cause: ErrOutOfMemory}, "hipMalloc: hipErrorOutOfMemory (2): out of memory"},
		{Error{Call: "hipInit", Code: 101, Name: "hipErrorInvalidDevice", Meaning: "hipErrorInvalidDevice"},
			"hipInit: hipErrorInvalidDevice (101)"},
		{Error{Call: "cuX", Code: 12345}, "cuX: error 12345"},
		{Error{Call: "hipStreamSynchronize", Code: 719, Name: "hipErrorLaunchFailure", Meaning: "launch failure",
			Async: true},
			"hipStreamSynchronize: hipErrorLaunchFailure (719): launch failure; may stem from an earlier asynchronous call"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if c.err.Cause != nil && !errors.Is(&c.err, c.err.Cause) {
			t.Errorf("%q does not wrap its cause", c.want)
		}
	}
}

func TestOpenUnknown(t *testing.T) {
	_, err := Open("metal", "")
	if err == nil || !strings.Contains(err.Error(), `"metal" is not compiled in`) ||
		!strings.Contains(err.Error(), "cuda, hip") {
		t.Errorf("error %v", err)
	}
}

// Hardware runtimes are registered under every build tag, so that the error is the same everywhere.
func TestRegistered(t *testing.T) {
	names := strings.Join(Names(), " ")
	for _, n := range []string{"cuda", "hip"} {
		if !strings.Contains(names, n) {
			t.Errorf("%s is not registered", n)
		}
		if rt, err := Open(n, ""); err == nil {
			t.Logf("%s: %s %v", n, rt.Library(), rt.Version())
		} else if !errors.Is(err, ErrNoLibrary) {
			t.Errorf("%s: error %v does not wrap ErrNoLibrary", n, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a second hip was registered")
		}
	}()
	Register("hip", nil)
}
