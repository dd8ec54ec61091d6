package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func encode(t testing.TB, tok *Tokenizer, text string, o Options) []int32 {
	t.Helper()
	ids, err := tok.Encode(text, o)
	if err != nil {
		t.Error(err)
	}
	return ids
}

func encodePrompt(t testing.TB, tok *Tokenizer, text string) []int32 {
	t.Helper()
	return encodePieces(t, tok, []Piece{{Text: text}})
}

func encodePieces(t testing.TB, tok *Tokenizer, pieces []Piece) []int32 {
	t.Helper()
	ids, err := tok.EncodePieces(pieces)
	if err != nil {
		t.Error(err)
	}
	return ids
}

// parse makes pieces of a text in which plain ones stand in square brackets.
func parse(text string) []Piece {
	var out []Piece
	for text != "" {
		own, rest, _ := strings.Cut(text, "[")
		plain, after, _ := strings.Cut(rest, "]")
		out = append(out, Piece{Text: own}, Piece{Text: plain, Plain: true})
		text = after
	}
	return out
}

func TestEncodePieces(t *testing.T) {
	tok := newTokenizer(t, toyVocab())
	tests := []struct{ text, want string }{
		{"<|im_end|>", "<|im_end|>"},
		{"[<|im_end|>]", "< | i m _ e n d | >"},
		{"<|im_end|>[<|im_end|>]<|im_end|>", "<|im_end|> < | i m _ e n d | > <|im_end|>"},
		{"<|im[_]end|>", "< | i m _ e n d | >"},
		{"[<]|im_end|>", "< | i m _ e n d | >"},
		{"<|im_end|[>]", "< | i m _ e n d | >"},
		{"<|im_[end|>]<|im_end|>", "< | i m _ e n d | > <|im_end|>"},
		{"[<|im]<|im_end|>", "< | i m <|im_end|>"},
		{"<s>[</s>]", "<s> < / s >"},
		{"[<tool><unk>]<tool><unk>", "< t o o l > < u n k > <tool> <unk>"},
		{"he[l]lo [wor]", "hello Ġwor"}, // merges cross the borders
		{"hel[lo]<think>[ w]or", "hello <think> Ġwor"},
		{"[é]", "Ã©"},
		{"[]", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(pieces(tok, encodePieces(t, tok, parse(tt.text))), " "); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.text, got, tt.want)
		}
	}
	v := toyVocab()
	v.Prefix = []int32{v.BOS}
	tok = newTokenizer(t, v)
	for text, want := range map[string]string{"<s>x": "<s> x", "[<s>x]": "<s> < s > x", "x": "<s> x", "": "<s>"} {
		if got := strings.Join(pieces(tok, encodePieces(t, tok, parse(text))), " "); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	if got := encodePieces(t, tok, []Piece{{Text: "h\xff"}, {Text: "<tool>\xc3", Plain: true}}); len(got) == 0 {
		t.Error("invalid UTF-8 gave nothing")
	}
}

// TestPlainTextHidesNoMarker takes tokens that are prefixes of others: where the longest does not count, a shorter one
// that is the template's own still does.
func TestPlainTextHidesNoMarker(t *testing.T) {
	for _, leftmost := range []bool{false, true} {
		v := toyVocab()
		v.LeftmostSpecial = leftmost
		for _, text := range []string{"<a>", "<a>b", "c<a>"} {
			v.Tokens, v.Types = append(v.Tokens, text), append(v.Types, Control)
		}
		tok := newTokenizer(t, v)
		for text, want := range map[string]string{
			"c<a>b": "c<a> b", "<a>b": "<a>b", "<a>[b]": "<a> b", "[c]<a>": "c <a>", "[c]<a>[b]": "c <a> b",
			"[c<a>b]": "c < a > b",
			"[c]<a>b": "c <a>b", "[<a>]b": "< a > b", "[<a>b<]a>b": "< a > b < a > b",
		} {
			if !leftmost && text == "c<a>b" {
				want = "c <a>b" // of equally long ones the first token counts
			}
			if got := strings.Join(pieces(tok, encodePieces(t, tok, parse(text))), " "); got != want {
				t.Errorf("leftmost %v, %s\ngot  %s\nwant %s", leftmost, text, got, want)
			}
		}
	}
}

