// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// same compares configurations. cmp needs a comparer for netip.Prefix, which has no exported
// fields.
func same(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestParseEmptyIsDefault(t *testing.T) {
	for _, in := range []string{"", "config p2pwall 'main'\n", "config p2pwall\nconfig protocol fasttrack\n"} {
		got, err := Parse(strings.NewReader(in), "f")
		if err != nil {
			t.Fatal(err)
		}
		same(t, Default(), got)
	}
}

// TestShippedConfig: the installed files change no default, so that an upgrade can change the
// defaults. The files of OpenWrt and Debian differ.
func TestShippedConfig(t *testing.T) {
	for _, file := range []string{"../files/etc/config/p2pwall", "../debian/p2pwall.conf"} {
		got, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		got.EventCommand = "" // the script that is installed too
		same(t, Default(), got)
	}
}

func TestParseFull(t *testing.T) {
	got, err := Load("testdata/full.conf")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Enabled:     false,
		Networks:    []string{"lan", "guest"},
		Devices:     []string{"br-lan", "eth0.3"},
		DevicesFile: "/tmp/devices",
		TimeLock:    90 * time.Second,
		LookBack:    10 * time.Second,
		Forget:      600 * time.Second,
		Exempt: ExemptList{
			Prefixes: []netip.Prefix{
				netip.MustParsePrefix("192.168.1.20/32"), netip.MustParsePrefix("192.168.2.0/24"),
				netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("2001:db8:1::5/128"),
			},
			MACs: []nfq.MAC{{0, 0x11, 0x22, 0x33, 0x44, 0xaa}},
		},
		MaxClients:   128,
		Backend:      BackendIPTables,
		Sets:         SetsIPSet,
		Queue:        300,
		Queues:       4,
		QueueLength:  256,
		CopyRange:    4096,
		MarkMask:     0x70000000,
		FailOpen:     false,
		Action:       ActionReset,
		Offload:      OffloadLeave,
		Control:      "/tmp/control",
		StateFile:    "",
		HistoryFile:  "/etc/p2pwall/history",
		EventCommand: "/usr/libexec/p2pwall-event",
		Log:          LogClients | LogPeers | LogUDPDropped | LogTCPDropped,
		Protocols: map[string]Protocol{
			"fasttrack":     {Mode: ModeMonitor, Lock: LockSelective, Answer: detect.AnswerFull},
			"bittorrent":    {Mode: ModeMonitor, Lock: LockStrict, Names: []string{"router.example.org", "*.tracker.example.org"}},
			"winmx":         {Mode: ModeBlock, Lock: LockSelective, BlockUDP: true, Names: []string{"*.example.org"}},
			"opennap":       {Mode: ModeMonitor, Lock: LockStrict, BlockUDP: true, HTTP: true},
			"edonkey":       {Mode: ModeMonitor, Lock: LockStrict, ResetEncrypted: true},
			"soulseek":      {Mode: ModeMonitor, Lock: LockStrict, BlockUDP: true},
			"directconnect": {Mode: ModeMonitor, Lock: LockStrict, Names: []string{"hubs.example.org"}},
			"gnutella":      {Mode: ModeMonitor, Lock: LockStrict},
		},
		Policies: []Policy{{
			Name: "School computers",
			Members: ExemptList{
				Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.3.0/24"), netip.MustParsePrefix("2001:db8:3::7/128")},
				MACs:     []nfq.MAC{{0, 0x11, 0x22, 0x33, 0x44, 0xbb}},
			},
			Hosts: []string{"kids-pc"}, Networks: []string{"guest"}, Devices: []string{"wg0"},
			Protocols: []string{"bittorrent", "winmx"},
			Hours:     Hours{Days: 1<<time.Monday | 1<<time.Tuesday | 1<<time.Wednesday, Start: 21*3600 + 30*60, Stop: 6*3600 + 15*60 + 30},
			Mode:      ModeMark,
		}},
		Hosts: []HostName{{Name: "Anna's phone", Members: ExemptList{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.8.0.2/32")}}}},
		Notify: []Notify{
			{Name: "phone", Kind: NotifyNtfy, URL: "https://ntfy.example.org/topic", Token: "tk_secret", Events: NotifyFound | NotifyUnprotected},
			{Name: "2", Kind: NotifyMail, To: "me@example.org", From: "router@example.org", Events: NotifyFound | NotifyReleased | NotifyUnprotected},
		},
		MarkDSCP: 8,
		ConnMark: 0x00010000,
		ConnMask: 0x00ff0000,
	}
	// The file is silent about networks of which only the beginning of a connection is known.
	for _, name := range []string{"ipfs", "xunlei", "ares", "applejuice", "mute"} {
		want.Protocols[name] = Default().Protocols[name]
	}
	same(t, want, got)
	// The file must set every field, so that this test forgets none.
	v, d := reflect.ValueOf(got), reflect.ValueOf(Default())
	for i := 0; i < v.NumField(); i++ {
		if reflect.DeepEqual(v.Field(i).Interface(), d.Field(i).Interface()) {
			t.Errorf("testdata/full.conf leaves %s at its default", v.Type().Field(i).Name)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"section", "config wall\n", `f:1: unknown section type "wall", use p2pwall, protocol, policy, notify or host`},
		{"option", "config p2pwall\noption foo 1\n", `f:2: unknown option "foo", remove it or correct the name`},
		{"boolean", "config p2pwall\noption enabled maybe\n", `f:2: bad value "maybe" for enabled, use 1 or 0`},
		{"number", "config p2pwall\noption max_clients 2000\n", `f:2: bad value "2000" for max_clients, use a number from 1 to 1024`},
		{"not a number", "config p2pwall\noption queue -1\n", `f:2: bad value "-1" for queue, use a number from 0 to 65535`},
		{"seconds", "config p2pwall\noption timelock 2m\n", `f:2: bad value "2m" for timelock, use seconds from 0 to 86400`},
		{"choice", "config p2pwall\noption backend pf\n", `f:2: bad value "pf" for backend, use one of auto nft iptables`},
		{"path", "config p2pwall\noption control sock\n", `f:2: bad value "sock" for control, use an absolute path`},
		{"path or off", "config p2pwall\noption state_file x\n", `f:2: bad value "x" for state_file, use an absolute path, or off`},
		{"device", "config p2pwall\nlist device 'a\"b'\n", `f:2: bad value "a\"b" for device, ` + deviceRemedy},
		{"wildcard", "config p2pwall\nlist device 'br-+'\n", `f:2: bad value "br-+" for device, ` + deviceRemedy},
		{"network", "config p2pwall\nlist network 'a b'\n", `f:2: bad value "a b" for network, use the name of a network in /etc/config/network`},
		{"exempt", "config p2pwall\nlist exempt 192.168.1\n", `f:2: bad value "192.168.1" for exempt, use an address, a network such as 192.168.1.0/24, or a MAC such as 00:11:22:33:44:55`},
		{"log", "config p2pwall\nlist log everything\n", `f:2: bad value "everything" for log, use udp_dropped udp_accepted tcp_dropped tcp_accepted peers clients all none or the letters uUtTpc`},
		{"list for one value", "config p2pwall\nlist timelock 5\n", `f:2: "timelock" is not a list, write: option timelock 'value'`},
		{"twice", "config p2pwall a\nconfig p2pwall b\n", `f:2: a second section of the type "p2pwall", put its options into the first`},
		{"mark of two bits", "config p2pwall\noption mark 0x03000000\n", `f:2: bad value "0x03000000" for mark, use a mask of exactly 3 bits that nothing else uses, such as 0x0200c000`},
		{"mark of four bits", "config p2pwall\noption mark 0xf\n", `f:2: bad value "0xf" for mark, use a mask of exactly 3 bits that nothing else uses, such as 0x0200c000`},
		{"mark that is no mask", "config p2pwall\noption mark 7\n", `f:2: bad value "7" for mark, use a mask of exactly 3 bits that nothing else uses, such as 0x0200c000`},
		{"mark that is too long", "config p2pwall\noption mark 0x700000000\n", `f:2: bad value "0x700000000" for mark, use a mask of exactly 3 bits that nothing else uses, such as 0x0200c000`},
		{"queues beyond the end", "config p2pwall\noption queue 65530\noption queues 8\n", `f:3: queue and queues together go beyond 65535, choose a smaller queue`},
		{"ipset with nft", "config p2pwall\noption backend nft\noption sets ipset\n", `f:3: the nft backend cannot use ipset, set sets to nft or auto`},
		{"protocol", "config protocol gopher\n", `f:1: unknown protocol "gopher", use one of fasttrack bittorrent winmx opennap edonkey soulseek directconnect gnutella ipfs xunlei ares applejuice mute`},
		{"protocol without a name", "config protocol\n", `f:1: a protocol section without a name, use one of fasttrack bittorrent winmx opennap edonkey soulseek directconnect gnutella ipfs xunlei ares applejuice mute`},
		{"protocol option", "config protocol fasttrack\noption foo 1\n", `f:2: unknown option "foo" for the protocol fasttrack, use one of mode lock block_udp pong probe tcp_probe http`},
		{"pong", "config protocol fasttrack\noption pong 0x27\n", `f:2: bad value "0x27" for pong, use 0x28, 0x29 or off`},
		{"pong of another", "config protocol bittorrent\noption pong 1\n", `f:2: unknown option "pong" for the protocol bittorrent, use one of mode lock block_udp answer probe tcp_probe http reset_encrypted name`},
		{"probe of another", "config protocol winmx\noption probe 1\n", `f:2: unknown option "probe" for the protocol winmx, use one of mode lock http name`},
		{"answer", "config protocol bittorrent\noption answer 0x28\n", `f:2: bad value "0x28" for answer, use 1 or 0`},
		{"lock", "config protocol bittorrent\noption lock tight\n", `f:2: bad value "tight" for lock, use one of strict selective`},
		{"name", "config protocol bittorrent\nlist name a..b\n", `f:2: bad value "a..b" for name, use a DNS name such as tracker.example.org or *.example.org, or off`},
		{"names", "config protocol bittorrent\n" + manyNames(), `f:2: more than 128 names, use patterns such as *.example.org`},
		{"mode", "config protocol fasttrack\noption mode kill\n", `f:2: bad value "kill" for mode, use one of off monitor block mark`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(c.in), "f")
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %v", err, c.want)
			}
		})
	}
}

