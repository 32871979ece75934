// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/bench/golden"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/state"
)

// TestReplies compares every kind of reply, as JSON and as text.
func TestReplies(t *testing.T) {
	w := newWorld(t, 2)
	path := control(t, w.Handle)
	for _, empty := range []string{"clients", "peers", "events", "history"} {
		golden.Compare(t, "testdata/"+empty+"-none.json", indent(t, ask(t, path, `{"cmd":"`+empty+`"}`)))
	}
	for _, empty := range []string{"clients", "peers", "history"} {
		golden.Compare(t, "testdata/"+empty+"-none.txt", words(t, ask(t, path, `{"cmd":"`+empty+`","text":true}`)))
	}

	w.ping(0, "192.168.1.50", "198.51.100.7", false)
	w.ping(0, "192.168.1.50", "198.51.100.8", true)
	w.pass(3 * time.Second)
	w.ping(1, "192.168.1.51", "203.0.113.9", false)
	w.ping(1, "192.168.1.51", "203.0.113.10", false)
	w.pass(2 * time.Second)
	w.ping(1, "192.168.1.52", "203.0.113.9", false) // one sign only
	w.enter()

	for _, c := range []string{"status", "clients", "peers", "events", "history", "check"} {
		golden.Compare(t, "testdata/"+c+".json", indent(t, ask(t, path, `{"cmd":"`+c+`"}`)))
	}
	for _, c := range []string{"status", "clients", "peers", "history"} {
		golden.Compare(t, "testdata/"+c+".txt", words(t, ask(t, path, `{"cmd":"`+c+`","text":true}`)))
	}
	golden.Compare(t, "testdata/peers-one.json", indent(t, ask(t, path, `{"cmd":"peers","host":"192.168.1.51"}`)))
	golden.Compare(t, "testdata/events-since.json", indent(t, ask(t, path, `{"cmd":"events","since":2}`)))
}

func TestStatusSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t, 1)
	info := w.Info
	w.Info = func() Info {
		i := info()
		i.RulesOK = false
		return i
	}
	w.Loops[0].Do(func(e *state.Engine, _ state.Time) {
		e.Counters.Forged, e.Counters.SetErrors = 5, 6
	})
	got := string(words(t, ask(t, control(t, w.Handle), `{"cmd":"status","text":true}`)))
	for _, want := range []string{"NOT in place: see \"p2pwall check\"", "unusual  forged=5 set_errors=6\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

// TestSmallReplies tests a series of one-line replies.
func TestSmallReplies(t *testing.T) {
	w := newWorld(t, 2)
	path := control(t, w.Handle)
	w.prove(1, "192.168.1.52")
	if got := ask(t, path, `{"cmd":"unlock","host":"192.168.1.52","text":true}`); got != `{"text":"192.168.1.52 is unlocked\n"}` {
		t.Errorf("unlock in words: %s", got)
	}
	w.prove(1, "192.168.1.51")
	for _, x := range []struct{ request, want string }{
		{`{"cmd":"unlock"}`, `{"error":"no host: give an IP address as \"host\""}`},
		{`{"cmd":"unlock","host":"nas"}`, `{"error":"host \"nas\" is no IP address"}`},
		{`{"cmd":"peers","host":"nas"}`, `{"error":"host \"nas\" is no IP address"}`},
		{`{"cmd":"peers","host":"nas","text":true}`, `{"error":"host \"nas\" is no IP address"}`},
		{`{"cmd":"unlock","host":"192.168.1.99"}`, `{"error":"192.168.1.99 is no client that is known: \"clients\" lists them"}`},
		{`{"cmd":"unlock","host":"192.168.1.51"}`, `{"ok":true}`},
		{`{"cmd":"unlock","host":"192.168.1.51"}`, `{"error":"192.168.1.51 is no client that is known: \"clients\" lists them"}`},
		{`{"cmd":"exempt","host":"192.168.1.51"}`, `{"error":"192.168.1.51 is not exempt at run time: \"status\" lists who is; to exempt it say for how many seconds"}`},
		{`{"cmd":"exempt","host":"192.168.1.51","seconds":60}`, `{"ok":true,"seconds":60}`},
		{`{"cmd":"exempt","host":"192.168.1.51","seconds":90,"text":true}`, `{"text":"192.168.1.51 is left alone for 1m30s\n"}`},
		{`{"cmd":"exempt","host":"192.168.1.51","seconds":9223372036854775807}`, `{"ok":true,"seconds":31622400}`},
		{`{"cmd":"exempt","host":"192.168.1.51","seconds":9223372036854775807,"text":true}`, `{"text":"192.168.1.51 is left alone for 8784h0m0s\n"}`},
		{`{"cmd":"exempt","host":"192.168.1.51","seconds":0}`, `{"ok":true,"seconds":0}`},
		{`{"cmd":"exempt","host":"192.168.1.51","seconds":0,"text":true}`, `{"error":"192.168.1.51 is not exempt at run time: \"status\" lists who is; to exempt it say for how many seconds"}`},
		{`{"cmd":"exempt","host":"fe80::5%br-lan","seconds":60}`, `{"ok":true,"seconds":60}`},
		{`{"cmd":"exempt","host":"fe80::5","seconds":0,"text":true}`, `{"text":"fe80::5 is watched again\n"}`},
		{`{"cmd":"notify"}`, `{"notify":[{"name":"phone","type":"ntfy","ok":false,"error":"curl: (7) no route"},{"name":"hook","type":"webhook","ok":true}]}`},
		{`{"cmd":"notify","text":true}`, `{"text":"phone (ntfy): curl: (7) no route\nhook (webhook): told\n"}`},
		{`{"cmd":"pause","seconds":60}`, `{"ok":true,"seconds":60}`},
		{`{"cmd":"pause","seconds":9223372036854775807,"text":true}`, `{"text":"nothing is looked for, for 168h0m0s\n"}`},
		{`{"cmd":"pause","text":true}`, `{"text":"it goes on\n"}`},
		{`{"cmd":"dance"}`, `{"error":"unknown cmd \"dance\": use one of status clients peers unlock exempt pause history notify monitor page events check"}`},
		{`{"cmd":"history","host":"nas"}`, `{"error":"host \"nas\" is no IP address"}`},
		{`{"cmd":"history","host":"192.168.1.99","text":true}`, `{"text":"nothing found in the last 30 days\n"}`},
		{`{"cmd":"page","text":true}`, `{"error":"cmd \"page\" has no text form"}`},
		{`[]`, `{"error":"not a JSON object on one line"}`},
		{``, `{"error":"not a JSON object on one line"}`},
	} {
		if got := ask(t, path, x.request); got != x.want {
			t.Errorf("%s: got %s, want %s", x.request, got, x.want)
		}
	}
}

// TestPage: one reply has what would otherwise take four requests.
func TestPage(t *testing.T) {
	w := newWorld(t, 2)
	info := w.Info
	w.Info = func() Info {
		i := info()
		i.Restart = []string{"queue", "fail_open"}
		return i
	}
	path := control(t, w.Handle)
	w.prove(1, "192.168.1.51")
	w.enter()
	member := func(name, reply string) string { return `"` + name + `":` + reply }
	inner := func(request string) string {
		got := ask(t, path, request)
		return got[1 : len(got)-1]
	}
	status, clients := ask(t, path, `{"cmd":"status"}`), inner(`{"cmd":"clients"}`)
	hour, _, _ := strings.Cut(ask(t, path, `{"cmd":"history"}`), `,"hours":`)
	want := "{" + strings.Join([]string{member("status", status), clients, member("history", hour+"}")}, ",") + "}"
	if got := ask(t, path, `{"cmd":"page"}`); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	want = want[:len(want)-1] + "," + inner(`{"cmd":"peers","host":"192.168.1.51"}`) + "}"
	if got := ask(t, path, `{"cmd":"page","host":"192.168.1.51"}`); got != want {
		t.Errorf("with a host: got %s\nwant %s", got, want)
	}
	if got := ask(t, path, `{"cmd":"page","host":"nas"}`); got != `{"error":"host \"nas\" is no IP address"}` {
		t.Errorf("with no address: got %s", got)
	}
	if !strings.Contains(status, `"restart":["queue","fail_open"]`) {
		t.Errorf("status: %s", status)
	}
	if text := string(words(t, ask(t, path, `{"cmd":"status","text":true}`))); !strings.Contains(text, "\nrestart  needed for the new queue, fail_open\n") {
		t.Errorf("status: %s", text)
	}
}

// TestStatusListsExemptions: status lists each exemption once, though every engine has
// it.
func TestStatusListsExemptions(t *testing.T) {
	w := newWorld(t, 2)
	path := control(t, w.Handle)
	w.ping(0, "192.168.1.51", "203.0.113.9", false)
	ask(t, path, `{"cmd":"exempt","host":"192.168.1.51","seconds":90}`)
	ask(t, path, `{"cmd":"exempt","host":"2001:db8::5","seconds":60}`)
	w.pass(30 * time.Second)
	want := `"exemptions":[{"address":"192.168.1.51","mac":"02:00:00:00:00:33","seconds":60},{"address":"2001:db8::5","mac":"","seconds":30}]}`
	if got := ask(t, path, `{"cmd":"status"}`); !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want at its end %s", got, want)
	}
	words := string(words(t, ask(t, path, `{"cmd":"status","text":true}`)))
	if want := "exempt   192.168.1.51 for 1m0s\nexempt   2001:db8::5 for 30s\n"; !strings.Contains(words, want) {
		t.Errorf("no %q in:\n%s", want, words)
	}
}

