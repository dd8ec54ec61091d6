package main

import "context"
import "fmt"
import "github.com/hipengine/hipengine"

func main() {
	h, _ := hipengine.NewHost(hipengine.HostOptions{}) // fails for options out of range alone
	defer h.Close()
	m, err := h.Open(context.Background(), hipengine.Ember, hipengine.Options{})
	if err != nil {
		panic(err)
	}
	for piece := range m.Chat(context.Background(), []hipengine.Message{{Role: "user", Content: "What is the capital of France?"}}, hipengine.Params{}) {
		fmt.Print(piece.Text)
	}
}
