// SPDX-License-Identifier: GPL-2.0-or-later

package webrtc

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Signals is the signalling server for the two sides of a session, a and b. A side sends a
// message with "POST /put/NAME", gets the other side's with "GET /get/NAME", and reports
// how many bytes it received with "POST /got/NAME".
type Signals struct {
	mu   sync.Mutex
	said map[string]chan string // messages by the side that gets them
	got  map[string]int
}

// NewSignals returns a server for one session.
func NewSignals() *Signals {
	return &Signals{
		said: map[string]chan string{"a": make(chan string, 100), "b": make(chan string, 100)},
		got:  map[string]int{},
	}
}

// Got returns how many bytes each side has received.
func (s *Signals) Got() (a, b int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got["a"], s.got["b"]
}

// ServeHTTP answers one side.
func (s *Signals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	name := r.PathValue("name")
	to := map[string]string{"a": "b", "b": "a"}[name]
	if to == "" {
		http.NotFound(w, r)
		return
	}
	switch r.PathValue("what") {
	case "put":
		s.said[to] <- string(b)
	case "get":
		select {
		case m := <-s.said[name]:
			io.WriteString(w, m)
		case <-time.After(2 * time.Second):
			w.WriteHeader(http.StatusNoContent)
		}
	case "got":
		n, err := strconv.Atoi(string(b))
		if err != nil {
			http.Error(w, "no number", http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.got[name] = n
		s.mu.Unlock()
	default:
		http.NotFound(w, r)
	}
}