// TestExemptOnlyTheLAN: a public address is refused, unless it is in a network of the
// LAN.
func TestExemptOnlyTheLAN(t *testing.T) {
	w := newWorld(t, 2)
	path := control(t, w.Handle)
	lan := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("2001:db8:1::/64")}
	for _, x := range []struct {
		host string
		lan  []netip.Prefix
		ok   bool
	}{
		{"192.168.1.7", lan, true},
		{"10.1.2.3", lan, true},
		{"2001:db8:1::7", lan, true},
		{"fe80::7", lan, true},
		{"fd00::7", lan, true},
		{"::ffff:192.168.1.7", lan, true},
		{"8.8.8.8", lan, false},
		{"2001:db8:2::7", lan, false},
		{"::ffff:8.8.8.8", lan, false},
		{"8.8.8.8", nil, true}, // the LAN is not known
	} {
		w.LAN = func() []netip.Prefix { return x.lan }
		want := `{"ok":true,"seconds":60}`
		if !x.ok {
			want = `{"error":"` + x.host + ` is not on the LAN: only a computer of the LAN can be exempted, \"clients\" lists those that were found"}`
		}
		if got := ask(t, path, `{"cmd":"exempt","host":"`+x.host+`","seconds":60}`); got != want {
			t.Errorf("%s: got %s, want %s", x.host, got, want)
		}
	}
}

// TestPIDWithinAJail: a PID of 1 is left out, because it is the number within a jail.
func TestPIDWithinAJail(t *testing.T) {
	w := newWorld(t, 1)
	w.PID = 1
	path := control(t, w.Handle)
	if got := ask(t, path, `{"cmd":"status"}`); strings.Contains(got, `"pid"`) {
		t.Error(got)
	}
	if got := string(words(t, ask(t, path, `{"cmd":"status","text":true}`))); !strings.HasPrefix(got, "p2pwall 1.2.3, running for 1m30s\n") {
		t.Error(got)
	}
}

// TestFoundBy: the reason for which a client was found stays, whatever the engine sees
// later.
func TestFoundBy(t *testing.T) {
	w := newWorld(t, 1)
	path := control(t, w.Handle)
	w.prove(0, "192.168.1.51")
	w.enter()
	again := found("192.168.1.51")
	again.What, again.Reason = state.EventLocked, detect.ReasonPush
	w.Journal.Enter(again)
	if got := ask(t, path, `{"cmd":"clients"}`); !strings.Contains(got, `"reason":"ping","found_reason":"ping"`) {
		t.Errorf("got %s", got)
	}
	c := w.hosts().clients[0]
	c.Protocol = &detect.BitTorrent
	if _, known := w.Journal.FoundBy(&c); known {
		t.Error("another protocol's event is taken")
	}
	for range events.Kept {
		w.Journal.Enter(again)
	}
	if got := ask(t, path, `{"cmd":"clients"}`); strings.Contains(got, "found_reason") {
		t.Errorf("the event is gone, got %s", got)
	}
}

// TestTooManyExemptions: 64 hosts can be exempt. One of them can be exempted anew, and one
// that is watched again makes room.
func TestTooManyExemptions(t *testing.T) {
	w := newWorld(t, 2)
	path := control(t, w.Handle)
	exempt := func(last, seconds int, want string) {
		t.Helper()
		if got := ask(t, path, fmt.Sprintf(`{"cmd":"exempt","host":"192.168.1.%d","seconds":%d}`, last, seconds)); got != want {
			t.Errorf("192.168.1.%d for %d s: got %s, want %s", last, seconds, got, want)
		}
	}
	const ok = `{"ok":true,"seconds":60}`
	const full = `{"error":"too many exemptions: put lasting ones into the configuration (list exempt)"}`
	for i := range 64 {
		exempt(i, 60, ok)
	}
	exempt(64, 60, full)
	exempt(7, 60, ok)
	exempt(64, 60, full)
	exempt(7, 0, `{"ok":true,"seconds":0}`)
	exempt(64, 60, ok)
	exempt(65, 60, full)
	w.pass(time.Minute) // all have ended
	exempt(65, 60, ok)
}

