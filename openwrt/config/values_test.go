// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/p2pwall/p2pwall/bench/golden"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// TestFaultsGolden reads a file that has one fault of each kind, in each kind of section. The
// whole text of the faults is kept, as a user sees it.
func TestFaultsGolden(t *testing.T) {
	const file = "testdata/faults.conf"
	c, err := Load(file)
	if err == nil {
		t.Fatal("no fault is found")
	}
	golden.Compare(t, "testdata/faults.txt", err.Error()+"\n")
	// Each line of the file that ends with "bad" has a fault, and only those have.
	text, readErr := os.ReadFile(file)
	if readErr != nil {
		t.Fatal(readErr)
	}
	faulty := map[int]bool{}
	for _, e := range err.(Errors) {
		faulty[e.Line] = true
		if e.What == "" || e.Remedy == "" || e.File != file {
			t.Errorf("line %d: a fault without a file, or that does not say what is wrong and what to do: %v", e.Line, e)
		}
	}
	for i, line := range strings.Split(string(text), "\n") {
		if bad := strings.HasSuffix(line, "# bad"); bad != faulty[i+1] {
			t.Errorf("line %d has a fault: %v, want %v: %s", i+1, faulty[i+1], bad, line)
		}
	}
	// Of a file with faults only the socket is taken, to answer there.
	same(t, Config{Control: "/tmp/sock"}, c)
}

// TestRanges: the lowest and the highest number that each option takes, and what is said of
// those beyond.
func TestRanges(t *testing.T) {
	seconds := func(d *time.Duration) int { return int(*d / time.Second) }
	for _, r := range []struct {
		option    string
		low, high int
		unit      string
		get       func(c *Config) int
	}{
		{"timelock", 0, 86400, "seconds", func(c *Config) int { return seconds(&c.TimeLock) }},
		{"look_back", 0, 3600, "seconds", func(c *Config) int { return seconds(&c.LookBack) }},
		{"forget", 1, 2592000, "seconds", func(c *Config) int { return seconds(&c.Forget) }},
		{"max_clients", 1, 1024, "a number", func(c *Config) int { return c.MaxClients }},
		{"queue", 0, 65535, "a number", func(c *Config) int { return int(c.Queue) }},
		{"queues", 1, 16, "a number", func(c *Config) int { return c.Queues }},
		{"queue_length", 1, 65535, "a number", func(c *Config) int { return int(c.QueueLength) }},
		{"copy_range", 128, 65535, "a number", func(c *Config) int { return int(c.CopyRange) }},
	} {
		parse := func(v string) (Config, error) {
			return Parse(strings.NewReader("config p2pwall\noption "+r.option+" '"+v+"'\n"), "f")
		}
		for _, n := range []int{r.low, r.high} {
			if c, err := parse(fmt.Sprint(n)); err != nil || r.get(&c) != n {
				t.Errorf("%s %d: %d, %v", r.option, n, r.get(&c), err)
			}
		}
		for _, v := range []string{fmt.Sprint(r.low - 1), fmt.Sprint(r.high + 1), "4294967296", "99999999999999999999", "1.5", "0x10", "1 2", "+1", " 7"} {
			want := fmt.Sprintf("f:2: bad value %q for %s, use %s from %d to %d", v, r.option, r.unit, r.low, r.high)
			if _, err := parse(v); err == nil || err.Error() != want {
				t.Errorf("%s %s: %v, want %s", r.option, v, err, want)
			}
		}
		// "uci" leaves an empty value where it was deleted: then the default counts.
		def := Default()
		if c, err := parse(""); err != nil || r.get(&c) != r.get(&def) {
			t.Errorf("%s without a value: %d, %v", r.option, r.get(&c), err)
		}
	}
}

// TestQueuesEnd: the last queue of all may be used, and none beyond.
func TestQueuesEnd(t *testing.T) {
	if _, err := Parse(strings.NewReader("config p2pwall\noption queue 65532\noption queues 4\n"), "f"); err != nil {
		t.Error(err)
	}
	if _, err := Parse(strings.NewReader("config p2pwall\noption queue 65533\noption queues 4\n"), "f"); err == nil {
		t.Error("queue 65536 is taken")
	}
}

// TestWordsOfBooleans: the words that OpenWrt's own scripts take, and no others.
func TestWordsOfBooleans(t *testing.T) {
	for word, want := range map[string]string{
		"1": "true", "on": "true", "true": "true", "yes": "true", "enabled": "true",
		"0": "false", "off": "false", "false": "false", "no": "false", "disabled": "false",
		"":   "true", // the default
		"On": "fault", "2": "fault", "enable": "fault", " 1": "fault",
	} {
		c, err := Parse(strings.NewReader("config p2pwall\noption enabled '"+word+"'\n"), "f")
		got := fmt.Sprint(c.Enabled)
		if err != nil {
			got = "fault"
		}
		if got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
	}
}

