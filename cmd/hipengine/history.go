package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxHistory bounds the lines that a chat remembers.
const maxHistory = 1000

// history are the lines that were typed in chats, the newest last. It implements term.History.
type history struct {
	lines []string
	file  *os.File // to which new ones are added; nil if they are not kept
}

// openHistory reads the lines of earlier chats from a file that only the user can read. An empty path keeps none.
func openHistory(path string) (*history, error) {
	if path == "" {
		return &history{}, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("history: %w", err)
	}
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(s string) bool { return s == "" })
	if n := len(lines); n > maxHistory { // it has grown since it was last cut
		lines = lines[n-maxHistory:]
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &history{lines, f}, nil
}

// historyPath returns the file for the lines of chats, in the XDG state folder; empty if the system names no home.
func historyPath() string {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "hipengine", "history")
}

// Add implements term.History. Lines that repeat the last one are left out, and those with pastes, of which they hold
// marks alone.
func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || strings.Contains(line, pasteMark) || len(h.lines) > 0 &&
		h.lines[len(h.lines)-1] == line {
		return
	}
	if h.lines = append(h.lines, line); len(h.lines) > maxHistory {
		h.lines = h.lines[1:]
	}
	if h.file != nil {
		fmt.Fprintln(h.file, line) // a chat goes on without it
	}
}

// Len and At implement term.History.
func (h *history) Len() int { return len(h.lines) }

// At returns a line, the newest for 0.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

// Close closes the file.
func (h *history) Close() error {
	if h.file == nil {
		return nil
	}
	return h.file.Close()
}
