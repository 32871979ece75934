// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
	"github.com/p2pwall/p2pwall/procd/control"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/history"
	"github.com/p2pwall/p2pwall/state"
)

// example is a made-up protocol. By UDP a question is "XQ" and a number of four bytes. An
// answer is "XA" and the same number. A session by TCP begins with "XS" and the program's
// name in eight bytes. The next message is "XP" and the port where the program listens. A
// question to that port by TCP gets the same answer as by UDP. See
// docs/adding-a-protocol.md.
var example = detect.Protocol{
	Name: "example", Title: "Example", Programs: "Exampler",
	Datagram: func(b []byte, f *detect.Finding) detect.Kind {
		switch {
		case len(b) == 6 && string(b[:2]) == "XQ":
			f.Reason, f.Conduct = detect.ReasonPing, true
			return detect.Query
		case len(b) == 6 && string(b[:2]) == "XA":
			f.Reason = detect.ReasonPong
			return detect.Reply
		}
		return detect.None
	},
	First: func(b []byte, _ bool, f *detect.Finding) detect.Match {
		switch {
		case len(b) < 2:
			return detect.More
		case string(b[:2]) == "X?": // other protocols begin so, too
			f.Reason = detect.ReasonPeer
			return detect.Hint
		case string(b[:2]) != "XS":
			return detect.No
		case len(b) < 10:
			return detect.More
		}
		f.Reason, f.Conduct, f.Length, f.Wait = detect.ReasonHello, true, 10, true
		f.Client.Set(b[2:10])
		return detect.Yes
	},
	Next: func(b []byte, _ bool, f *detect.Finding) detect.Match {
		switch {
		case len(b) < 4:
			return detect.More
		case string(b[:2]) != "XP":
			return detect.No
		}
		f.TCPPort = uint16(b[2])<<8 | uint16(b[3])
		return detect.Yes
	},
	Local: func(b []byte, port uint16, f *detect.Finding) bool {
		f.UDPPort, f.Reason = port, detect.ReasonLocal
		return string(b) == "XL"
	},
	Groups: []detect.Group{{Addr: "239.1.2.3", Port: 4321}},
	Answer: func(dst, query []byte, _ detect.Answer, _ *detect.Asked) int {
		n := copy(dst, query)
		dst[1] = 'A'
		return n
	},
	Probes: []detect.Probe{
		{Name: "udp", Build: exampleQuestion, Answered: exampleAnswered},
		{Name: "tcp", TCP: true, Every: 30, Build: exampleQuestion, Answered: exampleAnswered},
	},
	Mode: detect.ModeBlock, Sift: true, Names: []string{"*.example.org"},
}

func exampleQuestion(dst, _ []byte, salt uint32) int {
	return copy(dst, []byte{'X', 'Q', byte(salt >> 24), byte(salt >> 16), byte(salt >> 8), byte(salt)})
}

func exampleAnswered(b, question []byte) bool {
	return len(b) == 6 && string(b[:2]) == "XA" && bytes.Equal(b[2:], question[2:])
}

// exampleWorld is an engine with one LAN host.
type exampleWorld struct {
	t    *testing.T
	e    *state.Engine
	now  state.Time
	port uint16
	// The questions to the LAN: those sent by UDP, and the address and bytes of those by
	// TCP.
	udp   [][]byte
	asked []string
	id    uint64
}

func (w *exampleWorld) UDP(_ uint32, _, _ nfq.AddrPort, b []byte) error {
	w.udp = append(w.udp, bytes.Clone(b))
	return nil
}
func (*exampleWorld) Reset(*nfq.Packet) error          { return nil }
func (*exampleWorld) Answer(*nfq.Packet, []byte) error { return nil }
func (*exampleWorld) Reject(*nfq.Packet) error         { return nil }

func (w *exampleWorld) ProbeTCP(id uint64, _ uint32, a nfq.Addr, port uint16, b []byte, _ int) bool {
	w.asked, w.id = append(w.asked, fmt.Sprintf("%s:%d %q", a, port, b[:2])), id
	w.udp = append(w.udp, bytes.Clone(b))
	return true
}

const (
	exampleHost = "192.168.1.50"
	exampleLAN  = 3
)

