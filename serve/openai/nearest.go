package openai

import "strings"

// nearest returns the name of known that a client may have meant by another, or "" if none is near: within a third of
// its length in insertions, deletions and replacements, in which upper and lower case, "_" and "-" are the same.
func nearest(name string, known []string) string {
	const longest = 64 // of names that are worth the work
	if len(name) > longest {
		return ""
	}
	plain := strings.NewReplacer("_", "", "-", "")
	name = plain.Replace(strings.ToLower(name))
	best, least := "", len(name)/3+1
	for _, k := range known {
		if d := distance(name, plain.Replace(strings.ToLower(k))); d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	return best
}

// distance returns the Levenshtein distance of two names in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0] // of the row before, one column to the left
		row[0] = i + 1
		for j := range len(b) {
			d := last
			if a[i] != b[j] {
				d++
			}
			last = row[j+1]
			row[j+1] = min(d, last+1, row[j]+1)
		}
	}
	return row[len(b)]
}
