// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func watched(silence, timeout time.Duration, lines <-chan string) (*outcome, error) {
	o := &outcome{Facts: map[string]string{}, Code: -1}
	b := &bed{silence: silence, timeout: timeout}
	return o, b.watch(lines, o, func(string) {})
}

func TestWatchTakesResults(t *testing.T) {
	lines := make(chan string, 8)
	for _, l := range []string{
		"Linux version 6.1", "@@ fact rss_idle_nft 2400", "@@ pass plain-udp", "[ 1.0] noise @@ fail load-nft only 3 packets",
		"@@ skip x no such tool", "@@ end 1", "@@ pass too-late",
	} {
		lines <- l
	}
	o, err := watched(time.Minute, time.Minute, lines)
	if err != nil {
		t.Fatal(err)
	}
	if o.Code != 1 || o.Facts["rss_idle_nft"] != "2400" || len(o.Results) != 3 {
		t.Fatalf("got %+v", o)
	}
	if o.Results[1] != (result{"load-nft", "fail", "only 3 packets"}) {
		t.Errorf("got %+v", o.Results[1])
	}
	r := (&bed{}).row(&machines[0], o, &image{}, err)
	if r.OK || r.Passed != 1 || len(r.Failed) != 1 || r.Backends["nft"].RSSIdleKB != 2400 {
		t.Errorf("got %+v", r)
	}
}

// The results of the stages forward and everyday have tables of their own, with medians.
func TestTables(t *testing.T) {
	for _, tt := range []struct {
		title, want string
		facts       map[string]string
	}{
		{"bulk", "| mips | fw4 | 40.00 / 50.00 | 0.8000 | 14.00 / 14.00 | 1.0000 |\n", map[string]string{
			"udp_ns_off_nft": "40000 39000 90000 ", "udp_ns_on_nft": "50000 50000 20000 ",
			"tcp_ns_off_nft": "14000", "tcp_ns_on_nft": "14000",
			"udp_ns_off_iptables": "35000", "tcp_ns_off_iptables": "35000", // the stage broke off
		}},
		{"queued", "| mips | fw4 | HTTP, 16 KiB | 901 / 1000 | 0.901 | 97 | 1 |\n", map[string]string{
			"http_off_nft": "900000 901000 2000000 ", "http_on_nft": "1000000 1001000 9 ", "http_cpu_nft": "97000 ", "http_queued_nft": "1",
			"page_off_nft": "36000000", // the stage broke off
		}},
	} {
		r := (&bed{}).row(&machines[0], &outcome{Facts: tt.facts}, &image{}, nil)
		if n := len(r.Forward) + len(r.Everyday); n != 1 {
			t.Errorf("%d rows of %+v", n, r)
		}
		if text := table([]row{r}); !strings.Contains(text, tt.want) || !strings.Contains(text, tt.title) {
			t.Errorf("no %q or %q in\n%s", tt.title, tt.want, text)
		}
		if text := table([]row{{Arch: "mips"}}); strings.Contains(text, tt.title) {
			t.Errorf("a table of nothing:\n%s", text)
		}
	}
}

// A machine that hangs, dies or never ends is an error, even if its results were good.
func TestWatchEndsWithoutResult(t *testing.T) {
	silent := make(chan string, 1)
	silent <- "@@ pass plain-udp"
	dead := make(chan string)
	close(dead)
	endless, stop := make(chan string), make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case endless <- "noise":
			case <-stop:
				return
			}
		}
	}()
	for name, c := range map[string]struct {
		lines            chan string
		silence, timeout time.Duration
		want             string
	}{
		"silent":  {silent, 10 * time.Millisecond, time.Hour, "hangs"},
		"dead":    {dead, time.Hour, time.Hour, "ended without a result"},
		"endless": {endless, time.Hour, 10 * time.Millisecond, "did not come to an end"},
	} {
		o, err := watched(c.silence, c.timeout, c.lines)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if (&bed{}).row(&machines[0], o, &image{}, err).OK {
			t.Errorf("%s: the run passed", name)
		}
	}
}

func TestArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "initrd")
	a, err := newArchive(path)
	if err != nil {
		t.Fatal(err)
	}
	a.file("a/b", 0o755, []byte("hello"))
	a.device("dev/null", 1, 3)
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	// Each entry has a magic, thirteen numbers of eight hexadecimal digits, the name and
	// the data. Name and data are padded to four bytes.
	const zero, one = "00000000", "00000001"
	entry := func(ino, mode, size, major, minor, namesize, name, data string) string {
		return "070701" + ino + mode + zero + zero + one + zero + size + zero + zero + major + minor + namesize + zero + name + data
	}
	want := entry(one, "000041ed", zero, zero, zero, "00000002", "a\x00", "") +
		entry("00000002", "000081ed", "00000005", zero, zero, "00000004", "a/b\x00\x00\x00", "hello\x00\x00\x00") +
		entry("00000003", "000041ed", zero, zero, zero, "00000004", "dev\x00\x00\x00", "") +
		entry("00000004", "00002180", zero, one, "00000003", "00000009", "dev/null\x00\x00", "") +
		entry("00000005", zero, zero, zero, zero, "0000000b", "TRAILER!!!\x00\x00\x00\x00", "")
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPickModules(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "modules")
	for name, text := range map[string]string{
		"modules.dep":      "kernel/nft_ct.ko: kernel/nf_tables.ko kernel/nf-conntrack.ko kernel/nfnetlink.ko\nkernel/nf_tables.ko: kernel/nfnetlink.ko\nkernel/nf-conntrack.ko:\nkernel/nfnetlink.ko:\n",
		"modules.builtin":  "kernel/veth.ko\n",
		"kernel/nft_ct.ko": "1", "kernel/nf_tables.ko": "2", "kernel/nf-conntrack.ko": "3", "kernel/nfnetlink.ko": "4",
	} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := pickModules(from, to, []string{"veth", "nft_ct", "nf_tables"}, map[string]bool{}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(to, "order"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "nfnetlink.ko\nnf-conntrack.ko\nnf_tables.ko\nnft_ct.ko\n"; string(got) != want {
		t.Errorf("order %q, want %q", got, want)
	}
	if err := pickModules(from, to, []string{"absent"}, map[string]bool{}); err == nil {
		t.Error("a module that the kernel does not have was passed over")
	}
}
