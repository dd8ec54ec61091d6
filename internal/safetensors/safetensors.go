package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Tensor is one tensor of a file.
type Tensor struct {
	DType string // as the format spells it: "F32", "BF16", "F8_E4M3", ...
	Shape []int  // outermost first
	Data  []byte // little-endian
}

// entry is a tensor in the header.
type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

const metadata = "__metadata__"

// Encode lays out a file with the tensors in the order of their names.
func Encode(tensors map[string]Tensor) ([]byte, error) {
	header := map[string]any{metadata: map[string]string{"format": "pt"}}
	var data []byte
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		t := tensors[name]
		if t.Shape == nil {
			t.Shape = []int{} // a scalar, not null
		}
		header[name] = entry{t.DType, t.Shape, [2]int{len(data), len(data) + len(t.Data)}}
		data = append(data, t.Data...)
	}
	h, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h, data), nil
}

// Decode returns the tensors of a file, whose data it shares.
func Decode(file []byte) (map[string]Tensor, error) {
	if len(file) < 8 {
		return nil, fmt.Errorf("safetensors: %d bytes are no file", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > uint64(len(file)-8) {
		return nil, fmt.Errorf("safetensors: header of %d bytes in a file of %d", n, len(file))
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(file[8:8+n], &header); err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	delete(header, metadata)
	data, out := file[8+n:], map[string]Tensor{}
	for name, raw := range header {
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
		if e.Offsets[0] < 0 || e.Offsets[0] > e.Offsets[1] || e.Offsets[1] > len(data) {
			return nil, fmt.Errorf("safetensors: tensor %q: offsets %v in %d bytes", name, e.Offsets, len(data))
		}
		out[name] = Tensor{e.DType, e.Shape, data[e.Offsets[0]:e.Offsets[1]]}
	}
	return out, nil
}
