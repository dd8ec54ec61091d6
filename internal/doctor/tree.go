package doctor

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// tree reads files of a machine by slashed paths without the first slash. What is not there is empty: machines differ.
type tree struct{ fs.FS }

// text returns the contents of a file without white space around them.
func (t tree) text(name string) string {
	b, err := fs.ReadFile(t.FS, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// number returns the number that a file holds, 0 if it holds none.
func (t tree) number(name string) int64 {
	n, err := strconv.ParseInt(t.text(name), 0, 64)
	if err != nil {
		return 0
	}
	return n
}

// has reports whether there is a file or a folder.
func (t tree) has(name string) bool {
	_, err := fs.Stat(t.FS, name)
	return err == nil
}

// glob returns the paths of a pattern, sorted.
func (t tree) glob(pattern ...string) []string {
	found, err := fs.Glob(t.FS, path.Join(pattern...))
	if err != nil {
		return nil
	}
	return found
}

// pairs returns lines of KEY VALUE.
func (t tree) pairs(name string) map[string]int64 {
	m := map[string]int64{}
	for line := range strings.Lines(t.text(name)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			m[key] = n
		}
	}
	return m
}

// environ returns a variable of the environment of the process.
func (t tree) environ(name string) string {
	entries := strings.FieldsFunc(t.text("proc/self/environ"), func(r rune) bool { return r == 0 || r == '\n' })
	for _, e := range entries {
		if key, value, ok := strings.Cut(e, "="); ok && key == name {
			return value
		}
	}
	return ""
}

// field returns the words after KEY at the start of a line.
func (t tree) field(name, key string) []string {
	for line := range strings.Lines(t.text(name)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

// digits returns the numbers that a text begins with, apart from each other by dots: 6.18.4-arch1 is 6, 18, 4.
func digits(text string) (n [3]int) {
	for i := range n {
		end := 0
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		n[i], _ = strconv.Atoi(text[:end]) // 0 without any
		if end == len(text) || text[end] != '.' {
			break
		}
		text = text[end+1:]
	}
	return n
}

// gib formats a size.
func gib(n int64) string { return strconv.FormatFloat(float64(n)/(1<<30), 'f', 1, 64) + " GiB" }