func newExampleWorld(t *testing.T) (*exampleWorld, config.Config) {
	all := detect.All
	detect.All = append(all[:len(all):len(all)], &example)
	t.Cleanup(func() { detect.All = all })
	c, err := config.Parse(strings.NewReader("config protocol 'example'\n\toption mode 'block'\n\tlist name '*.example.net'\n"), "x")
	if err != nil {
		t.Fatal(err)
	}
	w := &exampleWorld{t: t, now: state.Time(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano()), port: 30000}
	w.e = state.New(config.EngineConfig(c), w, nil, 7)
	w.e.SetProber(w)
	w.e.SetDevices([]state.Device{{
		Index: exampleLAN, Name: "br-lan", Addrs: []nfq.Addr{nfq.AddrFrom(netip.MustParseAddr("192.168.1.1"))},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")},
	}})
	return w, c
}

// send lets the host send a packet, and checks the verdict.
func (w *exampleWorld) send(what string, proto, flags uint8, hook uint8, from uint16, to string, b string, want nfq.Verdict) {
	w.t.Helper()
	dst := netip.MustParseAddrPort(to)
	p := nfq.Packet{
		Hook: hook, InDev: exampleLAN, OutDev: 2, MAC: nfq.MAC{2, 0, 0, 0, 0, 10}, Version: 4, Proto: proto, TCPFlags: flags, Seq: 1000,
		Src: nfq.AddrFrom(netip.MustParseAddr(exampleHost)), Dst: nfq.AddrFrom(dst.Addr()), SrcPort: from, DstPort: dst.Port(),
		Payload: []byte(b), PayloadLen: len(b),
	}
	if flags == nfq.SYN {
		p.Seq--
	}
	if got := w.e.Packet(&p, w.now); got != want {
		w.t.Errorf("%s: verdict %d, want %d", what, got, want)
	}
	w.e.Advance(w.now)
}

// says lets the host send a datagram. begins lets it open a connection from another port.
func (w *exampleWorld) says(what, to, b string, want nfq.Verdict) {
	w.t.Helper()
	w.send(what, nfq.ProtoUDP, 0, nfq.HookForward, 7000, to, b, want)
}

func (w *exampleWorld) begins(what, to, b string, want nfq.Verdict) {
	w.t.Helper()
	w.port++
	w.send(what+": SYN", nfq.ProtoTCP, nfq.SYN, nfq.HookForward, w.port, to, "", nfq.Accept)
	w.send(what, nfq.ProtoTCP, nfq.ACK|nfq.PSH, nfq.HookForward, w.port, to, b, want)
}

