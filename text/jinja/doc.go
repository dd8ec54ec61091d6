// Package jinja is the template language of chat templates: the dialect of Jinja that Hugging Face tokenizers and the
// GGUF key tokenizer.chat_template use. It knows nothing of messages; package chat does.
//
// [Parse] compiles a template once; [Template.NewRendering] may then be called from many goroutines. Templates come
// with model files and are untrusted code, so they run in a sandbox: they see the variables that they are given and
// nothing else (no files, no environment, no Go methods), and every rendering is bounded by [Limits] in steps,
// memory, output and nesting. A template that gives up on purpose (raise_exception) ends in a [RaisedError], one that
// runs into a bound in a [LimitError].
//
// # Provenance
//
// A rendering knows which bytes of its text the template wrote and which stem from data: strings carry that through
// every operation, and [Rendering.Run] returns [Piece]s. So a caller can tell a marker that the template prints from
// the same characters in a message.
//
// # Dialect
//
// Whitespace follows trim_blocks=True and lstrip_blocks=True; one newline at the end of the source is dropped.
// Statements: if, for (with else, filter condition, unpacking, recursive), break, continue, set (names, tuples,
// namespace attributes, blocks), macro, call, filter, with, raw, and generation, whose body is rendered as is.
// Expressions are those of Jinja 3.1. Values print as in Python (True, None, 1.0, ['a']); mappings keep insertion
// order; integers have up to 16384 bits. The filter tojson is json.dumps with ensure_ascii=False and escapes no HTML.
// Statements that read other templates (include, import, extends) fail where they are reached; a block is printed where
// it stands.
//
// Deliberate differences from Jinja:
//   - filters that return generators there do all their work at once;
//   - methods that change a list or a mapping (append, pop, update) work, on the rendering's own copy of the input;
//   - strings lose the mark of the filter safe in lists, in mappings and as arguments;
//   - tuples cannot be keys of mappings;
//   - a test without arguments may stand in front of "if", "in" and "not";
//   - a variable that is set further down in a block keeps its outer value in the inner blocks above.
//
// The dialect is that of Jinja (https://jinja.palletsprojects.com, templates and sandbox chapters) with the settings
// of Hugging Face transformers (utils/chat_template_utils.py).
package jinja