func manyNames() string {
	var b strings.Builder
	for i := range detect.MaxNames + 1 {
		fmt.Fprintf(&b, "list name n%d.example.org\n", i)
	}
	return b.String()
}

func TestParseNames(t *testing.T) {
	for in, want := range map[string][]string{
		"":                      detect.BitTorrent.Names,
		"option mode monitor\n": detect.BitTorrent.Names,
		"list name ''\n":        nil,
		"option name off\n":     nil,
		"list name a.org\nlist name b.org\nlist name a.org\n": {"a.org", "b.org"},
		"option name 'a.org *.b.org'\n":                       {"a.org", "*.b.org"},
	} {
		c, err := Parse(strings.NewReader("config protocol bittorrent\n"+in), "f")
		if err != nil {
			t.Error(err)
		}
		same(t, want, c.Protocols["bittorrent"].Names)
	}
}

func TestParseReportsAll(t *testing.T) {
	_, err := Parse(strings.NewReader("config p2pwall\noption a 1\nbogus\noption enabled x\nconfig 'x-y' 'x-y'\noption z 1\nconfig protocol fasttrack\noption mode x\n"), "f")
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("not an Errors: %v", err)
	}
	var lines []int
	for _, e := range errs {
		lines = append(lines, e.Line)
	}
	same(t, []int{2, 3, 4, 5, 8}, lines)
	var one *Error
	if !errors.As(err, &one) || one.Line != 2 {
		t.Errorf("errors.As gives %v", one)
	}
}