// status returns the control socket's reply to "clients", which LuCI's page reads.
func (w *exampleWorld) status() string {
	w.t.Helper()
	l := state.NewLoop(w.e, exampleSource{}, func() state.Time { return w.now })
	go l.Run()
	defer l.Stop()
	s := &control.Service{
		Loops: []*state.Loop{l}, Journal: events.NewJournal(time.Now), History: new(history.Table),
		Info: func() control.Info { return control.Info{} },
		Name: func(nfq.Addr, nfq.MAC) string { return "" },
	}
	path := filepath.Join(w.t.TempDir(), "socket")
	server, err := control.Listen(path, s.Handle)
	if err != nil {
		w.t.Fatal(err)
	}
	defer server.Close()
	out := ""
	if err := control.Call(path, []byte(`{"cmd":"clients"}`+"\n"), time.Minute, func(line []byte) bool {
		out = string(line)
		return false
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

type exampleSource struct{}

func (exampleSource) Recv(time.Time) (int, error) { time.Sleep(time.Millisecond); return 0, nil }
func (exampleSource) Packet(int) *nfq.Packet      { return nil }
func (exampleSource) Verdict(int, nfq.Verdict)    {}
func (exampleSource) Flush() error                { return nil }
func (exampleSource) Moderate()                   {}
func (exampleSource) Wake()                       {}

func (w *exampleWorld) shows(words ...string) {
	w.t.Helper()
	got := w.status()
	for _, x := range words {
		if !strings.Contains(got, x) {
			w.t.Errorf("the status lacks %s: %s", x, got)
		}
	}
}

func TestExampleProtocol(t *testing.T) {
	t.Run("conduct", func(t *testing.T) {
		w, _ := newExampleWorld(t)
		w.says("a question", "198.51.100.7:7000", "XQabcd", nfq.Drop)
		w.says("something else", "198.51.100.7:7000", "YQabcd and more", nfq.Accept)
		w.shows(`"clients":[]`, `"protocol":"example"`) // a suspect
		w.says("a question to another", "198.51.100.8:7000", "XQabce", nfq.Drop)
		w.shows(`"protocol":"example","title":"Example"`, `"proof":"conduct"`, `"locked":true`)
		w.says("what else goes from its port", "198.51.100.9:7000", "0123456789", nfq.Drop)
		w.begins("a session", "198.51.100.10:7001", "XSprogram1", nfq.Drop)
		w.begins("what may be one", "198.51.100.10:7002", "X? and more", nfq.Drop)
		w.begins("the web", "198.51.100.10:80", "GET / HTTP/1.1\r\n\r\n", nfq.AcceptDecided)
	})
	t.Run("answer by UDP", func(t *testing.T) {
		w, _ := newExampleWorld(t)
		w.says("a question", "198.51.100.7:7000", "XQabcd", nfq.Drop)
		// The engine asked the host.
		if len(w.udp) != 1 {
			t.Fatalf("sent %q", w.udp)
		}
		answer := "XA" + string(w.udp[0][2:])
		w.send("not its answer", nfq.ProtoUDP, 0, nfq.HookInput, 7000, "192.168.1.1:1214", "XA0000", nfq.Accept)
		w.shows(`"clients":[]`)
		w.send("its answer", nfq.ProtoUDP, 0, nfq.HookInput, 7000, "192.168.1.1:1214", answer, nfq.Drop)
		w.shows(`"proof":"answer"`, `"locked":true`)
	})
	t.Run("answer by TCP", func(t *testing.T) {
		w, _ := newExampleWorld(t)
		// The session goes on until the host has sent its port.
		w.begins("a session", "198.51.100.7:7001", "XSprogram1", nfq.Accept)
		w.send("its port", nfq.ProtoTCP, nfq.ACK|nfq.PSH, nfq.HookForward, w.port, "198.51.100.7:7001", "XSprogram1XP\x1b\x59", nfq.Drop)
		want := fmt.Sprint([]string{exampleHost + `:7001 "XQ"`})
		if got := fmt.Sprint(w.asked); got != want {
			t.Fatalf("asked %s, want %s", got, want)
		}
		// The engine does not ask the host too often.
		for range 20 {
			w.now = w.now.After(time.Second)
			w.begins("another session", "198.51.100.7:7001", "XSprogram1", nfq.Accept)
		}
		if got := fmt.Sprint(w.asked); got != want {
			t.Errorf("asked %s", got)
		}
		w.now = w.now.After(15 * time.Second)
		w.begins("what may be a session", "198.51.100.8:7001", "X? and more", nfq.AcceptDecided)
		if len(w.asked) != 2 {
			t.Fatalf("asked %s", w.asked)
		}
		w.e.ProbedTCP(w.id, []byte("XA"+string(w.udp[len(w.udp)-1][2:])), w.now)
		w.shows(`"program":"program1"`, `"proof":"answer"`, `"locked":true`)
	})
	t.Run("a search in the LAN", func(t *testing.T) {
		w, _ := newExampleWorld(t)
		w.send("a search", nfq.ProtoUDP, 0, nfq.HookInput, 7000, "239.1.2.3:4321", "XL", nfq.Accept)
		if len(w.udp) != 1 || string(w.udp[0][:2]) != "XQ" {
			t.Errorf("asked %q", w.udp)
		}
	})
	t.Run("configuration", func(t *testing.T) {
		_, c := newExampleWorld(t)
		rules, err := firewall.MakeRules(&c, firewall.Target{Backend: config.BackendNFT, Sets: config.SetsNFT, Devices: []string{"br-lan"}})
		if err != nil || !strings.Contains(rules.NFT, "ip daddr 239.1.2.3 udp dport 4321") {
			t.Errorf("%v, rules %s", err, rules.NFT)
		}
		p := c.Protocols["example"]
		if p.Lock != config.LockSelective || !p.Probe || !p.TCPProbe || len(p.Names) != 1 {
			t.Errorf("%+v", p)
		}
		_, err = config.Parse(strings.NewReader("config protocol 'example'\n\toption pong '0x28'\n\toption reset_encrypted '1'\n"), "x")
		if err == nil || strings.Count(err.Error(), "use one of mode lock block_udp answer probe tcp_probe http name") != 2 {
			t.Errorf("%v", err)
		}
	})
}
