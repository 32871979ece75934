// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// TestSenderAnswer answers a client in the name of a server. The server exists, but gets
// nothing: the client's data is dropped. The client reads the answer and goes on. Then
// both sides are reset.
//
// The test also shows how conntrack treats this. Our answer is not tracked (the rules of
// openwrt ensure that), so the client acknowledges bytes that conntrack has not seen. All
// that the client sends from then on is INVALID, with IPv4 and IPv6, with NAT and
// without. INVALID packets belong to no connection: no match on the connection's mark,
// direction or packets holds, neither with iptables nor with nft, and NAT ignores them.
// If a router lets them pass, they leave with their LAN address, and the server resets
// the client. So the router must drop them, including the ACK without data that comes
// before the client's answer.
//
// If our answer were tracked, the client's next segment would be ESTABLISHED without NAT.
// With NAT, the answer would leave with another source port, because conntrack takes it
// for a new connection and the real one has that port. The client would ignore it.
func TestSenderAnswer(t *testing.T) {
	const first, next = 146, 700 // bytes of data; the length identifies the second
	nextLength := []string{"-m", "length", "--length", fmt.Sprintf("%d:%d", next, next+100)}
	for _, f := range families {
		for _, nat := range []bool{false, true} {
			name := f.name + map[bool]string{true: ", NAT"}[nat]
			t.Run(name, func(t *testing.T) {
				r := newRouter(t)
				own := fmt.Sprintf("%#x", testMarks.Own)
				rule := func(table, chain string, args ...string) {
					netns.Run(t, "", f.iptables, append([]string{"-w", "-t", table, "-A", chain}, args...)...)
				}
				forward := func(args ...string) { // from the LAN
					rule("mangle", "FORWARD", append([]string{"-i", "lan", "-p", "tcp"}, args...)...)
				}
				for _, state := range []string{"NEW", "ESTABLISHED", "INVALID", "UNTRACKED"} {
					forward(append(nextLength, "-m", "conntrack", "--ctstate", state)...)
				}
				forward("--tcp-flags", "ACK,PSH", "ACK", "-m", "conntrack", "--ctstate", "INVALID")
				// Any mark of a connection: 0 and all others.
				forward(append(nextLength, "-m", "connmark", "--mark", "0")...)
				forward(append(nextLength, "-m", "connmark", "!", "--mark", "0")...)
				forward("--tcp-flags", "PSH", "PSH", "-j", "NFQUEUE", "--queue-num", fmt.Sprint(testQueue))
				rule("filter", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
				rule("raw", "OUTPUT", "-o", "lan", "-m", "mark", "--mark", own, "-j", "CT", "--notrack")
				if nat {
					rule("nat", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE")
				}
				q, s := openQueue(t, Config{}), openSender(t)

				netns.Switch(t, r.outside)
				server := netip.AddrPortFrom(r.address(f, "outside"), 7002)
				l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(server))
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				netns.Switch(t, r.inside)
				fd := connectTCP(t, server.Addr(), int(server.Port()))
				netns.Switch(t, r.router)
				conns, errs := make(chan net.Conn, 1), make(chan error, 1)
				go waitConnect(fd, conns, errs)
				if err := errors.Join(<-errs, l.SetDeadline(soon())); err != nil {
					t.Fatal(err)
				}
				client := <-conns
				defer client.Close()
				peer, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer peer.Close()
				if err := errors.Join(client.SetDeadline(soon()), peer.SetDeadline(soon())); err != nil {
					t.Fatal(err)
				}

				// dropped returns the client's next data, which does not arrive. On a
				// slow machine, earlier data may come again.
				var last uint32
				dropped := func() (p Packet) {
					for p.PayloadLen == 0 || p.Seq == last {
						recvAll(t, q, 1, func(_ int, got *Packet) Verdict {
							p = *got
							p.Raw = bytes.Clone(got.Raw)
							return Drop
						})
					}
					last = p.Seq
					return p
				}
				write(t, client, make([]byte, first))
				p := dropped()
				if _, _, ok := tcpTimestamps(&p); !ok || p.PayloadLen != first {
					t.Fatalf("first data: %+v", p)
				}
				answer := bytes.Repeat([]byte("Yb"), 48)
				if err := s.Answer(&p, answer); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 200)
				n, err := client.Read(got)
				if err != nil || !bytes.Equal(got[:n], answer) {
					t.Fatalf("the client read % x, %v; want the answer", got[:n], err)
				}
				write(t, client, make([]byte, next))
				more := dropped()
				if more.Seq != p.Seq+first || more.Ack != p.Ack+uint32(len(answer)) || more.PayloadLen != next {
					t.Errorf("next data: %+v", more)
				}

				// Both ends are reset: the server's in the client's name, because it is
				// still open.
				back := Packet{
					Version: p.Version, Proto: ProtoTCP, TCPFlags: ACK, Ack: p.Seq, InDev: r.wan,
					Src: p.Dst, Dst: p.Src, SrcPort: p.DstPort, DstPort: p.SrcPort,
				}
				if err := errors.Join(s.Reset(&more), s.Reset(&back)); err != nil {
					t.Fatal(err)
				}
				for name, c := range map[string]net.Conn{"client": client, "server": peer} {
					if n, err := c.Read(got); n != 0 || !errors.Is(err, unix.ECONNRESET) {
						t.Errorf("%s: read %d bytes, %v; want %v", name, n, err, unix.ECONNRESET)
					}
				}

				counts := netns.Run(t, "", f.iptables, "-w", "-t", "mangle", "-nvxL", "FORWARD")
				seen := func(end string) int {
					return ruleCount(t, counts, fmt.Sprintf("length %d:%d ", next, next+100)+end)
				}
				if seen("ctstate INVALID") == 0 || seen("ctstate NEW")+seen("ctstate ESTABLISHED")+seen("ctstate UNTRACKED") != 0 ||
					seen("connmark match  0x0")+seen("connmark match ! 0x0") != 0 ||
					ruleCount(t, counts, "flags:0x18/0x10 ctstate INVALID") == 0 {
					t.Errorf("conntrack calls the client's answer something else than INVALID:\n%s", counts)
				}
			})
		}
	}
}
