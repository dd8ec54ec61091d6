package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/hipengine/hipengine"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Doc        string
	GoFiles    []string
	Imports    []string // without those of tests
}

// list asks the go command once.
var list = sync.OnceValues(func() ([]byte, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,Imports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	return cmd.Output()
})

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := list()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var ps []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

// rule says what the packages of a folder may import inside the module: the listed folders, each with everything
// below it, and themselves.
type rule struct {
	dir   string
	allow []string
	why   string
}

// rules are matched by the longest dir. Packages that no rule matches fail the test: a new folder needs a rule.
var rules = []rule{
	{library, []string{"conformance", "engine", "gguf", "internal/ember", "models", "ops", "ops_hip", "ops_ref", "tensor", "text"},
		"the library joins what runs models, and knows neither servers nor commands"},
	{"tensor", nil, "tensor is a leaf that third parties vendor"},
	{"tensor/quant", []string{"tensor"}, "formats are defined by their layout alone"},
	{"gguf", []string{"tensor"}, "a file format needs no compute"},
	{"ops", []string{"tensor"}, "declarations cannot know who implements them"},
	{"ops/fuse", []string{"ops", "tensor"}, "rewrites are neutral to devices"},
	{"ops_ref", []string{"ops", "tensor", "internal/hostmem"}, "the oracle stays readable"},
	{"ops_ref/cpu", []string{"ops_ref", "ops", "tensor", "internal/hostmem"}, "the fast device falls back to the reference alone"},
	{"ops_ref/internal", []string{"ops", "tensor"}, "what both devices share knows neither"},
	{"ops_hip", []string{"ops", "tensor", "internal/hostmem", "internal/codeobj"}, "no silent fallback to the host is possible if it cannot be imported"},
	{"models", []string{"ops", "tensor", "gguf", "engine/kv"}, "a model does not know the device"},
	{"models/arch", []string{"models/nn", "models", "ops", "tensor", "gguf", "engine/kv"}, "an architecture is made of shared blocks"},
	{"models/hf", []string{"models", "ops", "tensor", "gguf", "text/tokenizer", "engine/sample", "internal/strictjson"}, "a folder holds weights, a tokenizer and sampling defaults"},
	{"models/hub", []string{"gguf"}, "what fetches files knows their names alone"},
	{"models/synth", []string{"models", "ops", "tensor", "gguf", "text/tokenizer"}, "synthetic models come with a tokenizer"},
	{"models/eval", []string{"models", "ops", "tensor", "gguf", "engine/runner", "internal/logits"}, "judges run models"},
	{"text", []string{"gguf"}, "text needs no compute"},
	{"text/jinja", nil, "the template language knows nothing of messages or tokens"},
	{"text/tokenizer", []string{"gguf"}, "a tokenizer is made of a file's metadata"},
	{"text/grammar", []string{"text/tokenizer"}, "a grammar speaks of bytes, and of the tokens that spell them"},
	{"text/toolcall", []string{"text/grammar"}, "what models write is text"},
	{"text/chat", []string{"text/jinja", "text/tokenizer"}, "templates turn messages into pieces of prompts"},
	{"engine", []string{"models", "ops", "tensor"}, "the engine is testable with a fake device"},
	{"engine/kv", []string{"tensor"}, "layouts of state are data, which models declare"},
	{"engine/sample", []string{"internal/logits"}, "a sampler sees logits alone"},
	{"engine/spec", []string{"engine/kv", "engine/runner", "engine/sample"}, "drafters know runners and samplers, and no engine"},
	{"engine/bench", []string{"engine", "models", "ops", "tensor", "gguf"}, "measurements know what a file holds"},
	{"serve", []string{"engine", "internal/strictjson", "text/grammar", "text/toolcall"}, "the server is testable with a fake engine"},
	{"serve/openai", []string{"engine/sample", "internal/strictjson", "text/grammar", "text/toolcall"}, "wire types know no engine"},
	{"serve/ollama", []string{"serve/openai", "text/grammar"}, "requests of a further dialect become those of the first"},
	{"serve/anthropic", []string{"serve/openai"}, "requests of a second dialect become those of the first"},
	{"serve/metrics", []string{"engine"}, "metrics read what engines count"},
	{"serve/web", nil, "the page knows the server by its API"},
	{"serve/tracing", []string{"engine"}, "traces are made of what happens to sequences"},
	{"conformance", []string{
		"ops", "ops_ref", "models", "gguf", "tensor", "engine/kv", "engine/runner", "internal/logits", "internal/tiny",
	}, "a third party must not need HIP"},
	{"internal/ember", []string{"gguf"}, "the built-in model is a file like any other"},
	{"internal/ember/pack", []string{"gguf", "internal/safetensors", "models/convert"}, "a command that writes the file of the built-in model"},
	{"internal/hubtest", nil, "a hub serves files, whatever they are"},
	{"internal/doctor", []string{"ops_hip"}, "it reads files, and knows which runtimes know which GPU"},
	{"internal/fake", []string{"engine"}, "what the server needs of an engine"},
	{"internal/tiny", []string{"gguf", "models", "tensor"}, "tiny models are metadata and random weights"},
	{"internal/rawgguf", nil, "bytes as the specification lays them out"},
	{"internal/testfiles", []string{"internal/safetensors"}, "fixtures are files, whoever reads them"},
	{"internal/logits", nil, "arithmetic on rows needs nothing of ours"},
	{"internal/safetensors", nil, "a file format needs no compute"},
	{"internal/codeobj", nil, "what a compiled kernel says of itself needs no device"},
	{"internal/hostmem", nil, "what the operating system says needs nothing of ours"},
	{"internal/strictjson", nil, "JSON is JSON"},
	{"internal/supervise", []string{"serve/openai"}, "a supervisor knows nothing of models, so that none of their faults are its own"},
	{"internal/footprint", nil, "it measures programs from outside"},
	{"internal/testsum", nil, "it reads what go test prints"},
	{"internal/archtest", nil, "tests of the module's shape"},
	{"internal/roofline", []string{"engine/kv", "engine/runner", "gguf", "models", "ops", "ops_hip", "tensor"}, "bounds of shipped kernels and of models"},
	{"cmd", []string{library, "serve", "conformance", "engine/bench", "engine/pool", "gguf", "internal/doctor", "internal/roofline", "internal/supervise", "models/convert", "models/eval", "models/hub", "models/synth", "text/chat"},
		"commands are flags and printing: runner, tokenizer and devices are the library's"},
}

