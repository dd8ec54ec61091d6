package hipengine

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/hf"
)

// TestConvertAgrees converts the tiny models in folders, all of those whose architecture is known: text becomes the
// same ids, conversations the same text, answers end at the same tokens, and logits are equal bit by bit.
func TestConvertAgrees(t *testing.T) {
	h, err := NewHost(HostOptions{Device: "ref"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	models := testfiles.Models
	if testing.Short() {
		models = []string{"llama", "phi3", "gemma3", "qwen35"}
	}
	for _, name := range models {
		t.Run(name, func(t *testing.T) { checkConverted(t, h, testfiles.Model(t, name)) })
	}
	t.Run("more", func(t *testing.T) {
		if testing.Short() {
			t.Skip("SKIPPED: -short leaves further architectures to make long")
		}
		dir := testfiles.Path(t, "fixtures2")
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		agreed := 0
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			f, err := hf.Open(path)
			if !e.IsDir() || errors.As(err, new(*hf.UnknownModelError)) {
				continue
			}
			if err == nil {
				f.Close()
			} else if e.Name() == "granite4_moe" { // layers with state space, of a class that also comes without
				out := filepath.Join(t.TempDir(), "m.gguf")
				if e := convert.Convert(t.Context(), path, out, convert.Options{}); e == nil || e.Error() != err.Error() {
					t.Errorf("the folder: %v, to convert it: %v", err, e)
				}
				continue
			}
			agreed++
			t.Run(e.Name(), func(t *testing.T) { checkConverted(t, h, path) })
		}
		t.Logf("%d of %d folders are of known architectures", agreed, len(entries))
	})
}

// checkConverted compares a folder with the file that it is converted to.
func checkConverted(t *testing.T, h *Host, dir string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "m.gguf")
	typ, err := convert.AutoFType(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := convert.Convert(t.Context(), dir, out, convert.Options{Type: typ}); err != nil {
		t.Fatal(err)
	}
	var logits [2][]float32
	var files [2]*File
	var toks [2]*Tokenizer
	for i, path := range []string{dir, out} {
		f, err := OpenFile(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
		if toks[i], err = f.Tokenizer(); err != nil {
			t.Fatal(err)
		}
		m, err := h.Open(t.Context(), path, Options{KVType: "f32", Context: 64})
		if err != nil {
			t.Fatal(err)
		}
		if ids := []int32{1, 5, 3, 9, 2}; !m.Limits().Encoder {
			logits[i] = runBatch(t, m.runner, ids, []int{0})[0]
		} else if states, err := m.hidden(t.Context(), [][]int32{ids}, engine.PoolNone); err != nil {
			t.Fatal(err)
		} else {
			logits[i] = states[0]
		}
		m.Close()
	}
	if !slices.Equal(logits[0], logits[1]) {
		t.Error("logits differ")
	}
	if files[0].template != files[1].template || !maps.Equal(files[0].named, files[1].named) {
		t.Errorf("templates differ: %q and %q", files[0].template, files[1].template)
	}
	if a, b := toks[0].EOG(), toks[1].EOG(); !slices.Equal(a, b) || toks[0].BOSText() != toks[1].BOSText() ||
		toks[0].EOSText() != toks[1].EOSText() {
		t.Errorf("answers end at %v and %v; texts of BOS %q and %q, of EOS %q and %q", a, b, toks[0].BOSText(),
			toks[1].BOSText(), toks[0].EOSText(), toks[1].EOSText())
	}
	for _, text := range []string{"", " ", "Hello  world, it's 12345\n\n\tx", "e\u0301 \ufb01 日本語 don't", " a",
		"<s> x </s> <|im_end|> y<end_of_turn>\n", "<|endoftext|>  <|user|> \n", "0x7F ½ \x00\x01", "   \n\n  a\r\n"} {
		for _, special := range []bool{false, true} {
			a, err1 := toks[0].EncodeText(text, special, special)
			b, err2 := toks[1].EncodeText(text, special, special)
			if err := errors.Join(err1, err2); err != nil || !slices.Equal(a, b) {
				t.Errorf("%q: ids %v and %v (%v)", text, a, b, err)
			}
		}
	}
}
