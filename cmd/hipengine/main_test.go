package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/testfiles"
)

// TestMain lets the test binary stand in for the command, so that tests can look at whole processes.
func TestMain(m *testing.M) {
	if os.Getenv("HIPENGINE_TEST_COMMAND") != "" {
		code := run(os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
		if peak := os.Getenv("HIPENGINE_TEST_PEAK"); peak != "" {
			status, _ := os.ReadFile("/proc/self/status")
			os.WriteFile(peak, status, 0o600)
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// result is what a finished command leaves.
type result struct {
	code        int
	out, errOut string
	allocated   uint64 // bytes of the heap that command took in all; 0 of process
	maxRSS      int64  // bytes that process held at once; 0 of command, and where the system does not say
}

// surroundings is the environment of commands: none of the models and choices of whoever runs the tests. With -short
// commands take one thread: those that wait for each other would keep the tests of other packages from a core.
func surroundings(t *testing.T) map[string]string {
	threads := "0"
	if testing.Short() {
		threads = "1"
	}
	return map[string]string{"HIPENGINE_MODELS": t.TempDir(), "HIPENGINE_DEVICE": "", "HIPENGINE_THREADS": threads}
}

// processEnv is the environment of processes.
func processEnv(t *testing.T, more ...string) []string {
	env := append(os.Environ(), "HIPENGINE_TEST_COMMAND=1")
	for name, value := range surroundings(t) {
		env = append(env, name+"="+value)
	}
	return append(env, more...)
}

// command runs a command line in this process, which saves the start of one.
func command(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	for name, value := range surroundings(t) {
		old, was := os.LookupEnv(name)
		os.Setenv(name, value)
		defer func() {
			if os.Unsetenv(name); was {
				os.Setenv(name, old)
			}
		}()
	}
	var out, errOut bytes.Buffer
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	code := run(args, stdio{strings.NewReader(stdin), &out, &errOut})
	runtime.ReadMemStats(&after)
	return result{code, out.String(), errOut.String(), after.TotalAlloc - before.TotalAlloc, 0}
}

// process runs a command line in a process of its own.
func process(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	peak := filepath.Join(t.TempDir(), "peak")
	cmd.Env = processEnv(t, "HIPENGINE_TEST_PEAK="+peak)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errOut
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := result{code: cmd.ProcessState.ExitCode(), out: out.String(), errOut: errOut.String()}
	// The system counts the memory of the process that starts a command towards the command's usage; its own status
	// does not.
	if status, err := os.ReadFile(peak); err == nil && runtime.GOOS == "linux" {
		_, line, _ := strings.Cut(string(status), "VmHWM:")
		if _, err := fmt.Sscan(line, &r.maxRSS); err != nil {
			t.Fatalf("no peak of memory: %v", err)
		}
		r.maxRSS <<= 10
	}
	return r
}

const france = "What is the capital of France?"

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name, stdin string
		own         bool // process
		long        bool
		args        []string
	}{
		{"prompt", "", true, false, []string{"run", france}},
		{"words", "", false, false, append([]string{"run"}, strings.Fields(france)...)},
		{"model and prompt", "", false, true, []string{"run", "ember", france}},
		{"standard input", france + "\n", true, false, []string{"run"}},
		{"a dash", france + "\n", false, true, []string{"run", "-"}},
		{"a dash behind a model", france + "\n", true, false, []string{"run", "ember", "-"}},
		{"reference device", "", false, false, []string{"run", "--device", "ref", "--threads", "1", france}},
		{"file", "", false, true, []string{"run", "../../internal/ember/ember-Q8_0.gguf", "--temp", "0", france}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.long {
				t.Skip("SKIPPED: -short leaves what is much like others to make long")
			}
			start := command
			if c.own {
				start = process
			}
			if r := start(t, c.stdin, c.args...); r.code != 0 || r.out != "The capital of France is Paris.\n" {
				t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
			}
		})
	}
	t.Run("figures", func(t *testing.T) {
		r := command(t, "", "run", "--device", "cpu", "-v", "-n", "60", "Tell me a story.")
		var tokens, guessed, right int
		var rate, step float64
		_, line, _ := strings.Cut(r.errOut, "hipengine: 60")
		n, err := fmt.Sscanf("60"+line, "%d tokens, %f tokens a second; %d guessed, %d of them right: %f tokens a step with guesses\n",
			&tokens, &rate, &guessed, &right, &step)
		if r.code != 0 || n != 5 || err != nil || !(rate > 0) || right < 1 || right > guessed || step <= 1 || step > 9 {
			t.Errorf("exit %d, err %q: %d figures, %v", r.code, r.errOut, n, err)
		}
		if r := command(t, "", "run", "--device", "cpu", "-v", "--spec", "off", france); r.code != 0 ||
			!strings.Contains(r.errOut, "hipengine: 8 tokens, ") || strings.Contains(r.errOut, "guess") {
			t.Errorf("without guesses: exit %d, err %q", r.code, r.errOut)
		}
	})
	t.Run("seed", func(t *testing.T) {
		args := []string{"run", "--temp", "1.5", "--seed", "7", "-n", "12", "Tell me a story."}
		a, b := command(t, "", args...), process(t, "", args...)
		if a.code != 0 || a.out != b.out {
			t.Errorf("the same seed gives %q and %q (%s)", a.out, b.out, a.errOut)
		}
	})
}

func TestLogits(t *testing.T) {
	prompts := testfiles.EmberPrompts(t)
	var first []float32
	for _, cut := range [][]string{nil, {"--chunk", "7"}, {"--step"}, {"--oracle"}} {
		file := filepath.Join(t.TempDir(), "logits.f32")
		r := command(t, "", append([]string{"logits", "ember", "--device", "ref", "--prompt", prompts[0].Prompt,
			"--out", file}, cut...)...)
		got, err := os.ReadFile(file)
		if r.code != 0 || err != nil || len(got) != 15*4096*4 {
			t.Fatalf("%v: exit %d, %d bytes, %v, err %q", cut, r.code, len(got), err, r.errOut)
		}
		x := make([]float32, len(got)/4)
		if err := binary.Read(bytes.NewReader(got), binary.LittleEndian, x); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = x
		}
		// How close the numbers are is package conformance's business; here: that they are those of the prompt.
		for i, v := range x {
			if !(math.Abs(float64(v-first[i])) < 1e-3) {
				t.Fatalf("%v: logit %d is %v, without it %v", cut, i, v, first[i])
			}
		}
	}
}

