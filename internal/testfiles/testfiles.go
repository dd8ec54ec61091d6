package testfiles

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"testing"
)

// Env names the variable with the folder of the whole set.
const Env = "HIPENGINE_TEST_FIXTURES"

// Models are the tiny models in folders, of which each has exact results of PyTorch beside it.
var Models = []string{
	"gemma2", "gemma3", "gemma4", "gemma4moe", "gptoss", "llama", "mistral", "phi3", "qwen2", "qwen3", "qwen35",
	"qwen35moe", "qwen3moe",
	"qwen3next",
}

// More are further models of the same kind, whose results were computed in float32 throughout: no rotary table was
// rounded to BF16.
var More = []string{
	"apertus", "arcee", "bamba", "cohere", "cohere2", "deepseek_v2_lite", "deepseek_v3", "ernie4_5", "exaone4",
	"falcon_h1", "glm4_moe", "glm4_moe_lite", "gpt_neox", "granite4_attn", "granite4_moe", "helium", "hunyuan_dense",
	"kimi_linear", "lfm2", "mamba2", "minimax_m2", "ministral", "nemotron_h", "olmo3", "olmo_hybrid", "seed_oss", "smollm3",
	"stablelm", "starcoder2",
}

// Seeing are tiny models that also see, whose results for text were computed like those of More.
var Seeing = []string{"gemma3_vl", "qwen3_vl", "qwen35_vl"}

// GGUFs are the tiny models in files, of which each has exact logits beside it.
var GGUFs = []string{
	"llama-Q2_K", "llama-Q3_K_S", "llama-Q4_K_M", "llama-Q5_K_M", "llama-Q6_K", "llama-Q8_0", "llamaspm-Q4_K_M",
	"qwen2-Q4_K_M",
	"qwen3-Q4_K_M", "qwen35-Q2_K", "qwen35-Q4_K_M", "qwen35-Q8_0", "qwen35moe-Q4_K_M", "qwen3moe-Q4_K_M",
}

// plain are the folders of the repository whose files are those of a folder in the whole set.
var plain = map[string][]string{
	"gguf-fixtures": {"testdata/gguf"},
	"builtin-model": {"testdata/ember", "internal/ember"},
}

// Root returns the folder of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("testfiles: no go.mod above the test")
		}
	}
}

// Model returns a copy of the folder of one of Models, More or Seeing.
func Model(t testing.TB, name string) string {
	t.Helper()
	if slices.Contains(More, name) || slices.Contains(Seeing, name) {
		return Path(t, path.Join("fixtures2", name))
	}
	return Path(t, path.Join("fixtures", name))
}

// GGUF returns the file of one of GGUFs. What belongs to it lies beside it: NAME.json and NAME.logits.f32.
func GGUF(t testing.TB, name string) string {
	t.Helper()
	return Path(t, path.Join("gguf-fixtures", name+".gguf"))
}

// Path returns a file or folder by its path in the whole set, with slashes. It may lie in the repository, and must
// not be written to. A folder that ships is unpacked for the test. Without the fixture the test is skipped.
func Path(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range plain[path.Dir(name)] {
		if p := filepath.Join(Root(t), dir, path.Base(name)); exists(p) {
			return p
		}
	}
	if archive := archiveOf(t, name); exists(archive) {
		return unpacked(t, archive, path.Base(name))
	}
	dir := larger(t)
	if dir == "" {
		t.Skipf("SKIPPED: no folder of larger fixtures: %s", name)
	}
	p := filepath.Join(dir, filepath.FromSlash(name))
	if !exists(p) {
		t.Fatalf("testfiles: %s has no %s", dir, name)
	}
	return p
}

// Folder returns a folder of the whole set, or what ships of it; then a subtest is skipped for the rest.
func Folder(t *testing.T, name string) string {
	t.Helper()
	if dir := larger(t); dir != "" {
		return Path(t, name)
	}
	t.Run("rest", func(t *testing.T) { t.Skipf("SKIPPED: no folder of larger fixtures: the rest of %s", name) })
	return unpacked(t, archiveOf(t, name), path.Base(name))
}

// Tokenizer returns a published tokenizer.json, and the ids that its owner's library gives for texts. Those that ship
// are cut to the tokens that these texts can need.
func Tokenizer(t testing.TB, name string) (tokenizerJSON, rows []byte) {
	t.Helper()
	var dir string
	if archive := archiveOf(t, path.Join("tokenizers", name)); exists(archive) {
		dir = unpacked(t, archive, name)
		tokenizerJSON = read(t, filepath.Join(dir, name+".json"))
	} else {
		packed := Path(t, path.Join("tokenizers", name+".json.xz"))
		dir = filepath.Dir(packed)
		xz, err := exec.LookPath("xz")
		if err != nil {
			t.Skip("SKIPPED: the program xz, which unpacks larger fixtures, is missing")
		}
		if tokenizerJSON, err = exec.Command(xz, "-dc", packed).Output(); err != nil {
			t.Fatal(err)
		}
	}
	return tokenizerJSON, read(t, filepath.Join(dir, name+".expected.json"))
}

// larger returns the folder of the whole set, or "" where there is none.
func larger(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv(Env); dir != "" {
		return dir
	}
	for dir := filepath.Dir(Root(t)); ; dir = filepath.Dir(dir) {
		if s := filepath.Join(dir, "shared"); exists(filepath.Join(s, "fixtures")) {
			return s
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func archiveOf(t testing.TB, name string) string {
	return filepath.Join(Root(t), "testdata", filepath.FromSlash(name)+".zip")
}

// unpacked unpacks an archive into a folder of the test.
func unpacked(t testing.TB, archive, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := Unpack(dir, archive); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}
