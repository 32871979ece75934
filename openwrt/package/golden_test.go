// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"compress/flate"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func golden(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// testdata/mkpkg.adb is the decompressed output of `apk mkpkg` of apk-tools 3.0.5 for the
// same files and fields.
func TestAPKIsWhatMkpkgWrites(t *testing.T) {
	r := &release{version: "1.2.3", time: time.Unix(1700000000, 0)}
	p := &pack{
		name: "p2pwall", arch: archAll,
		description: "Finds the hosts in the LAN that run a peer-to-peer file-sharing client\n" +
			"(FastTrack: Kazaa, iMesh, Grokster, giFT, MLDonkey) and keeps that client\n" +
			"from reaching any peer outside, while all other traffic is untouched.",
		depends: []string{"nftables", "kmod-nft-queue"}, provides: []string{"wall"},
		user: daemonUser, postrm: "exit 0\n",
		files: []file{
			{path: "/etc/config/p2pwall", mode: 0o600, conf: true, data: []byte("config p2pwall 'main'\n")},
			{path: "/etc/empty", mode: 0o644},
			{path: "/usr/sbin/p2pwall", mode: 0o755, data: bytes.Repeat([]byte("P2Pwall\n"), 9000)},
		},
	}
	out, err := r.apk(p)
	if err != nil {
		t.Fatal(err)
	}
	body, ok := bytes.CutPrefix(out.data, []byte("ADBd"))
	if !ok {
		t.Fatalf("begins with %q, not as a compressed package", out.data[:4])
	}
	got, err := io.ReadAll(flate.NewReader(bytes.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	want := golden(t, "mkpkg.adb")
	if !bytes.Equal(got, want) {
		t.Errorf("not the bytes that mkpkg writes: %d of them, want %d, the first %d are equal",
			len(got), len(want), common(got, want))
	}
}

func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// testdata/p2pwall.lmo is the output of LuCI's po2lmo for testdata/p2pwall.po.
func TestCompilePOIsWhatPo2lmoWrites(t *testing.T) {
	got, err := compilePO(string(golden(t, "p2pwall.po")))
	if err != nil {
		t.Fatal(err)
	}
	if want := golden(t, "p2pwall.lmo"); !bytes.Equal(got, want) {
		t.Errorf("not the bytes that po2lmo writes:\n%x\nwant\n%x", got, want)
	}
}

func TestCompilePORejects(t *testing.T) {
	for text, want := range map[string]string{
		"msgid \"a\nmsgstr \"b\"":          "line 1",
		"\"loose\"":                        "line 1",
		"msgid \"a\"\nmsgstring \"b\"\n":   "line 2",
		"msgid \"a\"\nmsgstr \"b\"\nx y z": "line 3",
	} {
		_, err := compilePO(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", text, err, want)
		}
	}
}
