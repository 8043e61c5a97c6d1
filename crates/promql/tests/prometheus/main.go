// Prometheus' own parser and engine behind a pipe: a request a line in, its answer a line out, both JSON. What a line may hold stands in
// `request` and `answer`; the other side is `tests/it/upstream/prometheus.rs`.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
)

// One of the three is set.
type request struct {
	// Loads of the script language of Prometheus' tests, into a storage that holds nothing else.
	Load *string `json:"load"`
	// An expression to parse and to print.
	Parse *string `json:"parse"`
	Query *query  `json:"query"`
}

func main() {
	server := newServer()
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			log.Fatalf("not a request: %v", err)
		}
		if err := out.Encode(server.answer(asked)); err != nil {
			log.Fatalf("the answer cannot be written: %v", err)
		}
	}
	server.close()
}
