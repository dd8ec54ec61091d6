package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
)

// configFile is a TOML file with values of flags. A key at the top is the flag of that name of every command that has
// it; in a table with the name of a command, such as [serve] or [bench.serve], of that command alone, which goes
// before. A flag whose name is a command's can be set in tables alone. A table [serve.model.ID] is a model that a
// server offers.
type configFile struct {
	path   string // empty if there is none
	top    map[string]string
	tables map[string]map[string]string
	models map[string]servedModel // of [serve.model.ID]
}

// maxConfigBytes is far above what all flags take.
const maxConfigBytes = 1 << 20

// readConfig reads the file at path, or, if that is empty, the one that the user or the machine has. Unknown keys, and
// values of the wrong type, are errors that name the file, the line and the key.
func readConfig(app *kong.Application, path string) (*configFile, error) {
	text, path, err := configText(path)
	if err != nil || path == "" {
		return &configFile{}, err
	}
	schema := newConfigSchema(app)
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	into := reflect.New(schema.shape)
	if err := d.Decode(into.Interface()); err != nil {
		return nil, configError(path, schema, err)
	}
	f := &configFile{path: path, top: map[string]string{}, tables: map[string]map[string]string{}}
	schema.read(into.Elem(), f)
	return f, nil
}

// configText returns the text of the file and where it was.
func configText(path string) ([]byte, string, error) {
	asked := path != ""
	places := []string{path}
	if !asked {
		places = []string{filepath.Join(string(filepath.Separator), "etc", "hipengine", "config.toml")}
		if dir, err := os.UserConfigDir(); err == nil {
			places = append([]string{filepath.Join(dir, "hipengine", "config.toml")}, places...)
		}
	}
	for _, p := range places {
		f, err := os.Open(p)
		if !asked && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("configuration: %w", err)
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
		if err != nil {
			return nil, "", fmt.Errorf("configuration: %w", err)
		}
		if len(text) > maxConfigBytes {
			return nil, "", fmt.Errorf("configuration: %s has more than %d bytes", p, maxConfigBytes)
		}
		return text, p, nil
	}
	return nil, "", nil
}

// configError says in which line of the file what is wrong.
func configError(path string, schema configSchema, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var errs []error
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			errs = append(errs, fmt.Errorf("configuration: %s:%d: unknown key %q", path, line,
				strings.Join(e.Key(), ".")))
		}
		return errors.Join(errs...)
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		line, _ := wrong.Position()
		if want := schema.want(wrong.Key()); want != "" {
			return fmt.Errorf("configuration: %s:%d: %s: want %s", path, line, strings.Join(wrong.Key(), "."), want)
		}
		return fmt.Errorf("configuration: %s:%d: %s", path, line, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	return fmt.Errorf("configuration: %s: %w", path, err)
}

// configSchema is the type that a file is decoded into, made of the flags that the commands have.
type configSchema struct {
	shape reflect.Type
	keys  []string // of the fields of shape
}

func newConfigSchema(app *kong.Application) configSchema {
	seen := map[string]reflect.Type{}
	var order []string
	add := func(flags []*kong.Flag) {
		for _, f := range flags {
			if f.Name == "help" || f.Name == "config" {
				continue
			}
			if t, ok := seen[f.Name]; !ok {
				order = append(order, f.Name)
				seen[f.Name] = configType(f)
			} else if t != configType(f) {
				seen[f.Name] = nil // one key cannot be both
			}
		}
	}
	add(app.Flags)
	tables := map[string]reflect.Type{}
	var commands []string
	for _, n := range app.Children {
		for _, leaf := range append([]*kong.Node{n}, n.Children...) {
			add(leaf.Flags)
		}
		tables[n.Name] = tableOf(n)
		commands = append(commands, n.Name)
	}
	var top configSchema
	var fields []reflect.StructField
	field := func(name string, t reflect.Type) {
		fields = append(fields, configField(len(fields), name, t))
		top.keys = append(top.keys, name)
	}
	for _, name := range commands {
		field(name, reflect.PointerTo(tables[name]))
	}
	for _, name := range order {
		if t := seen[name]; t != nil && tables[name] == nil {
			field(name, t)
		}
	}
	top.shape = reflect.StructOf(fields)
	return top
}

// tableOf returns the type of the table of a command.
func tableOf(command *kong.Node) reflect.Type {
	var fields []reflect.StructField
	if command.Name == "serve" {
		fields = append(fields, configField(0, "model", reflect.TypeFor[map[string]servedModel]()))
	}
	flags := command.Flags
	for _, n := range command.Children {
		if n == command.DefaultCmd {
			flags = n.Flags
		} else {
			fields = append(fields, configField(len(fields), n.Name, reflect.PointerTo(tableOf(n))))
		}
	}
	for _, f := range flags {
		if f.Name != "help" {
			fields = append(fields, configField(len(fields), f.Name, configType(f)))
		}
	}
	return reflect.StructOf(fields)
}

