// SPDX-License-Identifier: GPL-2.0-or-later

package attacks

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// lies are packets as a client sends them, with a source address. They go to several
// addresses, like a client's packets.
func lies(from netip.Addr) (packets [][]byte) {
	to := []netip.Addr{netip.MustParseAddr("198.51.100.121"), netip.MustParseAddr("203.0.113.121"), netip.MustParseAddr("192.0.2.121")}
	if from.Is6() {
		to = []netip.Addr{netip.MustParseAddr("2001:db8:ff::120"), netip.MustParseAddr("2001:db8:ff:1::120"), netip.MustParseAddr("2001:db8:ff:2::120")}
	}
	for _, a := range to {
		packets = append(packets,
			lab.UDPPacket(port(from, 1214), port(a, 1214), lab.PingBytes(lab.EncGiFT, "KaZaA")),
			lab.UDPPacket(port(from, 51413), port(a, 6881), []byte(krpcPing)),
			lab.UDPPacket(port(from, 51413), port(a, 6881), utpSYN),
			lab.UDPPacket(port(from, 4672), port(a, 4672), kadFind),
			lab.TCPPacket(port(from, 40000), port(a, 6881), lab.FlagACK|lab.FlagPSH, 1000, []byte(handshake)),
			lab.TCPPacket(port(from, 40001), port(a, 1214), lab.FlagACK|lab.FlagPSH, 1000, lab.Hello),
			lab.UDPPacket(port(from, 6346), port(a, 6346), []byte(gnutellaPing)),
			lab.UDPPacket(port(from, 6346), port(a, 6346), []byte(g2Ping)),
			lab.UDPPacket(port(from, 3412), port(a, 3412), []byte(adcResult)))
		for i, x := range sessions {
			packets = append(packets, lab.TCPPacket(port(from, uint16(40010+i)), port(a, x.port), lab.FlagACK|lab.FlagPSH, 1000, []byte(x.text)))
		}
	}
	return packets
}

// monitoredPort is where lies go about protocols that are only monitored by default.
const monitoredPort = 4001

