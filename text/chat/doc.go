// Package chat turns conversations into prompts: it gives the messages, tools and documents of an [Input] to a model's
// chat template, which is written in the language of package jinja.
//
// A prompt knows its own markers from text of the conversation that looks like them: see [Prompt].
//
// [Parse] compiles a template once; [Template.Render] may then be called from many goroutines. A template that refuses
// a conversation ends in a [RaisedError], one that runs into a bound of [Limits] in a [LimitError].
package chat
