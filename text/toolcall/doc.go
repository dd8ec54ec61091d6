// Package toolcall finds tool calls and reasoning in what models write, while they write it, and has the grammars that
// hold calls to the schemas of their tools.
//
// Each family of models marks calls and thoughts in a form of its own, one file here: Hermes and Qwen 3 (JSON in
// <tool_call>), Qwen 3.5 and Coder (XML), Llama 3, Mistral, Gemma 4, gpt-oss (harmony), GLM, DeepSeek (two forms) and
// Granite. [Detect] tells the form from the markers that a chat template writes.
//
// A [Parser] takes text in pieces, however it is cut, and gives the same content, reasoning and calls for every cut;
// arguments come in pieces as they are written, as the text of a JSON object. White space between markers and text
// belongs to the markers. All else comes out once: text that begins like a call and turns out to be none is content.
package toolcall
