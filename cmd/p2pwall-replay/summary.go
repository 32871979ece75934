// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/cmd/p2pwall-replay/replay"
)

// width is the largest width of lines of peers.
const width = 78

func summary(w io.Writer, r *replay.Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s in %v, %d through the router: %d accepted, %d dropped; %d sent\n",
		r.File, count(r.Packets, "packet"), r.Span().Round(time.Millisecond),
		r.Accepted+r.Dropped, r.Accepted, r.Dropped, r.Sent)
	if len(r.Clients) == 0 {
		b.WriteString("  no P2P client found\n")
	}
	for _, h := range r.Hints {
		fmt.Fprintf(&b, "    perhaps because %s\n", h)
	}
	for _, c := range r.Clients {
		who := c.Address
		if c.MAC != "" {
			who += " (" + c.MAC + ")"
		}
		by := c.FirstSeen + " by " + c.Reason
		if c.Peer != "" {
			by += " to " + c.Peer
		}
		if c.Proof == "" {
			fmt.Fprintf(&b, "  %s: %s recognised; a router would ask it. First seen at %s\n", who, c.Title, by)
		} else {
			fmt.Fprintf(&b, "  %s runs %s, proved by its %s: found at %s\n", who, c.Title, c.Proof, by)
		}
		fmt.Fprintf(&b, "    locked %s, %s of it dropped, %s:\n",
			count(c.Locks, "time"), count(c.Dropped, "packet"), count(len(c.Peers), "peer"))
		wrap(&b, c.Peers)
	}
	if r.Error != "" {
		fmt.Fprintf(&b, "  incomplete: %s\n", r.Error)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func wrap(b *strings.Builder, words []string) {
	const indent = "      "
	col := width + 1
	for i, w := range words {
		switch {
		case i == 0:
			b.WriteString(indent)
			col = len(indent)
		case col+1+len(w) > width:
			b.WriteString("\n" + indent)
			col = len(indent)
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(w)
		col += len(w)
	}
	if len(words) > 0 {
		b.WriteByte('\n')
	}
}
