// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// The indices of two LAN hosts: one has the BitTorrent client, the other gives a single
// sign.
const (
	torrentHost = 2
	suspectHost = 3
)

const (
	torrentID   = "-qB4650-abcdefghijkl" // of a peer
	torrentNode = "abcdefghij0123456789" // of the DHT
	torrentName = "qBittorrent Enhanced/4.6.5.10"
)

// torrent does what a BitTorrent client needs to do to be found and locked. It queries the
// DHT, answers queries, and opens connections to two peers outside, which listen.
type torrent struct {
	host  *lab.Host
	peers [2]netip.AddrPort
	// quiet stops its own queries; it still answers.
	quiet atomic.Bool

	run    sync.WaitGroup
	cancel context.CancelFunc
	conns  []net.Conn
}

// startTorrent starts a client on a host. The client sends its first DHT message at once.
func startTorrent(l *lab.Lab, host *lab.Host) (*torrent, error) {
	t := &torrent{host: host}
	for i := range t.peers {
		t.peers[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(180 + i)}), 51413)
		s, err := l.Inet.ListenTCP(t.peers[i])
		if err != nil {
			return nil, err
		}
		l.OnClose(func() { s.Close() })
		go func() {
			for {
				c, err := s.Accept()
				if err != nil {
					return
				}
				l.OnClose(func() { c.Close() })
			}
		}()
	}
	u, err := host.ListenUDP(netip.AddrPortFrom(netip.Addr{}, 6881))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = func() { cancel(); u.Close() }
	t.run.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := u.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if reply := torrentPong(buf[:n]); reply != nil {
				u.WriteToUDPAddrPort(reply, from)
			}
		}
	})
	t.run.Go(func() {
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			node := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(140 + i%32)}), 6881)
			if !t.quiet.Load() {
				u.WriteToUDPAddrPort([]byte("d1:ad2:id20:"+torrentNode+"e1:q4:ping1:t2:aa1:v4:LT\x01\x2b1:y1:qe"), node)
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	return t, nil
}

// torrentPong returns the answer to a ping of the DHT (BEP 5), nil for other messages.
func torrentPong(query []byte) []byte {
	if !bytes.Contains(query, []byte("1:q4:ping")) {
		return nil
	}
	_, tail, ok := bytes.Cut(query, []byte("1:t"))
	var n int
	if _, err := fmt.Sscanf(string(tail), "%d:", &n); !ok || err != nil || n < 1 || n > 9 || len(tail) < 2+n {
		return nil
	}
	return []byte("d1:rd2:id20:" + torrentNode + "e1:t" + string(tail[:2+n]) + "1:y1:re")
}

// shake opens a connection to a peer and sends the handshake, which has the peer id. With
// extended it also sends the extension handshake, which has the program's own name.
func (t *torrent) shake(peer int, extended bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := t.host.Dial(ctx, "tcp", netip.AddrPort{}, t.peers[peer])
	if err != nil {
		return err
	}
	t.conns = append(t.conns, c)
	hello := "\x13BitTorrent protocol\x00\x00\x00\x00\x00\x10\x00\x05" + "ABCDEFGHIJ9876543210" + torrentID
	if extended {
		body := fmt.Sprintf("\x14\x00d1:md6:ut_pexi1ee1:v%d:%se", len(torrentName), torrentName)
		hello += string([]byte{0, 0, 0, byte(len(body))}) + body
	}
	_, err = c.Write([]byte(hello))
	return err
}

// oneSign sends one DHT message from a host. The host answers no questions, so this proves
// nothing.
func oneSign(host *lab.Host) error {
	u, err := host.ListenUDP(netip.AddrPortFrom(netip.Addr{}, 6881))
	if err != nil {
		return err
	}
	defer u.Close()
	node := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, 140}), 6881)
	_, err = u.WriteToUDPAddrPort([]byte("d1:ad2:id20:"+torrentNode+"e1:q4:ping1:t2:aa1:y1:qe"), node)
	return err
}

// stop ends the client.
func (t *torrent) stop() {
	for _, c := range t.conns {
		c.Close()
	}
	t.cancel()
	t.run.Wait()
}