func TestLoadMissing(t *testing.T) {
	_, err := Load("/nonexistent/p2pwall")
	if want := "/nonexistent/p2pwall: cannot be opened: no such file or directory, create it, or name another with -c"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestExempt(t *testing.T) {
	var e ExemptList
	for _, s := range []string{
		"10.1.0.0/16", "10.1.2.3", "10.0.0.0/8", "10.9.9.9/8", "192.168.1.7/24", "::ffff:1.2.3.4", "fe80::1",
		"00-11-22-33-44-55", "00:11:22:33:44:55",
	} {
		if !e.add(s) {
			t.Errorf("%s refused", s)
		}
	}
	same(t, ExemptList{
		Prefixes: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.1.0/24"),
			netip.MustParsePrefix("1.2.3.4/32"), netip.MustParsePrefix("fe80::1/128"),
		},
		MACs: []nfq.MAC{{0, 0x11, 0x22, 0x33, 0x44, 0x55}},
	}, e)
	for _, s := range []string{
		"", "lan", "10.0.0.0/33", "10.0.0.1-10.0.0.9", "fe80::1%eth0", "::ffff:10.0.0.0/104",
		"00:11:22:33:44", "00:11:22-33:44:55", "00:11:22:33:44:5g", "00:00:00:00:00:00",
	} {
		if e.add(s) {
			t.Errorf("%q taken", s)
		}
	}
	for _, c := range []struct {
		addr string
		mac  nfq.MAC
		want bool
	}{
		{"10.200.0.1", nfq.MAC{}, true},
		{"11.0.0.1", nfq.MAC{}, false},
		{"11.0.0.1", nfq.MAC{0, 0x11, 0x22, 0x33, 0x44, 0x55}, true},
	} {
		if got := e.Contains(netip.MustParseAddr(c.addr), c.mac); got != c.want {
			t.Errorf("Contains(%s, %s) = %v", c.addr, c.mac, got)
		}
	}
}

