// Package openapi is the description of the server's endpoints, an OpenAPI document of version 3.1.
//
// It is written by hand, in one file for each part of the API, so that it says what a client may count on rather than
// what types happen to hold. The tests of package serve validate every answer and every request that succeeds by it,
// and that each endpoint is described.
package openapi

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
)

//go:embed *.json
var files embed.FS

// Version is that of OpenAPI.
const Version = "3.1.1"

// document is an OpenAPI document, or the part of one that a file holds.
type document struct {
	OpenAPI    string                                `json:"openapi"`
	Info       map[string]any                        `json:"info"`
	Servers    json.RawMessage                       `json:"servers"`
	Tags       json.RawMessage                       `json:"tags"`
	Paths      map[string]json.RawMessage            `json:"paths"`
	Components map[string]map[string]json.RawMessage `json:"components"` // by kind and name
}

// Document returns the description, as JSON, of a program of this version. Its parts are joined; what is in two of
// them is a fault of this package.
func Document(version string) []byte {
	if version == "" {
		version = "unknown"
	}
	whole := document{OpenAPI: Version, Paths: map[string]json.RawMessage{},
		Components: map[string]map[string]json.RawMessage{}}
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		part, err := read(name)
		if err != nil {
			panic(err)
		}
		if part.Info != nil {
			whole.Info, whole.Servers, whole.Tags = part.Info, part.Servers, part.Tags
		}
		join(whole.Paths, part.Paths)
		for kind, list := range part.Components {
			if whole.Components[kind] == nil {
				whole.Components[kind] = map[string]json.RawMessage{}
			}
			join(whole.Components[kind], list)
		}
	}
	whole.Info["version"] = version
	text, err := json.Marshal(whole)
	if err != nil {
		panic(err)
	}
	return text
}

func read(name string) (part document, err error) {
	text, err := files.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(text, &part)
	}
	if err != nil {
		return part, fmt.Errorf("openapi: %s: %w", name, err)
	}
	return part, nil
}

func join(to, from map[string]json.RawMessage) {
	for name, v := range from {
		if to[name] != nil {
			panic(fmt.Sprintf("openapi: %s is described twice", name))
		}
		to[name] = v
	}
}
