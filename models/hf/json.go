package hf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hipengine/hipengine/internal/strictjson"
)

// Limits on the JSON of a folder.
const (
	maxJSON  = 64 << 20 // bytes of config.json, generation_config.json and the index of shards
	maxDepth = 64       // nested objects and lists
)

// limits bound the nesting of a folder's JSON. The headers of large models have more members than any limit worth
// naming.
var limits = strictjson.Limits{Depth: maxDepth}

// object is a JSON object. Values are object, []any, string, json.Number, bool or nil.
type object = strictjson.Object

// readObject reads a JSON file of the folder. A missing file is nil, nil.
func readObject(dir, name string) (object, error) {
	data, err := readFile(dir, name, maxJSON)
	if err != nil || data == nil {
		return nil, err
	}
	o, err := strictjson.Parse(quoteNonFinite(data), limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return o, nil
}

// quoteNonFinite returns JSON as Python writes it with NaN, Infinity and -Infinity as strings, which nobody takes for
// numbers: JSON has no such values, and those that matter here may not be such.
func quoteNonFinite(data []byte) []byte {
	var out []byte
	from, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == 'N' || c == 'I' || c == '-'):
			for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
				if bytes.HasPrefix(data[i:], []byte(word)) {
					out = append(append(out, data[from:i]...), `"`+word+`"`...)
					from = i + len(word)
					i = from - 1
					break
				}
			}
		}
	}
	if from == 0 {
		return data
	}
	return append(out, data[from:]...)
}

// readFile reads a regular file of at most limit bytes. A missing one is nil, nil.
func readFile(dir, name string, limit int64) ([]byte, error) {
	f, size, err := openRegular(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, fmt.Errorf("%s has %d bytes, the limit is %d", name, size, limit)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// openRegular opens a file and returns its size. Directories, pipes and devices are errors.
func openRegular(path string) (*os.File, int64, error) {
	info, err := os.Stat(path) // before opening: to open a pipe would wait for its writer
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// clip shortens a name out of a file for a message.
func clip(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}
