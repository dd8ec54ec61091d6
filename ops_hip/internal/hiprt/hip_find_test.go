//go:build linux && !nogpu

package hiprt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// disk is a machine for the finder: libraries that load, and what the others say.
type disk struct {
	loads  []string          // names that open
	mapped []string          // names that are open already
	broken map[string]string // names whose opening fails with this text
	files  []string          // what globs see
	env    map[string]string
	tried  []string
}

func (d *disk) finder() finder {
	return finder{
		getenv: func(k string) string { return d.env[k] },
		open: func(p string, mode int) (uintptr, error) {
			if mode&noLoad != 0 {
				if slices.Contains(d.mapped, p) {
					return 2, nil
				}
				return 0, errors.New("not mapped")
			}
			d.tried = append(d.tried, p)
			if msg := d.broken[p]; msg != "" {
				return 0, errors.New(msg)
			}
			if slices.Contains(d.loads, p) {
				return 1, nil
			}
			return 0, fmt.Errorf("%s: cannot open shared object file: No such file or directory", p)
		},
		glob: func(pattern string) (m []string, _ error) {
			for _, f := range d.files {
				if ok, _ := filepath.Match(pattern, f); ok {
					m = append(m, f)
				}
			}
			return m, nil
		},
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name string
		d    disk
		want string
	}{
		{"newest of the loader's path", disk{loads: []string{"libamdhip64.so.5", "libamdhip64.so.6"}},
			"libamdhip64.so.6"},
		{"7 before 10", disk{loads: []string{"libamdhip64.so.10", "libamdhip64.so.7"}}, "libamdhip64.so.7"},
		{"10 before 9", disk{loads: []string{"libamdhip64.so.9", "libamdhip64.so.10"}}, "libamdhip64.so.10"},
		{"development link", disk{loads: []string{"libamdhip64.so"}}, "libamdhip64.so"},
		{"mapped wins", disk{loads: []string{"libamdhip64.so.7"}, mapped: []string{"libamdhip64.so.5"}},
			"libamdhip64.so.5"},
		{"environment wins", disk{loads: []string{"/x/lib.so", "libamdhip64.so.7"},
			env: map[string]string{EnvLibrary: "/x/lib.so"}}, "/x/lib.so"},
		{"numeric order of files", disk{
			loads: []string{"/opt/rocm-6.4/lib/libamdhip64.so.6.4.0",
				"/opt/rocm/core-10.1/lib/libamdhip64.so.10.0.26306"},
			files: []string{"/opt/rocm-6.4/lib/libamdhip64.so.6.4.0",
				"/opt/rocm/core-10.1/lib/libamdhip64.so.10.0.26306"}},
			"/opt/rocm/core-10.1/lib/libamdhip64.so.10.0.26306"},
		{"ROCM_PATH", disk{loads: []string{"/home/u/rocm/lib/libamdhip64.so.7"},
			files: []string{"/home/u/rocm/lib/libamdhip64.so.7"},
			env:   map[string]string{"ROCM_PATH": "/home/u/rocm"}}, "/home/u/rocm/lib/libamdhip64.so.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, path, err := c.d.finder().find()
			if err != nil || path != c.want {
				t.Errorf("found %q, %v; want %q", path, err, c.want)
			}
			if n := len(c.d.tried); n > 0 && c.d.tried[n-1] != c.want {
				t.Errorf("opened %q after success", c.d.tried[n-1])
			}
		})
	}
	for _, c := range []struct {
		name string
		d    disk
		want []string
	}{
		{"nothing", disk{}, []string{"install the HIP runtime", "HIPENGINE_HIP_LIBRARY"}},
		{"missing dependency", disk{broken: map[string]string{"libamdhip64.so.7": "libhsa-runtime64.so.1: cannot open shared object file: No such file or directory"}},
			[]string{"does not load", "libhsa-runtime64.so.1"}},
		{"environment is not tried around",
			disk{loads: []string{"libamdhip64.so.7"}, env: map[string]string{EnvLibrary: "/gone.so"}},
			[]string{"HIPENGINE_HIP_LIBRARY=/gone.so"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := c.d.finder().find()
			if !errors.Is(err, ErrNoLibrary) {
				t.Fatalf("error %v does not wrap ErrNoLibrary", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not mention %q", err, w)
				}
			}
		})
	}
}

