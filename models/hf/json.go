package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Limits on the JSON of a folder.
const (
	maxJSON  = 64 << 20 // bytes of config.json, generation_config.json and the index of shards
	maxDepth = 64       // nested objects and lists
)

// object is a JSON object. Values are object, []any, string, json.Number, bool or nil.
type object map[string]any

// walkObject reads the JSON object that data holds, and nothing after it but white space, calling f with the decoder
// at each value. A key that comes twice is an error: readers disagree about which one counts.
func walkObject(data []byte, f func(key string, d *json.Decoder) error) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := walkMembers(d, f); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more after the JSON object")
	}
	return nil
}

func walkMembers(d *json.Decoder, f func(key string, d *json.Decoder) error) error {
	t, err := d.Token()
	if err != nil {
		return jsonError(err)
	}
	if t != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	return restOfMembers(d, f)
}

func restOfMembers(d *json.Decoder, f func(key string, d *json.Decoder) error) error {
	seen := map[string]bool{}
	for {
		t, err := d.Token()
		if err != nil {
			return jsonError(err)
		}
		if t == json.Delim('}') {
			return nil
		}
		key := t.(string) // the decoder lets nothing else stand here
		if seen[key] {
			return fmt.Errorf("key %q comes twice", clip(key))
		}
		seen[key] = true
		if err := f(key, d); err != nil {
			return err
		}
	}
}

// value reads one JSON value.
func value(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("JSON is nested deeper than %d", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, jsonError(err)
	}
	switch t {
	case json.Delim('{'):
		o := object{}
		return o, restOfMembers(d, func(key string, d *json.Decoder) (err error) {
			o[key], err = value(d, depth+1)
			return err
		})
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, jsonError(err)
	}
	return t, nil
}

// jsonError turns the end of the text inside a value into the error that it is.
func jsonError(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseObject reads a whole JSON object into memory.
func parseObject(data []byte) (object, error) {
	o := object{}
	err := walkObject(data, func(key string, d *json.Decoder) (err error) {
		o[key], err = value(d, 1)
		return err
	})
	return o, err
}

// readObject reads a JSON file of the folder. A missing file is nil, nil.
func readObject(dir, name string) (object, error) {
	data, err := readFile(dir, name, maxJSON)
	if err != nil || data == nil {
		return nil, err
	}
	o, err := parseObject(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return o, nil
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
