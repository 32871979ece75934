// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"fmt"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/state"
)

// still is a noSource that has no deadline.
type still struct{ noSource }

func (s still) Recv(time.Time) (int, error) {
	<-s.wake
	return 0, nil
}

// BenchmarkPage makes what an open page asks for every five seconds: for a quiet network, for
// an ordinary one, and for a full one with the peers of one computer.
func BenchmarkPage(b *testing.B) {
	for _, bb := range []struct {
		name           string
		clients, peers int
		line           string
	}{
		{"quiet", 0, 0, `{"cmd":"page","host":""}`},
		{"two clients", 2, 20, `{"cmd":"page","host":"192.168.1.50"}`},
		{"full", 64, 256, `{"cmd":"page","host":"192.168.1.50"}`},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := newWorld(b, 1)
			// A loop that waits until it is asked. The clock stands still, so that the other
			// one looks at its timers again and again, and on one processor takes most of the
			// time.
			w.Loops[0].Stop()
			w.Loops[0] = state.NewLoop(w.Loops[0].Engine, still{noSource{make(chan struct{}, 1)}}, w.now)
			go w.Loops[0].Run()
			b.Cleanup(w.Loops[0].Stop)
			for i := range bb.clients {
				for j := range bb.peers {
					w.ping(0, fmt.Sprintf("192.168.1.%d", 50+i), fmt.Sprintf("203.0.113.%d", j%256), true)
				}
			}
			w.enter()
			b.ReportAllocs()
			b.ResetTimer()
			n := 0
			for range b.N {
				req, err := ParseRequest([]byte(bb.line))
				if err != nil {
					b.Fatal(err)
				}
				var out jsonWriter
				out.open('{')
				if err := w.answer(Find(req.Cmd), &out, &req); err != nil {
					b.Fatal(err)
				}
				out.close('}')
				n = len(out.b)
			}
			b.ReportMetric(float64(n), "bytes")
		})
	}
}