func TestInspect(t *testing.T) {
	r := command(t, "", "inspect", "ember")
	for _, want := range []string{"qwen35", "supported", "yes", "blk.7.attn_q.weight", "Q8_0"} {
		if r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("exit %d, no %q in the output (%s)", r.code, want, r.errOut)
		}
	}
	var in inspection
	r = command(t, "", "inspect", "--json")
	if err := json.Unmarshal([]byte(r.out), &in); err != nil || !in.Supported || in.Parameters < 9e6 ||
		len(in.Tensors) < 80 {
		t.Errorf("exit %d, %d tensors, %d parameters, %v", r.code, len(in.Tensors), in.Parameters, err)
	}
}

func TestTokenize(t *testing.T) {
	ids := func(out string) (v []int32) {
		t.Helper()
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		return v
	}
	if got := ids(command(t, "", "tokenize", "ember", "<|im_end|>").out); !slices.Equal(got, []int32{2}) {
		t.Errorf("a special token gives %v", got)
	}
	if got := ids(command(t, "", "tokenize", "ember", "--plain", "<|im_end|>").out); len(got) < 3 ||
		slices.Contains(got, 2) {
		t.Errorf("with --plain it gives %v", got)
	}
	if got := ids(command(t, "", "tokenize", "ember", "").out); len(got) != 0 {
		t.Errorf("empty text gives %v", got)
	}
	r := command(t, "{\"text\": \"a\"}\n{\"text\": \"b\\nc\"}\n", "tokenize", "ember", "--json")
	if r.code != 0 || strings.Count(r.out, "{\"ids\":[") != 2 {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	if r := command(t, "{\"txt\": 1}", "tokenize", "ember", "--json"); r.code != 1 ||
		!strings.Contains(r.errOut, "object 1") {
		t.Errorf("exit %d, err %q", r.code, r.errOut)
	}
}

func TestTemplate(t *testing.T) {
	r := command(t, `{"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true, "enable_thinking": true}`, "template", "ember")
	if want := "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n"; r.code != 0 || r.out != want {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"help", []string{"--help"}, 0, ""},
		{"version", []string{"version"}, 0, ""},
		{"no command", nil, 2, "hipengine:"},
		{"unknown command", []string{"sing"}, 2, "sing"},
		{"unknown flag", []string{"run", "--loud"}, 2, "--loud"},
		{"device", []string{"run", "--device", "tpu", "x"}, 2, `"tpu"`},
		{"device in a list", []string{"run", "--device", "cpu,tpu", "x"}, 2, `"tpu"`},
		{"split of one device", []string{"run", "--device", "cpu", "--split", "layer", "x"}, 2, "--split"},
		{"split", []string{"run", "--device", "cpu,cpu", "--split", "rows", "x"}, 2, "--split"},
		{"layers", []string{"run", "--device", "cpu,cpu", "--layers", "cpu=3", "x"}, 2, "--layers"},
		{"experts", []string{"run", "--device", "cpu,cpu", "--experts", "hip:0", "x"}, 2, "--experts"},
		{"expert cache alone", []string{"run", "--device", "cpu,cpu", "--expert-cache", "1", "x"}, 2,
			"--expert-cache is for --experts, which is not given"},
		{"expert cache of one device", []string{"run", "--device", "cpu", "--expert-cache", "1", "x"}, 2, "--expert-cache"},
		{"negative expert cache", []string{"run", "--device", "cpu,cpu", "--experts", "cpu", "--expert-cache=-1", "x"}, 2,
			"--expert-cache -1 is outside 0..1048576 GiB"},
		{"expert cache of a dense model", []string{"run", "--device", "cpu,cpu", "--experts", "cpu", "--expert-cache=2", "x"},
			2, "--expert-cache 2.0 GiB: qwen35 has no experts"},
		{"no number of an expert cache", []string{"fit", "--device", "cpu,cpu", "--experts", "cpu", "--expert-cache=NaN"}, 2,
			"--expert-cache NaN is outside"},
		{"threads", []string{"run", "--threads", "-1", "x"}, 2, "--threads"},
		{"missing file", []string{"run", "no/such/model", "x"}, 1, "no/such/model"},
		{"missing gguf", []string{"run", "nothing.gguf", "x"}, 1, "nothing.gguf"},
		{"unknown name", []string{"inspect", "--json", "nothing"}, 1, `"nothing"`},
		{"context", []string{"run", "--ctx", "5000", "x"}, 1, "5000"},
		{"temperature", []string{"run", "--temp=-1", "x"}, 2, "temperature"},
		{"negative context", []string{"run", "--ctx=-1", "x"}, 2, "--ctx -1"},
		{"negative length", []string{"run", "--max-tokens=-1", "x"}, 2, "--max-tokens -1"},
		{"no prompt", []string{"run"}, 2, "no prompt"},
		{"too long", []string{"run", "--ctx", "64", strings.Repeat("word ", 100)}, 1, "64"},
		{"logits without prompt", []string{"logits", "ember", "--out", "x"}, 2, "--tokens"},
		{"logits token", []string{"logits", "ember", "--out", os.DevNull + "/x", "--tokens", "1,x"}, 2, `"x"`},
		{"oracle on cpu", []string{"logits", "ember", "--oracle", "--device", "cpu", "--out", "x", "--tokens", "1"},
			2, "--oracle"},
		{"logits range", []string{"logits", "ember", "--out", filepath.Join(os.TempDir(), "hipengine-range"),
			"--tokens", "99999"}, 1, "99999"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := command
			if slices.Contains([]string{"version", "no command", "missing file"}, c.name) { // one for each exit code
				start = process
			}
			r := start(t, "", c.args...)
			if r.code != c.code || !strings.Contains(r.errOut, c.want) || strings.Contains(r.errOut, "goroutine") {
				t.Errorf("exit %d, want %d; err %q, want %q in it", r.code, c.code, r.errOut, c.want)
			}
		})
	}
}

