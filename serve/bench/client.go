package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Target is a server under test.
type Target struct {
	URL   string // without /v1
	Key   string // API key; empty sends none
	Model string // in requests; Connect sets it if it is empty
}

// client sends requests to a target.
type client struct {
	Target
	http      *http.Client
	maxTokens int
	eos       bool // let the model end answers
}

// message is one of a conversation.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// sample is one answered request.
type sample struct {
	first time.Duration   // until the first piece of the answer
	gaps  []time.Duration // between pieces
	whole time.Duration
	text  string
	usage usage
}

// usage is what the server says of the tokens of a request.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// StatusError is a request that the server refused.
type StatusError struct {
	Status  int
	Message string
}

// Error gives the status and the server's words.
func (e *StatusError) Error() string { return fmt.Sprintf("bench: status %d: %s", e.Status, e.Message) }

// maxLine bounds a line of a stream, maxAnswer an answer that is no stream.
const maxLine, maxAnswer = 1 << 20, 4 << 20

func newClient(t Target, o Options) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 1024
	return &client{Target: t, http: &http.Client{Transport: transport}, maxTokens: o.Tokens, eos: o.EOS}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// do sends a request and returns the answer if its status is 200.
func (c *client) do(ctx context.Context, method, endpoint string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+endpoint, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.Key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return nil, &StatusError{resp.StatusCode, errorText(text)}
	}
	return resp, nil
}

// errorText returns the message of an error in OpenAI's form, or the beginning of another.
func errorText(body []byte) string {
	var e struct{ Error struct{ Message string } }
	if json.Unmarshal(body, &e) == nil && e.Error.Message != "" {
		return e.Error.Message
	}
	return string(body[:min(len(body), 200)])
}

// connect checks the address, and finds the model if none is named: the first of the server's list.
func (c *client) connect(ctx context.Context) error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("bench: %q is no address such as http://127.0.0.1:8080", c.URL)
	}
	if c.Model != "" {
		return nil
	}
	resp, err := c.do(ctx, http.MethodGet, "/v1/models", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var list struct{ Data []struct{ ID string } }
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&list); err != nil {
		return fmt.Errorf("bench: the list of models: %w", err)
	}
	if len(list.Data) == 0 {
		return errors.New("bench: the server offers no model")
	}
	c.Model = list.Data[0].ID
	return nil
}

// chat asks for an answer to a conversation, and measures it.
func (c *client) chat(ctx context.Context, messages []message) (sample, error) {
	body := map[string]any{"model": c.Model, "messages": messages, "max_tokens": c.maxTokens, "temperature": 0,
		"stream": true, "stream_options": map[string]any{"include_usage": true}}
	if !c.eos {
		body["ignore_eos"] = true
	}
	var s sample
	start := time.Now()
	resp, err := c.do(ctx, http.MethodPost, "/v1/chat/completions", body)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	var text strings.Builder
	last, complete := time.Time{}, false
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue // a comment, or the end of an event
		}
		if data == "[DONE]" {
			complete = true
			break
		}
		now := time.Now()
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content   string
					Reasoning string `json:"reasoning_content"`
				}
				Finish string `json:"finish_reason"`
			}
			Usage *usage
			Error *struct{ Message string }
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return s, fmt.Errorf("bench: an event of the stream: %w", err)
		}
		if chunk.Error != nil {
			return s, fmt.Errorf("bench: in the stream: %s", chunk.Error.Message)
		}
		if chunk.Usage != nil {
			s.usage = *chunk.Usage
		}
		for _, choice := range chunk.Choices {
			if choice.Delta.Content == "" && choice.Delta.Reasoning == "" && (choice.Finish == "" || !last.IsZero()) {
				continue // the end counts where it is all that comes: tokens may have no text
			}
			if text.WriteString(choice.Delta.Content); last.IsZero() {
				s.first = now.Sub(start)
			} else {
				s.gaps = append(s.gaps, now.Sub(last))
			}
			last = now
		}
	}
	s.whole, s.text = time.Since(start), text.String()
	switch {
	case lines.Err() != nil:
		return s, fmt.Errorf("bench: the stream: %w", lines.Err())
	case !complete:
		return s, errors.New("bench: the stream ended before its end")
	case last.IsZero():
		return s, errors.New("bench: an answer without text or end")
	}
	return s, nil
}
