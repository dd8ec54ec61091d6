package topo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Visible returns the GPUs that the environment leaves, in the order in which HIP numbers them. lookup is
// os.LookupEnv. A list ends before its first token that is invalid, out of range or a repetition; one that is set and
// empty leaves nothing.
func Visible(gpus []GPU, lookup func(string) (string, bool)) []GPU {
	if list, ok := lookup("ROCR_VISIBLE_DEVICES"); ok {
		gpus = choose(gpus, list, true)
	}
	list, ok := lookup("HIP_VISIBLE_DEVICES")
	if !ok {
		list, ok = lookup("CUDA_VISIBLE_DEVICES")
	}
	if ok {
		gpus = choose(gpus, list, false)
	}
	return gpus
}

// choose returns the GPUs that a list names. uuids says whether it may name them by their unique ids.
func choose(gpus []GPU, list string, uuids bool) (chosen []GPU) {
	var taken []int
	for token := range strings.SplitSeq(list, ",") {
		i := find(gpus, strings.TrimSpace(token), uuids)
		if i < 0 || slices.Contains(taken, i) {
			break
		}
		taken = append(taken, i)
		chosen = append(chosen, gpus[i])
	}
	return chosen
}

// find returns the index that a token names, or -1.
func find(gpus []GPU, token string, uuids bool) int {
	if prefix, ok := strings.CutPrefix(token, "GPU-"); ok && uuids && prefix != "" {
		at := -1
		for i := range gpus {
			if gpus[i].UniqueID != 0 && strings.HasPrefix(fmt.Sprintf("%016X", gpus[i].UniqueID), strings.ToUpper(prefix)) {
				if at >= 0 {
					return -1
				}
				at = i
			}
		}
		return at
	}
	i, err := strconv.Atoi(token)
	if err != nil || i < 0 || i >= len(gpus) {
		return -1
	}
	return i
}
