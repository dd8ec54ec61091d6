package hf

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/internal/strictjson"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// poolings are the values of sentence-transformers' pooling_mode, and the keys that older versions set in its place.
var poolings = map[string]models.PoolingType{
	"cls": models.PoolingCLS, "pooling_mode_cls_token": models.PoolingCLS,
	"mean": models.PoolingMean, "pooling_mode_mean_tokens": models.PoolingMean,
	"lasttoken": models.PoolingLast, "pooling_mode_lasttoken": models.PoolingLast,
}

// pooling writes pooling_type, where the folder says that the model was made for embeddings (by modules.json, in the
// form of sentence-transformers) or for ranking (by its model card, or a head with scores).
func (b *builder) pooling(dir string) error {
	typ, dense, err := readPooling(dir)
	if err != nil {
		return err
	}
	if dense != nil && b.dense == nil {
		return fmt.Errorf("modules.json: module %q is not read in architecture %q (Transformer, Pooling and Normalize are)",
			dense[0], b.arch)
	}
	for i, path := range dense {
		if err := b.dense(b, dir, path, i); err != nil {
			return err
		}
	}
	if typ == models.PoolingUnspecified {
		card, err := readFile(dir, "README.md", maxJSON)
		if err != nil {
			return err
		}
		if b.entries[models.RankHead] != nil || cardTag(card) == "text-ranking" {
			typ = models.PoolingRank
		}
	}
	if typ != models.PoolingUnspecified {
		b.set("pooling_type", uint32(typ))
	}
	return b.firstErr()
}

// rankWords gives a model that ranks by the words yes and no, as Qwen3-Reranker does, a head of the rows of its output
// matrix that stand for them, and the prompt: files of GGUF have both. A vocabulary without the words makes none.
func (b *builder) rankWords(tok *tokenizer.Tokenizer) error {
	typ, err := models.Pooling(b.meta)
	if err != nil || typ != models.PoolingRank || b.entries[models.RankHead] != nil || !models.RanksByWords(b.arch) {
		return err
	}
	var rows []int
	for _, word := range []string{"yes", "no"} {
		ids, err := tok.Encode(word, tokenizer.Options{})
		if err != nil || len(ids) != 1 || int(ids[0]) >= b.vocab {
			return err
		}
		rows = append(rows, int(ids[0]))
	}
	from := b.entries["output.weight"]
	if from == nil {
		from = b.entries["token_embd.weight"]
	}
	b.add(models.RankHead, weight{matrix: from.data.pick(2, func(i int) int { return rows[i] }),
		name: "the output matrix", shape: []int{2, b.embd}})
	b.set("classifier.output_labels", []string{"yes", "no"})
	b.setKey(models.RankTemplateKey, models.RankTemplate)
	return b.firstErr()
}

// readPooling reads modules.json and the configuration of the pooling that it names, and returns the folders of Dense
// modules behind that.
func readPooling(dir string) (typ models.PoolingType, dense []string, err error) {
	const file = "modules.json"
	typ = models.PoolingUnspecified
	data, err := readFile(dir, file, maxJSON)
	if err != nil || data == nil {
		return typ, nil, err
	}
	if err := strictjson.Check(data, limits); err != nil {
		return typ, nil, fmt.Errorf("%s: %w", file, err)
	}
	var list []struct{ Path, Type string }
	if err := json.Unmarshal(data, &list); err != nil {
		return typ, nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, m := range list {
		switch name := m.Type[strings.LastIndex(m.Type, ".")+1:]; name {
		case "Transformer", "Normalize":
		case "Pooling":
			if typ, err = poolingMode(dir, path.Join(m.Path, "config.json")); err != nil {
				return typ, nil, err
			}
		case "Dense":
			if typ == models.PoolingUnspecified {
				return typ, nil, fmt.Errorf("%s: module %q stands in front of a pooling, which is not read", file,
					clip(m.Path))
			}
			dense = append(dense, m.Path)
		default:
			return typ, nil, fmt.Errorf("%s: module %q is not read (Transformer, Pooling, Dense and Normalize are)", file,
				clip(m.Type))
		}
	}
	return typ, dense, nil
}

// poolingMode reads the configuration of a pooling.
func poolingMode(dir, file string) (models.PoolingType, error) {
	none := models.PoolingUnspecified
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return none, fmt.Errorf("modules.json: path %q leads out of the folder", clip(file))
	}
	root, err := readObject(dir, file)
	if err == nil && root == nil {
		err = fmt.Errorf("%s is missing, which modules.json names", file)
	}
	if err != nil {
		return none, err
	}
	c := newConfig(file, root)
	var modes []string
	if mode := c.str("pooling_mode"); mode != "" {
		modes = append(modes, mode)
	} else {
		for _, key := range sortedKeys(root) {
			if strings.HasPrefix(key, "pooling_mode_") && c.bool(false, key) {
				modes = append(modes, key)
			}
		}
	}
	if *c.err != nil {
		return none, *c.err
	}
	typ, ok := poolings[strings.Join(modes, " ")]
	if !ok {
		return none, fmt.Errorf("%s: pooling %q is not read (one of cls, mean and lasttoken is)", file,
			clip(strings.Join(modes, " ")))
	}
	return typ, nil
}

// cardTag returns pipeline_tag of a model card, whose metadata stand between two lines of dashes.
func cardTag(card []byte) string {
	lines := bufio.NewScanner(bytes.NewReader(card))
	for n := 0; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if n == 0 && line != "---" || n > 0 && line == "---" {
			break
		}
		if tag, ok := strings.CutPrefix(line, "pipeline_tag:"); ok {
			return strings.Trim(tag, ` "'`)
		}
	}
	return ""
}

// scores adds the head of a model that scores texts in place of going on with them, and the names of its scores.
func (b *builder) scores() {
	if !b.has("score.weight") {
		return
	}
	b.apply("", "", []rule{{from: "score.weight", to: models.RankHead}})
	if b.err != nil {
		return
	}
	shape := b.entries[models.RankHead].info.Shape
	if len(shape) != 2 || shape[1] != b.embd {
		b.fail("tensor %q has shape %v, want [labels, hidden_size %d]", "score.weight", shape, b.embd)
		return
	}
	b.rankLabels()
}

// rankLabels writes the names of the scores of a model that has them.
func (b *builder) rankLabels() {
	names := b.cfg.sub("id2label")
	if names == nil || b.err != nil {
		return
	}
	labels := make([]string, b.entries[models.RankHead].info.Shape[0])
	for i := range labels {
		labels[i] = names.str(strconv.Itoa(i))
	}
	b.set("classifier.output_labels", labels)
}
