package hub

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/gguf"
)

// SelectionError says that a repository has no model of the name's kind, or several.
type SelectionError struct {
	Ref    Ref
	Reason string
	Names  []string // that would choose one
}

// Error names the choices.
func (e *SelectionError) Error() string {
	s := fmt.Sprintf("hub: %v: %s", e.Ref, e.Reason)
	if len(e.Names) == 0 {
		return s
	}
	const most = 40
	names := e.Names
	if len(names) > most {
		names = append(slices.Clone(names[:most]), fmt.Sprintf("and %d more", len(names)-most))
	}
	return s + "; there is " + strings.Join(names, ", ")
}

// choose returns the paths of the model that r means among the files of a repository: of a GGUF file all parts, the
// first first; of safetensors the files that hf.Open reads.
func choose(r Ref, files []string) ([]string, error) {
	models := groups(files)
	names := func() (names []string) {
		for _, m := range models {
			if _, err := whole(r, m); err == nil {
				names = append(names, nameOf(r, m, models).String())
			}
		}
		return names
	}
	if r.File != "" {
		if !slices.Contains(files, r.File) {
			return nil, &SelectionError{r, "the repository has no such file", names()}
		}
		for _, m := range models {
			if slices.Contains(m, r.File) {
				return whole(r, m)
			}
		}
		return []string{r.File}, nil
	}
	if len(models) == 0 {
		if r.Quant != "" {
			return nil, &SelectionError{r,
				"the repository has no GGUF files; without the quantization its safetensors are taken, " +
					"which can be quantized while they are loaded", nil}
		}
		return safetensors(r, files)
	}
	var found [][]string
	switch {
	case r.Quant != "":
		found = withQuant(models, r.Quant)
	case len(models) == 1:
		found = models
	default:
		if slices.ContainsFunc(files, isWeights) {
			return safetensors(r, files)
		}
		found = withQuant(models, "Q4_K_M") // what most people want
	}
	switch {
	case len(found) == 1:
		return whole(r, found[0])
	case len(found) == 0 && r.Quant == "":
		return nil, &SelectionError{r, "name a quantization", names()}
	case len(found) == 0:
		return nil, &SelectionError{r, "the repository has no such quantization", names()}
	}
	models = found
	return nil, &SelectionError{r, "the name means several files", names()}
}

// groups returns the models among files that are GGUF: the parts of each in order, without those that only go with
// another.
func groups(files []string) (models [][]string) {
	at := map[string]int{}
	for _, f := range slices.Sorted(slices.Values(files)) {
		base := strings.ToLower(path.Base(f))
		if !strings.HasSuffix(f, ".gguf") || strings.HasPrefix(base, "mmproj") || strings.Contains(base, "imatrix") {
			continue
		}
		stem := f
		if prefix, _, count, ok := gguf.ParseSplitPath(f); ok {
			stem = fmt.Sprintf("%s/%d", prefix, count)
		}
		i, ok := at[stem]
		if !ok {
			i, at[stem] = len(models), len(models)
			models = append(models, nil)
		}
		models[i] = append(models[i], f)
	}
	return models
}

// whole returns the parts of a model if none is missing.
func whole(r Ref, parts []string) ([]string, error) {
	_, _, count, ok := gguf.ParseSplitPath(parts[0])
	if ok && count != len(parts) {
		return nil, &SelectionError{r, fmt.Sprintf("%d of the %d parts of %s are there", len(parts), count, parts[0]),
			nil}
	}
	return parts, nil
}

// stem returns the path of a model without the end that all have.
func stem(f string) string {
	if prefix, _, _, ok := gguf.ParseSplitPath(f); ok {
		return prefix
	}
	return strings.TrimSuffix(f, ".gguf")
}

// withQuant returns the models whose file names end in a quantization, or else those whose paths have it in them. It
// may be spelled with - for _, and FP16 and F16 are the same.
func withQuant(models [][]string, quant string) [][]string {
	spelled := strings.NewReplacer("_", "[-_]", "-", "[-_]").Replace(regexp.QuoteMeta(quant))
	spelled = float16.ReplaceAllString(spelled, "FP?16")
	for _, form := range []string{`(?i)(^|[-./])%s$`, `(?i)(^|[-./])%s([-./]|$)`, `(?i)_%s$`} {
		re := regexp.MustCompile(fmt.Sprintf(form, spelled))
		var found [][]string
		for _, m := range models {
			if re.MatchString(stem(m[0])) {
				found = append(found, m)
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

var float16 = regexp.MustCompile(`(?i)^FP?16$`)

var quantEnd = regexp.MustCompile(`(?i)[-._](I?Q[1-8]_[A-Z0-9_]+|T?Q[1-8]_[A-Z0-9_]+|BF16|F16|F32|FP16|MXFP4(_MOE)?)$`)

// nameOf returns the shortest name that means one of models.
func nameOf(r Ref, model []string, models [][]string) Ref {
	n := Ref{Owner: r.Owner, Name: r.Name, Revision: r.Revision}
	if m := quantEnd.FindStringSubmatch(stem(model[0])); m != nil && len(withQuant(models, m[1])) == 1 {
		n.Quant = m[1]
	} else if len(models) > 1 || m == nil {
		n.File = model[0]
	}
	return n
}

func isWeights(f string) bool {
	return !strings.Contains(f, "/") && strings.HasSuffix(f, ".safetensors") && !strings.HasPrefix(f, "consolidated")
}

// shard is the end of the name of a part of the weights.
var shard = regexp.MustCompile(`-[0-9]{5}-of-([0-9]{5})\.safetensors$`)

// safetensors returns the files of a model in a Hugging Face folder, if no part is missing.
func safetensors(r Ref, files []string) (model []string, err error) {
	weights := false
	parts := map[string]int{} // by their number
	for _, f := range slices.Sorted(slices.Values(files)) {
		switch {
		case isWeights(f):
			weights = true
			if m := shard.FindStringSubmatch(f); m != nil {
				parts[m[1]]++
			}
		case strings.Contains(f, "/"):
			continue
		case path.Ext(f) != ".json" && path.Ext(f) != ".jinja" && f != "merges.txt" && f != "tokenizer.model":
			continue
		}
		model = append(model, f)
	}
	if !weights || !slices.Contains(model, "config.json") {
		return nil, &SelectionError{r, "the repository has neither GGUF files nor config.json with *.safetensors", nil}
	}
	for of, there := range parts {
		if n, err := strconv.Atoi(of); err != nil || n != there {
			return nil, &SelectionError{r,
				fmt.Sprintf("%d of the parts of its weights are there, which are %s", there, of), nil}
		}
	}
	return model, nil
}