func TestLogClasses(t *testing.T) {
	for _, c := range []struct {
		in   string
		want LogClasses
		ok   bool
	}{
		{"clients", LogClients, true},
		{"peers", LogPeers, true},
		{"uUtTpc", LogAll, true},
		{"tc", LogTCPDropped | LogClients, true},
		{"all", LogAll, true},
		{"none", 0, true},
		{"", 0, false},
		{"ux", 0, false},
	} {
		if got, ok := ParseLogClass(c.in); got != c.want || ok != c.ok {
			t.Errorf("%q: %v %v", c.in, got, ok)
		}
	}
	if s := (LogPeers | LogUDPAccepted).String(); s != "udp_accepted peers" {
		t.Error(s)
	}
	if s := LogClasses(0).String(); s != "none" {
		t.Error(s)
	}
}

func TestLANDevices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "devices")
	text := "lan br-lan # the switch\n\nlan wlan0\nguest br-guest\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		conf          Config
		want, missing []string
	}{
		{"networks", Config{Networks: []string{"lan", "guest"}, DevicesFile: file}, []string{"br-lan", "wlan0", "br-guest"}, nil},
		{"both, once", Config{Networks: []string{"lan"}, Devices: []string{"wlan0"}, DevicesFile: file}, []string{"wlan0", "br-lan"}, nil},
		{"a network that is down", Config{Networks: []string{"dmz", "guest"}, DevicesFile: file}, []string{"br-guest"}, []string{"dmz"}},
		{"no file", Config{Networks: []string{"lan"}, Devices: []string{"eth1"}, DevicesFile: file + "x"}, []string{"eth1"}, []string{"lan"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, missing, err := c.conf.LANDevices()
			if err != nil {
				t.Fatal(err)
			}
			same(t, c.want, got)
			same(t, c.missing, missing)
		})
	}
}

func TestReadDevicesErrors(t *testing.T) {
	got, err := ReadDevices(strings.NewReader("lan\nlan br-lan\nlan br\"lan\n"), "d")
	same(t, []NetworkDevice{{"lan", "br-lan"}}, got)
	want := "d:1: not a network and its device, write: lan br-lan\nd:3: bad device \"br\\\"lan\", " + deviceRemedy
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	full, err := os.ReadFile("testdata/full.conf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(full))
	f.Add("config p2pwall\noption x 'a\nlist exempt \"::/0\\")
	f.Add("c a;o b c\\\n\\\r\n#")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text), "f")
		if err == nil {
			for _, d := range c.Devices {
				if !validDevice(d) {
					t.Errorf("device %q", d)
				}
			}
			return
		}
		var errs Errors
		if !errors.As(err, &errs) {
			t.Fatalf("not an Errors: %v", err)
		}
		lines := strings.Count(text, "\n") + 1
		for _, e := range errs {
			if e.Line < 0 || e.Line > lines || e.What == "" || e.Remedy == "" || strings.Contains(e.Error(), "\n") {
				t.Errorf("bad error %+v in a text of %d lines", e, lines)
			}
		}
	})
}

// TestPong: the values of option pong, in upper and lower case.
func TestPong(t *testing.T) {
	for value, want := range map[string]detect.Answer{
		"0x28": detect.AnswerWelcome, "0X28": detect.AnswerWelcome, "1": detect.AnswerWelcome,
		"0x29": detect.AnswerFull, "off": detect.AnswerNone, "OFF": detect.AnswerNone, "0": detect.AnswerNone,
	} {
		c, err := Parse(strings.NewReader("config protocol fasttrack\noption pong "+value+"\n"), "f")
		if err != nil || c.Protocols["fasttrack"].Answer != want {
			t.Errorf("%s: %v, %v", value, c.Protocols["fasttrack"].Answer, err)
		}
	}
}
