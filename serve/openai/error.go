package openai

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// The types of errors.
const (
	TypeInvalidRequest = "invalid_request_error"
	TypeAuthentication = "authentication_error"
	TypePermission     = "permission_error"
	TypeRateLimit      = "rate_limit_error"
	TypeServer         = "server_error"
	TypeUnavailable    = "unavailable_error"
	TypeNotSupported   = "not_supported_error"       // llama.cpp's, for what it can do and this server does not
	TypeExceedsContext = "exceed_context_size_error" // llama.cpp's
)

// Error is an error in OpenAI's form, {"error": {"message", "type", "param", "code"}}.
type Error struct {
	Status  int    // of HTTP
	Message string // about Param, if that is set; clients see both
	Type    string
	Param   string // path of the field at fault; empty is null
	Code    string // for programs; empty is null

	// Of a prompt that does not fit: its tokens and those of the context.
	PromptTokens, ContextTokens int
}

// Error implements error.
func (e *Error) Error() string {
	if e.Param == "" {
		return "openai: " + e.Message
	}
	return "openai: " + e.Param + ": " + e.Message
}

// MarshalJSON implements json.Marshaler.
func (e *Error) MarshalJSON() ([]byte, error) {
	type body struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
		Prompt  int     `json:"n_prompt_tokens,omitempty"` // as llama.cpp has it
		Context int     `json:"n_ctx,omitempty"`
	}
	b := body{Message: e.Message, Type: e.Type, Prompt: e.PromptTokens, Context: e.ContextTokens}
	if e.Param != "" {
		b.Param = &e.Param
		b.Message = e.Param + ": " + e.Message // many clients show the message alone
	}
	if e.Code != "" {
		b.Code = &e.Code
	}
	return json.Marshal(struct {
		Error body `json:"error"`
	}{b})
}

// The codes of errors in requests.
const (
	CodeInvalidJSON = "invalid_json"
	CodeMissing     = "missing_field"
	CodeUnknown     = "unknown_field"
	CodeType        = "invalid_type"
	CodeValue       = "invalid_value"
	CodeUnsupported = "unsupported"
)

// invalid returns an error 400 about a field.
func invalid(param, code, format string, args ...any) *Error {
	return &Error{
		Status: http.StatusBadRequest, Type: TypeInvalidRequest, Param: param, Code: code,
		Message: fmt.Sprintf(format, args...),
	}
}

// TooLarge returns the error for a body of more than limit bytes.
func TooLarge(limit int64) *Error {
	return &Error{
		Status: http.StatusRequestEntityTooLarge, Type: TypeInvalidRequest, Code: "request_too_large",
		Message: fmt.Sprintf("the request has more than %d bytes", limit),
	}
}
