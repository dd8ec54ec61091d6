package openai

// ParseModelName reads {"model": "..."}, what requests to the administration's endpoints say. The error is an
// *[Error].
func ParseModelName(body []byte, l Limits) (id string, err error) {
	err = parse(body, l, func(f fields) {
		if raw := f.need("model"); raw != nil {
			id = f.r.text("model", raw, 256)
		}
	})
	return id, err
}
