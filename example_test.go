package hipengine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/hipengine/hipengine"
)

// Ember, the built-in model, answers a question.
func Example() {
	host, err := hipengine.NewHost(hipengine.HostOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	model, err := host.Open(context.Background(), hipengine.Ember, hipengine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	question := []hipengine.Message{{Role: "user", Content: "What is the capital of France?"}}
	for piece, err := range model.Chat(context.Background(), question, hipengine.Params{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(piece.Text)
	}
	// Output: The capital of France is Paris.
}