// below says which folders below its own a package may not import: what is fast does not leak into what defines.
var below = map[string][]string{
	"ops":     {"ops/fuse"},
	"ops_ref": {"ops_ref/cpu", "ops_ref/internal/simd"},
}

// thirdParty says which folders may import an outside module.
var thirdParty = map[string][]string{
	"github.com/dlclark/regexp2/v2":   {"text/tokenizer"},
	"github.com/ebitengine/purego":    {"ops_hip/internal/hiprt"},
	"github.com/klauspost/cpuid/v2":   {"ops_ref/internal/simd"},
	"github.com/pkg/profile":          {"cmd"},
	"github.com/alecthomas/kong":      {"cmd"},
	"github.com/coreos/go-systemd":    {"cmd"},           // how a service says that it is ready
	"github.com/prometheus":           {"serve/metrics"}, // the client library and the types of its interface
	"github.com/pelletier/go-toml/v2": {"cmd"},
	"go.opentelemetry.io":             {"serve/tracing"},
	"google.golang.org/protobuf":      {"serve/tracing"}, // in which OpenTelemetry has its messages
	"github.com/cenkalti/backoff/v5":  {"serve/tracing"},
	"golang.org/x/term":               {"cmd"},
	"golang.org/x/text":               {"text/jinja", "text/tokenizer", "internal/testfiles/pack"},
	"golang.org/x/exp":                {"."},
	"golang.org/x/sys":                {"."},
	"github.com/google/go-cmp":        {}, // tests only, which Imports leaves out
	"github.com/santhosh-tekuri":      {}, // tests only
	"github.com/pb33f":                {}, // tests only
	"github.com/hipengine/hipengine/": {"."},
}

// library stands for the package at the module's root, and "." for all packages.
const library = "(root)"

func within(path, dir string) bool {
	return dir == "." || path == dir || strings.HasPrefix(path, dir+"/")
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		dir := relative(p.ImportPath)
		var r *rule
		for i := range rules {
			if within(dir, rules[i].dir) && (r == nil || len(rules[i].dir) > len(r.dir)) {
				r = &rules[i]
			}
		}
		if r == nil {
			t.Errorf("%s: no import rule covers this folder", dir)
			continue
		}
		for _, imp := range p.Imports {
			if imp == "unsafe" && within(dir, "ops_ref") && dir != "ops_ref/internal/cast" {
				t.Errorf("%s imports unsafe: the reference stays readable, unsafe is for ops_ref/internal/cast", dir)
			}
			if !strings.HasPrefix(imp, module) {
				checkThirdParty(t, dir, imp)
				continue
			}
			to := relative(imp)
			if slices.ContainsFunc(below[dir], func(d string) bool { return within(to, d) }) {
				t.Errorf("%s imports %s: %s", dir, to, r.why)
			}
			if !within(to, r.dir) && !slices.ContainsFunc(r.allow, func(a string) bool { return within(to, a) }) {
				t.Errorf("%s imports %s: %s", dir, to, r.why)
			}
			if within(to, "models/arch") && dir != "models/arch/all" && (to != "models/arch/all" || dir != library) {
				t.Errorf("%s imports %s: only models/arch/all links architectures, and only the library links them all", dir, to)
			}
		}
	}
}

func checkThirdParty(t *testing.T, dir, imp string) {
	t.Helper()
	if !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
		return // standard library
	}
	for mod, dirs := range thirdParty {
		if within(imp, mod) {
			if !slices.ContainsFunc(dirs, func(d string) bool { return within(dir, d) }) {
				t.Errorf("%s imports %s, which only %v may", dir, imp, dirs)
			}
			return
		}
	}
	t.Errorf("%s imports %s, which no rule allows", dir, imp)
}

func relative(path string) string {
	if path == module {
		return library
	}
	return strings.TrimPrefix(path, module+"/")
}

func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", relative(p.ImportPath))
		}
	}
}