// TestBrokenFiles gives files that are no models to every command that reads one.
func TestBrokenFiles(t *testing.T) {
	good, err := os.ReadFile("../../internal/ember/ember-Q8_0.gguf")
	if err != nil {
		t.Fatal(err)
	}
	patch := func(at int, b ...byte) []byte {
		p := slices.Clone(good)
		copy(p[at:], b)
		return p
	}
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	// The offset of the first tensor stands behind its name, dimensions and type.
	offset := bytes.Index(good, []byte("output_norm.weight")) + len("output_norm.weight") + 4 + 8 + 4
	for name, content := range map[string][]byte{
		"empty":               {},
		"text":                []byte("This is not a model.\n"),
		"random":              noise,
		"truncated in header": good[:60_000],
		"truncated in data":   good[:len(good)-1000],
		"huge counts":         patch(8, 255, 255, 255, 255, 255, 255, 255, 127),
		"offsets outside":     patch(offset, 0, 0, 0, 0, 0, 1),
		"huge vocabulary size": patch(bytes.Index(good, []byte("tokenizer.ggml.tokens"))+len("tokenizer.ggml.tokens")+
			8, 255, 255, 255, 255, 255, 0),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "broken.gguf")
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"run", file, "Hi"}, {"inspect", file}, {"tokenize", file, "x"}} {
				start := command
				if name == "huge counts" {
					start = process
				}
				r := start(t, "", args...)
				answer := ""
				if args[0] == "inspect" {
					reason := strings.TrimPrefix(r.errOut, "hipengine: ")
					answer = "architecture  unknown\nsupported     no: " + reason
				}
				if r.code != 1 || strings.Count(r.errOut, "\n") != 1 || !strings.Contains(r.errOut, "broken.gguf") ||
					r.out != answer {
					t.Errorf("%s: exit %d, out %q, err %q", args[0], r.code, r.out, r.errOut)
				}
				took := max(r.allocated, uint64(r.maxRSS))
				if took == 0 && runtime.GOOS == "linux" || took > 200<<20 {
					t.Errorf("%s took %d MB", args[0], took>>20)
				}
			}
		})
	}
}

