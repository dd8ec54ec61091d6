package toolcall

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// toolsJSON are tools with parameters of every kind.
const toolsJSON = `[
{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"},
	"unit":{"enum":["C","F"]}},"required":["city"],"additionalProperties":false}}},
{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]}}},
{"type":"function","function":{"name":"note","parameters":{"type":"object","properties":{"text":{"type":"string","maxLength":40},"tags":{"type":"array","items":{"type":"string"}},
	"done":{"type":"boolean"}},"required":["text"],"additionalProperties":false}}}]`

func testTools(t testing.TB) *Tools {
	t.Helper()
	tools, err := ParseTools([]byte(toolsJSON))
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

// outcome is what events add up to. It reports events in an order that cannot be.
type outcome struct {
	Content, Reasoning string
	Calls              []call
}

type call struct{ Name, ID, Arguments string }

func (o *outcome) add(t testing.TB, events []Event) {
	t.Helper()
	for _, e := range events {
		switch e.Kind {
		case Content:
			o.Content += e.Text
		case Reasoning:
			o.Reasoning += e.Text
		case Begin:
			if e.Call != len(o.Calls) || e.Text == "" {
				t.Errorf("call %d, %q, begins behind %d calls", e.Call, e.Text, len(o.Calls))
			}
			o.Calls = append(o.Calls, call{Name: e.Text, ID: e.ID})
		case Arguments:
			if e.Call != len(o.Calls)-1 {
				t.Fatalf("arguments of call %d of %d", e.Call, len(o.Calls))
			}
			o.Calls[e.Call].Arguments += e.Text
		case End:
			if e.Call != len(o.Calls)-1 {
				t.Errorf("call %d of %d ends", e.Call, len(o.Calls))
			}
		}
		if e.Text == "" && e.Kind != End {
			t.Errorf("an event of kind %d without text", e.Kind)
		}
	}
}

// parse parses text that comes in these pieces.
func parse(t testing.TB, f *Format, o Options, pieces ...string) outcome {
	t.Helper()
	var out outcome
	p := f.NewParser(o)
	for _, s := range pieces {
		out.add(t, p.Push(s))
	}
	out.add(t, p.Flush())
	out.add(t, p.Flush()) // has nothing left
	return out
}

func byName(t testing.TB, name string) *Format {
	t.Helper()
	f, err := ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var answers = []struct {
	format, text string
	open         bool
	want         outcome
}{
	{"plain", " Hello \n<tool_call>", false, outcome{Content: " Hello \n<tool_call>"}},
	{"plain", "<think>\nHm.\n</think>\n\nYes. <think>no</think>\n", false,
		outcome{"Yes. <think>no</think>\n", "Hm.", nil}},
	{"plain", "Hm, a < b.\n</think>\n\nYes", true, outcome{"Yes", "Hm, a < b.", nil}},
	{"plain", "still thinking", true, outcome{"", "still thinking", nil}},
	{"plain", "a <thi", false, outcome{Content: "a <thi"}},
	{"plain", "\n <thin", false, outcome{Content: "\n <thin"}},
	{"hermes", "Let me see.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris }\", \"days\": 2}}\n</tool_call>\n<tool_call>\n{\"arguments\": {\"a\": [1, {}]}, \"name\": \"add\"}\n</tool_call>", false,
		outcome{"Let me see.", "",
			[]call{{"get_weather", "", `{"city": "Paris }", "days": 2}`}, {"add", "", `{"a": [1, {}]}`}}}},
	{"hermes", "<think>\nweather?\n</think>\n\n<tool_call>{\"name\":\"add\",\"id\":\"x1\",\"arguments\":\"{\\\"a\\\":1}\"}</tool_call> Done.", false,
		outcome{"Done.", "weather?", []call{{"add", "x1", `{"a":1}`}}}},
	{"hermes", "<tool_call>\n{\"name\": \"add\"}\n</tool_call>", false, outcome{"", "", []call{{"add", "", "{}"}}}},
	{"hermes", "Write <tool_call> like this: <tool_call>{\"x\": 1}</tool_call> é", false,
		outcome{Content: "Write <tool_call> like this: <tool_call>{\"x\": 1}</tool_call> é"}},
	{"hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1", false,
		outcome{"", "", []call{{"add", "", `{"a": 1`}}}},
	{"hermes", "<tool_call>\n{\"name\": \"ad", false, outcome{Content: "<tool_call>\n{\"name\": \"ad"}},
	{"qwen-xml", "I look.\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nNew\nYork\n\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=add>\n</function>\n</tool_call>", false,
		outcome{"I look.", "", []call{{"get_weather", "", `{"city": "New\nYork\n", "days": 3}`}, {"add", "", "{}"}}}},
	{"qwen-xml", "<tool_call>\n<function=note>\n<parameter=text>\n42 <b> \"q\"\n</parameter>\n<parameter=done>\nTrue\n</parameter>\n<parameter=tags>\n[\"a\", 1]\n</parameter>\n<parameter=other>\nfree text\n</parameter>\n</function>\n</tool_call>", false,
		outcome{"", "", []call{{"note", "",
			`{"text": "42 <b> \"q\"", "done": true, "tags": ["a", 1], "other": "free text"}`}}}},
	{"qwen-xml", "<function=add>\n<parameter=a>1</parameter></function>", false,
		outcome{"", "", []call{{"add", "", `{"a": 1}`}}}},
	{"qwen-xml", "<tool_call>\nno call", false, outcome{Content: "<tool_call>\nno call"}},
	{"qwen-xml", "<tool_call>\n<function=note>\n<parameter=text>\ncut o", false,
		outcome{"", "", []call{{"note", "", `{"text": "cut o"}`}}}},
	{"llama3", "{\"name\": \"add\", \"parameters\": {\"a\": 1, \"b\": 2}}", false,
		outcome{"", "", []call{{"add", "", `{"a": 1, "b": 2}`}}}},
	{"llama3", "<|python_tag|>{\"type\": \"function\", \"name\": \"add\", \"parameters\": {\"a\": 1}}; {\"name\": \"note\", \"parameters\": {}}", false,
		outcome{"", "", []call{{"add", "", `{"a": 1}`}, {"note", "", "{}"}}}},
	{"llama3", "{\"result\": 5}", false, outcome{Content: "{\"result\": 5}"}},
	{"llama3", "The sum {is} 3.", false, outcome{Content: "The sum {is} 3."}},
	{"llama3", "  {", false, outcome{Content: "  {"}},
	{"mistral", "Sure.[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Rome\"}[TOOL_CALLS]add[CALL_ID]abcdefghi[ARGS]{\"a\": 1}", false,
		outcome{"Sure.", "", []call{{"get_weather", "", `{"city": "Rome"}`}, {"add", "abcdefghi", `{"a": 1}`}}}},
	{"mistral", "[THINK]Hm[/THINK]Answer", false, outcome{"Answer", "Hm", nil}},
	{"mistral-list", "[TOOL_CALLS][{\"name\": \"add\", \"id\": \"123456789\", \"arguments\": {\"a\": 1}}, {\"name\": \"note\", \"arguments\": {\"text\": \"]\"}}]", false,
		outcome{"", "", []call{{"add", "123456789", `{"a": 1}`}, {"note", "", `{"text": "]"}`}}}},
	{"mistral", "[TOOL_CALLS] is a marker", false, outcome{Content: "[TOOL_CALLS] is a marker"}},
	{"gemma4", "<|channel>thought\nweather\n<channel|>Well.<|tool_call>call:get_weather{city:<|\"|>New \"York\", é<|\"|>,days:2}<tool_call|><|tool_call>call:note{tags:[<|\"|>a<|\"|>,<|\"|>b:{c<|\"|>],text:<|\"|><|\"|>,o:{x:true,y:null}}<tool_call|>", false,
		outcome{"Well.", "weather", []call{{"get_weather", "", `{"city":"New \"York\", é","days":2}`},
			{"note", "", `{"tags":["a","b:{c"],"text":"","o":{"x":true,"y":null}}`}}}},
	{"gemma4", "<|tool_call>call:add{}<tool_call|>", false, outcome{"", "", []call{{"add", "", "{}"}}}},
	{"gemma4", "<|tool_call>no<tool_call|>", false, outcome{Content: "<|tool_call>no<tool_call|>"}},
	{"harmony", "<|channel|>analysis<|message|>User wants weather.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"city\":\"Oslo\"}", false,
		outcome{"", "User wants weather.", []call{{"get_weather", "", `{"city":"Oslo"}`}}}},
	{"harmony", "<|channel|>analysis<|message|>Hm.<|start|>assistant<|channel|>final<|message|>It is\n warm. ", false,
		outcome{"It is\n warm. ", "Hm.", nil}},
	{"harmony", " to=functions.add<|channel|>commentary json<|message|>{\"a\": 1}<|start|>assistant to=functions.note<|channel|>commentary json<|message|>{\"text\": \"\"}", false,
		outcome{"", "", []call{{"add", "", `{"a": 1}`}, {"note", "", `{"text": ""}`}}}},
	{"harmony", "<|channel|>commentary to=functions. json<|message|>{}", false, outcome{Content: "{}"}},
	{"harmony", "Just text.", false, outcome{Content: "Just text."}},
	{"glm", "<think>Hm</think>\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Bonn</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>add</tool_call>", false,
		outcome{"", "Hm", []call{{"get_weather", "", `{"city": "Bonn", "days": 2}`}, {"add", "", "{}"}}}},
	{"glm", "ok <tool_call>note<arg_key>text</arg_key><arg_value>\nx\n</arg_value><arg_key>tags</arg_key><arg_value>[\"y\"]</arg_value></tool_call>", false,
		outcome{"ok", "", []call{{"note", "", `{"text": "\nx\n", "tags": ["y"]}`}}}},
	{"glm", "<tool_call>is {no} call</tool_call>", false, outcome{Content: "<tool_call>is {no} call</tool_call>"}},
	{"deepseek", "Ok.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜><｜tool▁call▁begin｜>note<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", false,
		outcome{"Ok.", "", []call{{"add", "", `{"a": 1}`}, {"note", "", "{}"}}}},
	{"deepseek-fenced", "thinking\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{\"a\": 1,\n \"b\": \"`\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>note\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", true,
		outcome{"", "thinking", []call{{"add", "", "{\"a\": 1,\n \"b\": \"`\"}"}, {"note", "", "{}"}}}},
	{"deepseek-fenced", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n<｜tool▁call▁end｜> {}", false,
		outcome{Content: "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n<｜tool▁call▁end｜> {}"}},
	{"deepseek", "<｜tool▁calls▁begin｜>none", false, outcome{Content: "<｜tool▁calls▁begin｜>none"}},
	{"deepseek-dsml", "So:\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"city\" string=\"true\">Köln</｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" string=\"false\">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name=\"add\">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>", false,
		outcome{"So:", "", []call{{"get_weather", "", `{"city": "Köln", "days": 2}`}, {"add", "", "{}"}}}},
	{"deepseek-dsml", "<｜DSML｜tool_calls>\nno", false, outcome{Content: "<｜DSML｜tool_calls>\nno"}},
	{"granite", "<|tool_call|>[{\"name\": \"add\", \"arguments\": {\"a\": 1}}, {\"name\": \"note\", \"arguments\": {}}]", false,
		outcome{"", "", []call{{"add", "", `{"a": 1}`}, {"note", "", "{}"}}}},
	{"hermes", "<tool_call> {\"name\": \"add\" \"\":0 }", false, outcome{"", "", []call{{"add", "", "{}"}}}},
	{"granite", "<|tool_call|>none", false, outcome{Content: "<|tool_call|>none"}},
}

// TestParser parses answers of all formats, whole, byte by byte, and cut at every place and at random ones.
func TestParser(t *testing.T) {
	tools := testTools(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, a := range answers {
		f := byName(t, a.format)
		o := Options{Tools: tools, Reasoning: true, Open: a.open}
		want := fmt.Sprintf("%+v", a.want)
		got := parse(t, f, o, a.text)
		if s := fmt.Sprintf("%+v", got); s != want {
			t.Errorf("%s, %q:\n got %s\nwant %s", a.format, a.text, s, want)
			continue
		}
		tryCuts(t, f, o, a.text, rng)
		for i := range len(a.text) { // also where it is broken off
			whole := parse(t, f, o, a.text[:i])
			if bytewise := parse(t, f, o,
				strings.Split(a.text[:i], "")...); fmt.Sprint(bytewise) != fmt.Sprint(whole) {
				t.Errorf("%s, %q: byte by byte %+v, whole %+v", a.format, a.text[:i], bytewise, whole)
			}
		}
	}
}

// tryCuts reports cuts of a text that give something else than the whole.
func tryCuts(t *testing.T, f *Format, o Options, text string, rng *rand.Rand) {
	t.Helper()
	want := fmt.Sprintf("%+v", parse(t, f, o, text))
	try := func(pieces ...string) {
		t.Helper()
		if got := fmt.Sprintf("%+v", parse(t, f, o, pieces...)); got != want {
			t.Errorf("%s, %q:\n got %s\nwant %s", f.name, pieces, got, want)
		}
	}
	var bytes []string
	for i := range len(text) {
		try(text[:i], text[i:])
		bytes = append(bytes, text[i:i+1])
	}
	try(bytes...)
	for range 20 {
		var pieces []string
		for rest := text; rest != ""; {
			n := 1 + rng.IntN(min(len(rest), 9))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		try(pieces...)
	}
}

// TestWithoutTools takes calls for text where no tool was offered.
func TestWithoutTools(t *testing.T) {
	for _, a := range answers {
		if a.format == "harmony" || a.open || a.want.Reasoning != "" {
			continue
		}
		if got := parse(t, byName(t, a.format), Options{}, a.text); got.Content != a.text || got.Calls != nil ||
			got.Reasoning != "" {
			t.Errorf("%s, %q: %+v", a.format, a.text, got)
		}
	}
}

// TestStreaming hands on arguments and text while they come.
func TestStreaming(t *testing.T) {
	tools := testTools(t)
	for _, a := range answers {
		if len(a.want.Calls) == 0 || len(a.want.Calls[0].Arguments) < 20 {
			continue
		}
		p := byName(t, a.format).NewParser(Options{Tools: tools, Reasoning: true, Open: a.open})
		pieces := 0
		for i := range len(a.text) {
			for _, e := range p.Push(a.text[i : i+1]) {
				if e.Kind == Arguments {
					pieces++
				}
			}
		}
		if pieces < 5 && a.format != "hermes" { // one of Hermes has the name last
			t.Errorf("%s, %q: arguments came in %d pieces", a.format, a.text, pieces)
		}
	}
}

// FuzzParser parses any text: no panic, the same result for every cut, arguments never outside a call, and text
// without markers as it is.
func FuzzParser(f *testing.F) {
	for _, a := range answers {
		f.Add(a.text, a.open, uint64(len(a.text)))
	}
	tools := testTools(f)
	names := Names()
	f.Fuzz(func(t *testing.T, text string, open bool, seed uint64) {
		if len(text) > 4096 {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		for _, name := range names {
			format := byName(t, name)
			o := Options{Tools: tools, Reasoning: true, Open: open}
			whole := parse(t, format, o, text)
			var pieces []string
			for rest := text; rest != ""; {
				n := 1 + rng.IntN(min(len(rest), 7))
				pieces, rest = append(pieces, rest[:n]), rest[n:]
			}
			if cut := parse(t, format, o, pieces...); fmt.Sprint(cut) != fmt.Sprint(whole) {
				t.Errorf("%s, %q: %+v, whole %+v", name, pieces, cut, whole)
			}
			if !open && !strings.ContainsAny(text, "<[{｜") && name != "harmony" && whole.Content != text {
				t.Errorf("%s: %q became %+v", name, text, whole)
			}
			for _, c := range whole.Calls {
				if name == "qwen-xml" && !strings.Contains(text, "{") && !json.Valid([]byte(c.Arguments)) {
					t.Errorf("%s, %q: arguments %s", name, text, c.Arguments)
				}
			}
		}
	})
}