// TestOthers names what is installed beside the library that was loaded, once for each major version.
func TestOthers(t *testing.T) {
	d := disk{files: []string{"/opt/rocm-6.4/lib/libamdhip64.so", "/opt/rocm-6.4/lib/libamdhip64.so.6",
		"/opt/rocm-6.4/lib/libamdhip64.so.6.4.0",
		"/opt/rocm/core-10.1/lib/libamdhip64.so.10", "/usr/lib/x86_64-linux-gnu/libamdhip64.so.7.2"}}
	for path, want := range map[string][]string{
		"/usr/lib/x86_64-linux-gnu/libamdhip64.so.7.2": {"/opt/rocm/core-10.1/lib/libamdhip64.so.10",
			"/opt/rocm-6.4/lib/libamdhip64.so.6.4.0"},
		"/opt/rocm/core-10.1/lib/libamdhip64.so.10": {"/usr/lib/x86_64-linux-gnu/libamdhip64.so.7.2",
			"/opt/rocm-6.4/lib/libamdhip64.so.6.4.0"},
	} {
		if got := d.finder().others(path); !slices.Equal(got, want) {
			t.Errorf("beside %s: %q, want %q", path, got, want)
		}
	}
	d.files = d.files[:3]
	if got := d.finder().others("/opt/rocm-6.4/lib/libamdhip64.so.6.4.0"); got != nil {
		t.Errorf("one version alone: %q", got)
	}
}

// The tests below load real libraries, each in a process of its own: a library stays loaded for good.
const childEnv = "HIPRT_TEST_CHILD"

func child(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(append(os.Environ(), childEnv+"=1"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("runs in a process of its own, started by other tests")
	}
	rt, err := Open("hip", "")
	if err != nil {
		fmt.Println("OPEN", errors.Is(err, ErrNoLibrary), err)
		return
	}
	again, err := Open("hip", "")
	fmt.Println("SAME", again == rt, err)
	n, err := rt.Devices()
	fmt.Println("DEVICES", n, errors.Is(err, ErrNoDevice), err)
	_, err = rt.Malloc(100)
	fmt.Println("MALLOC", err)
}

// A runtime of any version on a machine without a GPU opens, counts no devices and says so.
func TestRealRuntimeWithoutDevice(t *testing.T) {
	if _, path, err := machine().find(); err != nil {
		t.Skipf("SKIP: libamdhip64 is not installed (Debian: apt-get install libamdhip64-5): %v", err)
	} else {
		t.Logf("testing with %s", mappedPath(path))
	}
	if _, err := os.Stat("/dev/kfd"); err == nil {
		t.Skip("SKIP: this machine has an AMD GPU")
	}
	out := child(t)
	for _, want := range []string{"SAME true <nil>", "DEVICES 0 true hiprt: /",
		"sees no AMD GPU: hipInit: hipErrorInvalidDevice (101)", "MALLOC hipMalloc: hipError"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
}

// A library that is not HIP is refused with all that it lacks, under its path.
func TestLibraryWithoutSymbols(t *testing.T) {
	libs, err := filepath.Glob("/lib/*-linux-gnu/libm.so.6")
	if err != nil || len(libs) == 0 {
		t.Skip("SKIP: no libm.so.6 to take for another library")
	}
	out := child(t, EnvLibrary+"="+libs[0])
	for _, want := range []string{"OPEN false", "libm.so.6 lacks", "hipInit, hipRuntimeGetVersion",
		"hipModuleLaunchKernel", "hipGraphLaunch", "another library"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "hipGetDevicePropertiesR0600") {
		t.Errorf("an optional function is reported:\n%s", out)
	}
}

func TestMissingLibrary(t *testing.T) {
	out := child(t, EnvLibrary+"=/nowhere/libamdhip64.so.7")
	for _, want := range []string{"OPEN true", "HIPENGINE_HIP_LIBRARY=/nowhere/libamdhip64.so.7",
		"cannot open shared object file"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
}
