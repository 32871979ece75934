// SPDX-License-Identifier: GPL-2.0-or-later

package cases

import (
	"net/netip"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/cmd/p2pwall-replay/replay"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/state"
)

// row is one case.
type row struct {
	kind, name string
	host       byte // 192.168.1.host speaks
	make       func(*talk)
}

func (r *row) talk() *talk {
	t := newTalk(r.name, r.host)
	r.make(t)
	return t
}

// outcome is what the wall did about a conversation. Only this file depends on the
// form of the engine's results.
type outcome struct {
	talk   *talk
	result *replay.Result
}

// replayed runs a conversation through the engine. Hosts that share a hardware address
// need keepMACs.
func replayed(tb testing.TB, t *talk, keepMACs bool) outcome {
	tb.Helper()
	cfg := state.DefaultConfig()
	for i := range detect.All { // also protocols that are off by default
		cfg.Protocols[i].Mode = state.Block
	}
	r, err := replay.Run(t.write(tb), replay.Options{
		Engine: cfg, LAN: []netip.Prefix{lan}, KeepMACs: keepMACs,
	})
	if err != nil {
		tb.Fatal(err)
	}
	if r.Packets != len(t.packets) {
		tb.Fatalf("%d packets were replayed, of %d", r.Packets, len(t.packets))
	}
	return outcome{t, r}
}

// clients returns the addresses of the hosts that were found, whether proved or only
// recognised.
func (o outcome) clients() []string {
	var out []string
	for _, c := range o.result.Clients {
		out = append(out, c.Address)
	}
	return out
}

// locks is how often a host was locked.
func (o outcome) locks() int { return len(o.events("client", "locked")) }

// events returns when the events of one kind happened, as time since the first packet.
func (o outcome) events(class, what string) []time.Duration {
	var out []time.Duration
	for _, ev := range o.result.Events {
		if ev.Class != class || ev.Event != what {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, ev.Time)
		if err != nil {
			panic(err)
		}
		out = append(out, at.Sub(time.Unix(begin, 0)))
	}
	return out
}

// lost returns the dropped packets that do not belong to the file sharing.
func (o outcome) lost() []packet {
	var out []packet
	for _, n := range o.result.DroppedPackets {
		if p := o.talk.packets[n-1]; !p.peer {
			out = append(out, p)
		}
	}
	return out
}

// since keeps the packets from a moment on.
func since(ps []packet, at time.Duration) []packet {
	for i, p := range ps {
		if p.at >= at {
			return ps[i:]
		}
	}
	return nil
}
