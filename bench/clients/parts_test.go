// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBencode(t *testing.T) {
	for _, c := range []struct {
		text string
		v    any
	}{
		{"4:spam", "spam"},
		{"0:", ""},
		{"i-42e", -42},
		{"le", []any{}},
		{"l4:spami7ee", []any{"spam", 7}},
		{"d3:cow3:moo4:spaml1:aee", map[string]any{"cow": "moo", "spam": []any{"a"}}},
	} {
		if got := string(bencode(nil, c.v)); got != c.text {
			t.Errorf("encoded %q, want %q", got, c.text)
		}
		got, err := bdecode([]byte(c.text))
		if d := cmp.Diff(c.v, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", c.text, err, d)
		}
	}
	for _, bad := range []string{"", "i", "ie", "5:spam", "-1:", "l", "li1e", "d", "d1:a", "di1ei2ee", "llllllllllleeeeeeeeeee"} {
		if v, err := bdecode([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, v)
		}
	}
}

// TestTorrent: complete pieces of a torrent are counted, and a damaged piece is not.
func TestTorrent(t *testing.T) {
	tor := newTorrent(3, nil, "http://192.0.2.1/announce")
	v, err := bdecode(tor.file())
	if err != nil {
		t.Fatal(err)
	}
	info := v.(map[string]any)["info"].(map[string]any)
	if string(bencode(nil, info)) != string(tor.info) || len(info["pieces"].(string)) != 60 {
		t.Errorf("info dictionary: %v", info)
	}
	dir := t.TempDir()
	for _, damaged := range []bool{false, true} {
		want := 3
		if damaged {
			tor.content[pieceSize+5] ^= 1
			want = 2
		} else if err := tor.seed(dir); err != nil {
			t.Fatal(err)
		}
		if n, err := tor.pieces(dir); err != nil || n != want {
			t.Errorf("%d pieces, want %d (%v)", n, want, err)
		}
	}
}