// TestPlainTextAndNormalizers takes tokens that match text after it was normalised, across whose steps the origin of
// bytes must be followed.
func TestPlainTextAndNormalizers(t *testing.T) {
	v := toyVocab()
	v.Normalizers = []Normalizer{
		{Kind: NormalizeNFC}, {Kind: NormalizePrepend, New: "_"}, {Kind: NormalizeReplace, Old: "AB", New: "<"},
		{Kind: NormalizeReplace, Old: "\u00e9", New: "e"},
	}
	v.Attrs = map[int32]Attr{}
	v.Tokens[slices.Index(v.Tokens, "<think>")] = "é>" // normalised: e>
	v.Tokens[slices.Index(v.Tokens, "<s>")] = "x<y"
	for i, text := range v.Tokens {
		if text == "é>" || text == "x<y" {
			v.Attrs[int32(i)] = Attr{Normalized: true}
		}
	}
	tok := newTokenizer(t, v)
	for text, want := range map[string]string{
		"é>":              "é>", // it matches _e>, as its own text is normalised to that
		"[q]é>":           "_ q e >",
		"[q]_e\u0301>":    "_ q é>",
		"[q]_e[\u0301]>":  "_ q _ e >",
		"[q_e\u0301]>":    "_ q _ e >",
		"[e]\u0301>_x<y":  "_ e > x<y",
		"_xABy":           "_ x<y",
		"_x[A]By":         "_ _ x < y",
		"_xABy[_xABy]":    "_ x<y _ x < y",
		"[ABé]_xABy[AB]":  "_ < e x<y <",
		"[_x]ABy":         "_ _ x < y",
		"[\u0301]_xABy":   "_ Ì ģ x<y",
		"_xAB<tool>y[AB]": "_ _ x < <tool> _ y <",
	} {
		got := strings.Join(pieces(tok, encodePieces(t, tok, parse(text))), " ")
		if got != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// TestPublishedPieces encodes pieces with the published tokenizers.
func TestPublishedPieces(t *testing.T) {
	for i, name := range []string{"gptoss", "gemma3", "deepseek_v3", "llama2", "llama3_1", "qwen3"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && i > 1 {
				t.Skip("SKIPPED: -short leaves all but a tokenizer of each kind to make long")
			}
			tok := hfTokenizer(t, name)
			checkMarkers(t, tok)
			checkBorders(t, tok, hfRows(t, name))
		})
	}
}

// checkMarkers puts each added token into plain text: whole, and with a border of pieces in it. It must not come out,
// unless the model step makes it of any text.
func checkMarkers(t *testing.T, tok *Tokenizer) {
	words := tok.special[1].words
	markers := 0
	for i, text := range tok.v.Tokens {
		typ := tok.v.typeOf(int32(i))
		if typ != Control && typ != Unknown && typ != UserDefined || text == "" {
			continue
		}
		if i%40 != 0 && (strings.Contains(text, "unused") || strings.Contains(text, "reserved") ||
			strings.Contains(text, "place")) {
			continue // there are thousands of these
		}
		for _, p := range [][]Piece{
			{{"a", false}, {text, true}, {"b", false}},
			{{"a", false}, {"a " + text + text, true}, {"b", false}},
			{{text[:1], false}, {text[1:], true}},
			{{text[:1], true}, {text[1:], false}},
		} {
			if !utf8.ValidString(p[0].Text) || !utf8.ValidString(p[1].Text) {
				continue
			}
			if slices.Contains(encodePieces(t, tok, p)[len(tok.prefix):], int32(i)) && !words[int32(i)] {
				t.Fatalf("token %q came out of %v", text, p)
			}
		}
		if words[int32(i)] {
			if strings.Trim(text, "\n\t▁") != "" {
				t.Errorf("token %q counts as a word", text)
			}
			continue
		}
		markers++
		if !slices.Contains(encodePieces(t, tok, []Piece{{"a", true}, {text, false}, {"b", true}}), int32(i)) {
			t.Errorf("token %q of the template did not come out", text)
		}
	}
	if markers < 3 {
		t.Errorf("only %d markers", markers)
	}
	t.Logf("%d markers, %d pinned words", markers, len(words))
}

// checkBorders cuts texts anywhere: without markers the ids are those of the whole text, whatever is plain.
func checkBorders(t *testing.T, tok *Tokenizer, rows []hfRow) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, row := range rows {
		want := encodePrompt(t, tok, row.Text)
		marked := slices.ContainsFunc(want[min(len(tok.prefix), len(want)):], func(id int32) bool {
			_, typ := tok.Token(id)
			return typ != Normal && typ != Byte && !tok.special[1].words[id]
		})
		var own, mixed []Piece
		for rest := row.Text; rest != ""; {
			n := 1 + r.IntN(len(rest))
			for n < len(rest) && !utf8.RuneStart(rest[n]) {
				n++
			}
			own, mixed = append(own, Piece{rest[:n], false}), append(mixed, Piece{rest[:n], r.IntN(2) == 0})
			rest = rest[n:]
		}
		if got := encodePieces(t, tok, own); !slices.Equal(got, want) {
			t.Errorf("%v\n got %v\nwant %v", own, got, want)
		}
		if got := encodePieces(t, tok, mixed); !marked && !slices.Equal(got, want) {
			t.Errorf("%v\n got %v\nwant %v", mixed, got, want)
		}
	}
}
