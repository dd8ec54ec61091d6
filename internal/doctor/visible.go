package doctor

import (
	"slices"
	"strconv"
	"strings"
)

// hide leaves of the cards those that variables of the environment do, as ROCm's runtimes do: the first variable is
// about the order of the driver, the second about what the first left. Those that are left are numbered anew.
func (r *Report) hide(t tree) {
	var order []*GPU
	for _, g := range r.GPUs {
		if g.Node >= 0 {
			order = append(order, g)
		}
	}
	second := "HIP_VISIBLE_DEVICES"
	if _, ok := t.environ(second); !ok {
		second = "CUDA_VISIBLE_DEVICES"
	}
	for _, name := range []string{"ROCR_VISIBLE_DEVICES", second} {
		value, ok := t.environ(name)
		if !ok {
			continue
		}
		left := selected(order, value)
		for _, g := range order {
			if g.Problem == "" && !slices.Contains(left, g) {
				g.Problem = name + " hides it"
			}
		}
		r.find(Note, "environment", nil, "%s=%s leaves %d of %d GPUs to this program, and numbers them anew", name,
			value, len(left), len(order))
		order = left
	}
	r.visible = order
}

// selected returns the cards that a list names, by number or by the beginning of their serial number. It ends with the
// first entry that names none, several, or one that it has already.
func selected(order []*GPU, list string) (left []*GPU) {
	for _, entry := range strings.Split(list, ",") {
		entry = strings.TrimSpace(entry)
		var found []*GPU
		if serial, ok := strings.CutPrefix(entry, "GPU-"); ok {
			for _, g := range order {
				if serial != "" && strings.HasPrefix(strings.ToLower(g.serial), strings.ToLower(serial)) {
					found = append(found, g)
				}
			}
		} else if n, err := strconv.Atoi(entry); err == nil && n >= 0 && n < len(order) {
			found = order[n : n+1]
		}
		if len(found) != 1 || slices.Contains(left, found[0]) {
			return left
		}
		left = append(left, found[0])
	}
	return left
}