// TestFormsOfAnAddress: a host can be named by each form of its address.
func TestFormsOfAnAddress(t *testing.T) {
	w := newWorld(t, 1)
	path := control(t, w.Handle)
	for _, host := range []string{"192.168.1.51", "::ffff:192.168.1.51", "::ffff:c0a8:133"} {
		w.prove(0, "192.168.1.51")
		if got := ask(t, path, `{"cmd":"peers","host":"`+host+`"}`); strings.Count(got, `"client":"192.168.1.51"`) != 2 {
			t.Errorf("peers of %s: %s", host, got)
		}
		if got := ask(t, path, `{"cmd":"unlock","host":"`+host+`"}`); got != `{"ok":true}` {
			t.Errorf("unlock %s: %s", host, got)
		}
	}
	for _, host := range []string{"192.168.1", "192.168.1.051", "192.168.1.0/24", " 192.168.1.51", "fe80::1::2"} {
		if got, want := ask(t, path, `{"cmd":"unlock","host":"`+host+`"}`), `{"error":"host \"`+host+`\" is no IP address"}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestNobodyIsTold: a test message without receivers says how to add one.
func TestNobodyIsTold(t *testing.T) {
	w := newWorld(t, 1)
	w.TestReceivers = func() []Receiver { return nil }
	path := control(t, w.Handle)
	for _, form := range []string{"", `,"text":true`} {
		if got, want := ask(t, path, `{"cmd":"notify"`+form+`}`), `{"error":"nobody is told of events: add a \"config notify\" section to the configuration"}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestPauseIsSet: the daemon gets the pause that the reply promises.
func TestPauseIsSet(t *testing.T) {
	w := newWorld(t, 1)
	var got time.Duration
	w.Pause = func(d time.Duration) { got = d }
	path := control(t, w.Handle)
	for _, x := range []struct {
		request string
		want    time.Duration
	}{
		{`{"cmd":"pause","seconds":604800}`, 7 * 24 * time.Hour},
		{`{"cmd":"pause","seconds":604801}`, 7 * 24 * time.Hour},
		{`{"cmd":"pause","seconds":1,"text":true}`, time.Second},
		{`{"cmd":"pause"}`, 0},
	} {
		got = -1
		if reply := ask(t, path, x.request); got != x.want {
			t.Errorf("%s: %v, want %v (%s)", x.request, got, x.want, reply)
		}
	}
}

// follow asks for events and returns the first n lines.
func follow(t *testing.T, path, request string, n int) (lines []string) {
	t.Helper()
	err := Call(path, []byte(request+"\n"), time.Minute, func(line []byte) bool {
		lines = append(lines, string(line))
		return len(lines) < n
	})
	if err != nil {
		t.Error(err)
	}
	return lines
}

func TestMonitorShowsWhatComes(t *testing.T) {
	w := newWorld(t, 1)
	path := control(t, w.Handle)
	w.Journal.Enter(found("192.168.1.40"))
	lines := make(chan []string)
	go func() { lines <- follow(t, path, `{"cmd":"monitor","text":true}`, 2) }()
	for w.Journal.Followers() == 0 {
		time.Sleep(time.Millisecond)
	}
	w.Journal.Enter(found("192.168.1.41"))
	w.Journal.Enter(found("192.168.1.42"))
	want := []string{
		`{"text":"03:04:05 client 192.168.1.41 (02:00:00:00:00:0a): FastTrack found, ping to 198.51.100.7:1214"}`,
		`{"text":"03:04:05 client 192.168.1.42 (02:00:00:00:00:0a): FastTrack found, ping to 198.51.100.7:1214"}`,
	}
	if d := cmp.Diff(want, <-lines); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for w.Journal.Followers() > 0 { // until the monitor notices that the reader is gone
		time.Sleep(time.Millisecond)
	}
}

func TestMonitorSince(t *testing.T) {
	w := newWorld(t, 1)
	path := control(t, w.Handle)
	w.Journal.Enter(found("192.168.1.40"))
	w.Journal.Enter(found("192.168.1.41"))
	got := follow(t, path, `{"cmd":"monitor","since":1}`, 1)
	want := []string{`{"seq":2,"time":1767323045.6,"class":"client","event":"found","client":"192.168.1.41",` +
		`"mac":"02:00:00:00:00:0a","peer":"198.51.100.7","port":1214,"protocol":"fasttrack","reason":"ping",` +
		`"text":"client 192.168.1.41 (02:00:00:00:00:0a): FastTrack found, ping to 198.51.100.7:1214"}`}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for range events.Kept {
		w.Journal.Enter(found("192.168.1.42"))
	}
	got = follow(t, path, `{"cmd":"monitor","since":1,"text":true}`, 2)
	if len(got) != 2 || got[0] != `{"text":"1 events were left out"}` || !strings.Contains(got[1], "192.168.1.42") {
		t.Errorf("a reader that is behind got %v", got)
	}
}

// indent makes a reply readable, and fails when it is not JSON.
func indent(t *testing.T, line string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(line), "", "\t"); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	b.WriteByte('\n')
	return b.String()
}

func words(t *testing.T, line string) string {
	t.Helper()
	text, err := ParseText([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
