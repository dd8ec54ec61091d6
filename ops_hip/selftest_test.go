package opship

import (
	"context"
	"errors"
	"testing"

	"github.com/hipengine/hipengine/ops"
)

func TestSelfTestIsRemembered(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	d, _ := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	runs := 0
	run := func(err error) func(context.Context, ops.Device) error {
		return func(_ context.Context, dev ops.Device) error {
			if dev != ops.Device(d) {
				t.Error("another device was tested")
			}
			runs++
			return err
		}
	}
	boom := errors.New("kernel is wrong")
	for _, c := range []struct {
		name   string
		err    error
		driver string
		runs   int
	}{
		{"a failure", boom, "", 1},
		{"is not remembered", nil, "", 2},
		{"a success is", boom, "", 2},
		{"for one driver only", nil, "hip 8.0", 3},
	} {
		if c.driver != "" {
			d.info.Driver = c.driver
		}
		err := SelfTest(t.Context(), d, run(c.err))
		if runs != c.runs {
			t.Errorf("%s: %d runs, want %d", c.name, runs, c.runs)
		}
		if c.name == "a failure" {
			if !errors.Is(err, boom) {
				t.Errorf("%s: error %v", c.name, err)
			}
			wantError(t, err, "hip:0")
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Without a usable cache the test runs every time.
func TestSelfTestWithoutCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/dev/null")
	d, _ := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	for want := 1; want <= 2; want++ {
		runs := 0
		if err := SelfTest(t.Context(), d,
			func(context.Context, ops.Device) error { runs++; return nil }); err != nil || runs != 1 {
			t.Errorf("start %d: %d runs, error %v", want, runs, err)
		}
	}
}
