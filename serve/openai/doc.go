// Package openai holds the wire types of the OpenAI API that the server speaks: requests, which it reads strictly,
// responses, stream chunks and errors. Facts are those of OpenAI's API reference (platform.openai.com/docs) for
// chat completions, completions, responses and models. Requests of further dialects ([Parse]) become a [ChatRequest]
// too.
//
// # Strictness
//
// A field changes the answer, or is refused, or is listed in this package as one that cannot change the answer; no
// field is dropped silently. Every error names the field, as in messages[2].content[0].type, and what was expected.
// A null is the same as an absent field. Numbers have a range, text, lists and nesting a limit ([Limits]); a key that
// occurs twice in an object is refused, because parsers differ in which one counts.
//
// Beyond OpenAI's fields, requests take top_k, min_p, repeat_penalty (or repetition_penalty), repeat_last_n,
// ignore_eos and chat_template_kwargs, as llama.cpp's server and vLLM name them, and fields that hold the text to a
// form beside response_format: grammar, json_schema, structured_outputs and guided_*. With reasoning_format "none"
// thoughts stay in the text.
package openai