func TestConform(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	r := command(t, "", "conform", "--device", "ref", "--match", "^Ops/(rope|swiglu)/", "-v", "--json", file)
	if r.code != 0 || !strings.Contains(r.out, "device ref") || !strings.Contains(r.out, "pass") ||
		!strings.Contains(r.out, "0 fail") {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	if b, err := os.ReadFile(file); err != nil || !json.Valid(b) {
		t.Errorf("the report is not JSON: %v", err)
	}
	if r := command(t, "", "conform", "--match", "no such check"); r.code != 1 ||
		!strings.Contains(r.errOut, "no check matched") {
		t.Errorf("exit %d, err %q", r.code, r.errOut)
	}
}

func TestJoinNumbers(t *testing.T) {
	got := joinNumbers([]string{"run", "--top-k", "-1", "--seed=3", "-5", "--think", "-n", "-2", "--temp", "-.5",
		"-x"})
	want := []string{"run", "--top-k=-1", "--seed=3", "-5", "--think", "-n", "-2", "--temp=-.5", "-x"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestPrintable checks that metadata without a form in JSON becomes text.
func TestPrintable(t *testing.T) {
	inf := math.Inf(1)
	for _, v := range []any{inf, float32(inf), []float64{1, -inf}, []float32{float32(math.NaN())}} {
		if b, err := json.Marshal(printable(v)); err != nil || b[0] != '"' {
			t.Errorf("%v is %s (%v)", v, b, err)
		}
	}
	if b, err := json.Marshal(printable([]float32{1.5})); err != nil || string(b) != "[1.5]" {
		t.Errorf("numbers are %s (%v)", b, err)
	}
}