// want names the type of a key. It is empty for keys that are not in the schema, such as those of a file that is no
// TOML.
func (s configSchema) want(key []string) string {
	t := s.shape
	for _, name := range key {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() == reflect.Map { // any name will do
			t = t.Elem()
			continue
		}
		if t.Kind() != reflect.Struct {
			return ""
		}
		i := 0
		for i < t.NumField() && t.Field(i).Tag.Get("toml") != name {
			i++
		}
		if i == t.NumField() {
			return ""
		}
		t = t.Field(i).Type
	}
	switch {
	case len(key) == 0:
		return ""
	case t.Kind() == reflect.Slice:
		return "a list of strings"
	case t.Kind() == reflect.Map || t.Kind() == reflect.Struct || t.Elem().Kind() == reflect.Struct:
		return "a table"
	}
	return map[reflect.Kind]string{
		reflect.String: "a string", reflect.Bool: "true or false", reflect.Int64: "an integer",
		reflect.Float64: "a number",
	}[t.Elem().Kind()]
}

func configField(i int, name string, t reflect.Type) reflect.StructField {
	return reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: t,
		Tag: reflect.StructTag(fmt.Sprintf("toml:%q", name))}
}

// configType returns the type of a flag in a file: nil is absence. Durations are texts, such as "30s".
func configType(f *kong.Flag) reflect.Type {
	t := f.Target.Type()
	if t.Kind() == reflect.Pointer { // a flag that has no default
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return reflect.TypeFor[*string]()
	case t.Kind() == reflect.Slice:
		return reflect.TypeFor[[]string]()
	case t.Kind() == reflect.Bool:
		return reflect.TypeFor[*bool]()
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return reflect.TypeFor[*int64]()
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return reflect.TypeFor[*float64]()
	}
	return reflect.TypeFor[*string]()
}

// read takes the values out of a decoded file, in the words of the command line.
func (s configSchema) read(v reflect.Value, f *configFile) {
	for i, name := range s.keys {
		field := v.Field(i)
		if field.IsNil() {
			continue
		}
		if field.Kind() == reflect.Pointer && field.Elem().Kind() == reflect.Struct {
			f.readTable(name, field.Elem())
		} else {
			f.top[name] = configWords(field)
		}
	}
}

// readTable takes the values out of the table of a command.
func (f *configFile) readTable(command string, t reflect.Value) {
	table := map[string]string{}
	f.tables[command] = table
	for i := range t.NumField() {
		name, field := t.Type().Field(i).Tag.Get("toml"), t.Field(i)
		switch {
		case field.IsNil():
		case field.Kind() == reflect.Map:
			f.models = field.Interface().(map[string]servedModel)
		case field.Kind() == reflect.Pointer && field.Elem().Kind() == reflect.Struct:
			f.readTable(command+" "+name, field.Elem())
		default:
			table[name] = configWords(field)
		}
	}
}

// commandName returns the name of a command as it is typed: of the default one below another, that of the other.
func commandName(n *kong.Node) string {
	if n == nil || n.Type == kong.ApplicationNode {
		return ""
	}
	above := commandName(n.Parent)
	if n.Parent != nil && n.Parent.DefaultCmd == n {
		return above
	}
	return strings.TrimSpace(above + " " + n.Name)
}

func configWords(v reflect.Value) string {
	if list, ok := v.Interface().([]string); ok {
		return kong.JoinEscaped(list, ',')
	}
	return fmt.Sprint(v.Elem().Interface())
}

// value returns the value of a flag of a command; command is empty for flags of all.
func (f *configFile) value(command, flag string) (string, bool) {
	if v, ok := f.tables[command][flag]; ok && command != "" {
		return v, true
	}
	v, ok := f.top[flag]
	return v, ok
}

// Validate implements kong.Resolver.
func (f *configFile) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. kong asks only about flags that the command line does not have; the environment
// goes before the file too.
func (f *configFile) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if environment(flag) != "" {
		return nil, nil
	}
	v, ok := f.value(commandName(parent.Command), flag.Name)
	if !ok {
		return nil, nil
	}
	if flag.Tag.Sep == -1 && flag.IsSlice() { // its elements may hold commas, which kong would not take apart
		list := []any{}
		for _, e := range kong.SplitEscaped(v, ',') {
			list = append(list, e)
		}
		return list, nil
	}
	return v, nil
}

// environment returns the variable that sets a flag, or nothing.
func environment(flag *kong.Flag) string {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return name
		}
	}
	return ""
}
