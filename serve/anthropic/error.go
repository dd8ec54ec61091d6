package anthropic

import (
	"net/http"

	"github.com/hipengine/hipengine/serve/openai"
)

// Error is an error in Anthropic's form. It is also an event of streams.
type Error struct {
	Type      string    `json:"type"` // always "error"
	Error     ErrorBody `json:"error"`
	RequestID string    `json:"request_id"`
}

// ErrorBody says what is wrong.
type ErrorBody struct {
	Type    string   `json:"type"`
	Message string   `json:"message"` // begins with the path of the field at fault
	Details *Details `json:"details,omitempty"`
}

// Details are for programs.
type Details struct {
	ErrorCode string `json:"error_code"`
	Param     string `json:"param,omitempty"` // path of the field at fault
}

// NewError returns an error in Anthropic's form.
func NewError(e *openai.Error, requestID string) Error {
	b := ErrorBody{Type: typeOf(e.Status), Message: e.Message}
	if e.Param != "" {
		b.Message = e.Param + ": " + e.Message
	}
	if e.Code != "" {
		b.Details = &Details{ErrorCode: e.Code, Param: e.Param}
	}
	return Error{Type: "error", Error: b, RequestID: requestID}
}

// typeOf returns the type of errors of a status.
func typeOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusServiceUnavailable:
		return "overloaded_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	}
	if status >= 500 {
		return "api_error"
	}
	return "invalid_request_error"
}