// sendLies sends them several times, at the rate of a client.
func (e *env) sendLies(raw *lab.Raw, from ...netip.Addr) {
	e.t.Helper()
	for range 3 {
		for _, a := range from {
			for _, b := range lies(a) {
				e.ok(raw.Send(b))
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestForgedNeighbour: a neighbour sends a client's packets with the victim's IP address
// and its own hardware address. The wall has seen the victim before, or it sees the
// neighbour use the address first.
//
// Fails on 8048849 if the neighbour uses the address first: the address is then the
// neighbour's for five minutes, and the kernel's sets cut the traffic to it.
func TestForgedNeighbour(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"victim", "liar"} {
		t.Run(first+" first", func(t *testing.T) {
			e := newEnv(t, setup{lab: lab.Config{Clients: 2}})
			liar, h := e.lab.Clients[0], e.lab.Clients[1]
			raw := e.raw(liar)
			if first == "liar" {
				e.sendLies(raw, h.Addr4, h.Addr6)
			}
			v := e.victim(h)
			v.events = 0
			e.sendLies(raw, h.Addr4, h.Addr6)
			v.unharmed()
			// The wall works: it finds a client on the victim's host.
			e.client("FastTrack", h)
			e.locked(h)
		})
	}
}

// TestNobodysAddress: a neighbour sends a client's packets with an unused address of the
// LAN. No other host may lose anything, nor may the host that takes the address a moment
// later. A client on that host must still be found.
//
// Passes on 8048849, which takes the address for the neighbour's, as long as nobody takes
// it. The test is here because the neighbour table has no entry for the address.
func TestNobodysAddress(t *testing.T) {
	e := newEnv(t, setup{lab: lab.Config{Clients: 3}})
	liar, h := e.lab.Clients[0], e.lab.Clients[1]
	taker := *e.lab.Clients[2]
	taker.Addr4, taker.Addr6 = netip.MustParseAddr("192.168.1.77"), netip.MustParseAddr("2001:db8:1::77")
	v, raw := e.victim(h), e.raw(liar)
	e.sendLies(raw, taker.Addr4, taker.Addr6)
	v.unharmed()
	e.ok(taker.IPBatch(
		"addr flush dev "+lab.HostDev+" scope global",
		"addr add "+taker.Addr4.String()+"/24 dev "+lab.HostDev,
		"addr add "+taker.Addr6.String()+"/64 dev "+lab.HostDev+" nodad",
		"route replace default via "+lab.Router4.String(), "route replace ::/0 via "+lab.Router6.String(),
	))
	e.ok(taker.Settle())
	w := e.victim(&taker)
	e.sendLies(raw, taker.Addr4, taker.Addr6)
	w.unharmed()
	e.client("FastTrack", &taker)
	e.locked(&taker)
}

// TestGuest: the wall watches the guest network too. Somebody there sends a client's
// packets with the addresses of a host in the main network.
//
// Fails on 8048849: the host in the main network is locked.
func TestGuest(t *testing.T) {
	e := newEnv(t, setup{lab: lab.Config{Guest: true}, main: map[string]string{"device": lab.BridgeDev + " " + lab.GuestDev}})
	h := e.lab.Clients[0]
	raw := e.raw(e.lab.Guest)
	e.sendLies(raw, h.Addr4, h.Addr6)
	v := e.victim(h)
	v.events = 0
	e.sendLies(raw, h.Addr4, h.Addr6)
	v.unharmed()
	// The guest network is watched.
	e.client("FastTrack", e.lab.Guest)
	e.locked(e.lab.Guest)
}

// TestSourceOffTheLAN: a host sends a client's packets with a source address outside the
// LAN. The router must send nothing to that address and must not forward the packets.
//
// Fails on 8048849: it sends answers and probes out of its WAN device.
func TestSourceOffTheLAN(t *testing.T) {
	e := newEnv(t, setup{})
	h := e.lab.Clients[0]
	v := e.victim(h)
	v.events = 0
	from := []netip.Addr{netip.MustParseAddr("203.0.113.252"), netip.MustParseAddr("2001:db8:ff::feed"), netip.MustParseAddr("10.9.8.7")}
	raw := e.raw(h)
	e.sendLies(raw, from...)
	v.unharmed()
	for _, a := range from {
		for _, p := range e.lab.Packets.All(func(p *lab.Packet) bool {
			// The host's own packets go to other addresses.
			return p.WAN && p.Out && p.Dst.Addr() == a
		}) {
			t.Errorf("the router sends to a source that is not on the LAN: %s", &p)
		}
	}
	for _, p := range e.lab.Packets.All(func(p *lab.Packet) bool {
		// Protocols that are only monitored pass.
		return p.WAN && p.Out && slices.Contains(from, p.Src.Addr()) && p.Dst.Port() != monitoredPort
	}) {
		t.Errorf("a packet with a source that is not on the LAN left: %s", &p)
		break
	}
	clients, err := e.wall.Clients()
	e.ok(err)
	if len(clients) > 0 {
		t.Errorf("clients were found: %+v", clients)
	}
}

// made returns a made-up source address of the LAN and a hardware address for it. There
// are only 48 different IPv4 addresses.
func made(i int) (a netip.Addr, mac [6]byte) {
	mac = [6]byte{2, 0x77}
	binary.BigEndian.PutUint32(mac[2:], uint32(i))
	if i%4 == 0 {
		return netip.AddrFrom4([4]byte{192, 168, 1, byte(2 + i/4%48)}), mac
	}
	b := lab.Router6.As16()
	binary.BigEndian.PutUint32(b[12:], uint32(0x10000+i))
	return netip.AddrFrom16(b), mac
}

// TestMadeUpSources: a neighbour sends a client's packets from 10,000 made-up addresses.
// Either half of the packets have made-up hardware addresses too, or all have the
// neighbour's own and it answers ARP and neighbour discovery for them. Meanwhile a client
// starts on another host. It must be found and locked as usual, and a host without a
// client must lose nothing. The number of changes to the kernel's sets must be limited.
//
// Fails on 8048849: the client table is full of locked hosts that do not exist, so the
// other host's client is not locked.
func TestMadeUpSources(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("needs the program nft")
	}
	for _, answers := range []bool{false, true} {
		t.Run(fmt.Sprintf("answers for them %v", answers), func(t *testing.T) { madeUpSources(t, answers) })
	}
}

func madeUpSources(t *testing.T, answers bool) {
	e := newEnv(t, setup{lab: lab.Config{Clients: 2}, main: map[string]string{"sets": "nft", "timelock": "20"}})
	liar, h := e.lab.Clients[0], e.lab.Clients[1]
	if answers {
		mine := map[netip.Addr]bool{}
		for i := range sources {
			a, _ := made(i)
			mine[a] = true
		}
		stop, err := liar.AnswerFor(func(a netip.Addr) bool { return mine[a] })
		e.ok(err)
		t.Cleanup(stop)
	}
	v := e.user(e.lab.Innocent, true, lab.InnocentConfig{IPv6: true, Retries: 1})
	changes := e.setChanges()
	raw := e.raw(liar)
	began, before := time.Now(), changes.Load()
	flood := e.start(func(ctx context.Context) error {
		for i := 0; i < sources && ctx.Err() == nil; i++ {
			a, mac := made(i)
			if i%2 == 0 || answers {
				mac = liar.MAC
			}
			raw.As(mac)
			for j, b := range lies(a)[:24] { // six packets, by UDP, to two addresses
				if j%12 > 2 {
					continue
				}
				if err := raw.Send(b); err != nil {
					return err
				}
			}
			if i%10 == 9 {
				time.Sleep(4 * time.Millisecond)
			}
			if i == sources/4 {
				began, before = time.Now(), changes.Load()
			}
		}
		return nil
	})
	time.Sleep(time.Second) // by now the neighbour's addresses fill the tables
	k := lab.NewKazaa(h, lab.KazaaConfig{Peers: e.lab.Peers, Speed: 10, Mode: 1})
	stop := e.start(k.Run)
	if !e.comes(15*time.Second, func() bool { return e.wall.LastLock(h) == "locked" }) {
		t.Error("the client of another host is not locked")
	}
	e.until("pings and connections", func() bool { o := k.Seen(); return o.Pings >= 400 && o.Attempts >= 10 })
	if h.Connects(port(lab.Server4, 80), 300*time.Millisecond) {
		t.Error("the host with the client connects")
	}
	flood()
	seconds := time.Since(began).Seconds()
	n := changes.Load() - before
	t.Logf("%d changes of the sets in %.1f s", n, seconds)
	// nft reports each peer of the client three times: added, deleted, added with a
	// timeout.
	if most := float64(3*len(e.lab.Peers)) + setChangesMost*(seconds+1); float64(n) > most {
		t.Errorf("%d changes of the kernel's sets in %.1f s, %.0f are the most", n, seconds, most)
	}
	if len(e.wall.About(h, "client", "released")) > 0 {
		t.Error("the client was let go while it ran")
	}
	stop()
	for _, c := range e.lab.Leaks(h, 0) {
		// Packets of the flood that pass when the queue is full are not the client's
		// leaks.
		own := c.Src.Addr() == h.Addr4 || c.Src.Addr() == h.Addr6
		if own && (c.Proto == lab.TCP || c.Proto == lab.UDP) {
			t.Errorf("a leak: %s", &c.Packet)
			break
		}
	}
	v.goesOn()
	v.stop()
	if n, failed := v.user.Counts(); failed > 0 {
		t.Errorf("somebody who runs no client failed %d of %d times: %s", failed, n, strings.Join(v.user.Errors(), "; "))
	}
	v.notFound()
}

// sources is the number of addresses that the neighbour makes up.
const sources = 10_000

// setChangesMost limits the changes to the kernel's sets per second during one
// neighbour's attack. Changes for the peers of the one client are extra.
const setChangesMost = 50

// setChanges counts the elements that are added to or removed from nft's sets.
func (e *env) setChanges() *atomic.Int64 {
	e.t.Helper()
	cmd := e.lab.Router.Command("nft", "monitor", "elements")
	out, err := cmd.StdoutPipe()
	e.ok(err)
	e.ok(cmd.Start())
	e.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	var n atomic.Int64
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			if strings.Contains(s.Text(), " element ") {
				n.Add(1)
			}
		}
	}()
	return &n
}