// TestUnreadable: what is said of files that cannot be read.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("lan br-lan\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("the flash is gone")
	long := func(n int) error {
		_, err := Parse(strings.NewReader("config p2pwall\n#"+strings.Repeat("x", n-16)), "f")
		return err
	}
	parse := func() error { _, err := Parse(iotest.ErrReader(failed), "f"); return err }
	devices := func() error { _, err := ReadDevices(iotest.ErrReader(failed), "d"); return err }
	lan := func() error {
		c := Config{Networks: []string{"lan"}, DevicesFile: file + "/x"}
		_, _, err := c.LANDevices()
		return err
	}
	load := func() error { _, err := Load(file + "/x"); return err }
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"configuration", "f: cannot be read: the flash is gone, check the file", parse()},
		{"devices", "d:1: cannot be read: the flash is gone, check the file", devices()},
		{"devices file", file + "/x: cannot be opened: not a directory, check its permissions", lan()},
		{"configuration file", file + "/x: cannot be opened: not a directory, check its permissions", load()},
		{"too long", "f: is longer than 256 KiB, check that it is a configuration", long(1<<18 + 1)},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, c.err, c.want)
		}
	}
	if err := long(1 << 18); err != nil {
		t.Errorf("just not too long: %v", err)
	}
}

// TestTooMany: the limits on sections hold, and the last section within them is taken.
func TestTooMany(t *testing.T) {
	for _, c := range []struct {
		section string // with a number for each
		most    int
		want    string
	}{
		{"config policy p%d\noption mode off\n", 64, "f:129: more than 64 policies, put computers with the same hours and mode into one"},
		{"config host h%d\nlist ip 10.0.0.1\n", 256, "f:513: more than 256 host sections, remove some"},
	} {
		var b strings.Builder
		for i := range c.most {
			fmt.Fprintf(&b, c.section, i)
		}
		if _, err := Parse(strings.NewReader(b.String()), "f"); err != nil {
			t.Errorf("%d: %v", c.most, err)
		}
		fmt.Fprintf(&b, c.section, c.most)
		if _, err := Parse(strings.NewReader(b.String()), "f"); err == nil || err.Error() != c.want {
			t.Errorf("%d: %v, want %s", c.most+1, err, c.want)
		}
	}
}

// TestWhatTheRulesAsk: the questions that the rules and the check ask of a configuration. Each
// counts only protocols that are looked for, and policies count too.
func TestWhatTheRulesAsk(t *testing.T) {
	off := ""
	for _, p := range detect.All {
		off += "config protocol " + p.Name + "\noption mode off\n"
	}
	// only returns a configuration in which one protocol is not off.
	only := func(name, options string) string {
		return strings.Replace(off, "config protocol "+name+"\noption mode off\n", "config protocol "+name+"\n"+options, 1)
	}
	for _, c := range []struct {
		name, in                                string
		probes, answers, names, quiet, readsTCP bool
		groups                                  int
	}{
		{"all off", off, false, false, false, false, false, 0},
		{"BitTorrent", only("bittorrent", "option mode block\n"), true, true, true, false, true, 2},
		{"BitTorrent, monitor", only("bittorrent", "option mode monitor\n"), true, false, true, false, true, 2},
		{"BitTorrent, all options off", only("bittorrent", "option mode block\noption probe 0\noption answer 0\nlist name ''\noption http 0\n"), false, false, false, false, false, 2},
		{"BitTorrent, UDP not blocked", only("bittorrent", "option mode block\noption block_udp 0\n"), true, false, true, false, true, 2},
		{"a policy for BitTorrent", off + "config policy\noption mode block\nlist protocol bittorrent\n", true, true, true, false, true, 2},
		{"FastTrack", only("fasttrack", "option mode block\n"), true, true, false, true, true, 0},
		{"FastTrack without its answer", only("fasttrack", "option mode block\noption pong off\n"), true, false, false, true, true, 0},
		{"Direct Connect", only("directconnect", "option mode block\n"), false, false, true, false, true, 0},
	} {
		g, err := Parse(strings.NewReader(c.in), "f")
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(g.Probes(), g.Answers(), g.ReadsNames(), g.Quiet(ModeBlock), g.ReadsTCP(), len(g.Groups()))
		if want := fmt.Sprint(c.probes, c.answers, c.names, c.quiet, c.readsTCP, c.groups); got != want {
			t.Errorf("%s: probes, answers, names, quiet, TCP, groups: %s, want %s", c.name, got, want)
		}
	}
}

// TestMarksOfConfig: the marks have the bits of the mask, and those of the connection.
func TestMarksOfConfig(t *testing.T) {
	c, err := Parse(strings.NewReader("config p2pwall\noption mark 0x700\noption ct_mark 0x10000/0x30000\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	same(t, nfq.Marks{Mask: 0x700, Decided: 0x500, Sample: 0x600, Own: 0x600, Watch: 0x300, Marked: 0x700, Conn: 0x10000, ConnMask: 0x30000}, c.Marks())
}
