// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWriter(t *testing.T) {
	var w jsonWriter
	w.open('{')
	w.str("s", "a\"b\\c\nd\x01\x7f<&>é\xff")
	w.num("n", -5)
	w.uint("u", 1<<64-1)
	w.tenths("f", 1.25)
	w.bool("b", true)
	w.key("empty")
	w.open('[')
	w.close(']')
	w.key("list")
	w.open('[')
	w.item("x")
	w.itemNum(7)
	w.open('{')
	w.close('}')
	w.close(']')
	w.key("o")
	w.open('{')
	w.num("n", 0)
	w.close('}')
	w.bool("last", false)
	w.close('}')
	want := `{"s":"a\"b\\c\nd\u0001\u007f\u003c\u0026\u003eé` + "\ufffd" + `","n":-5,"u":18446744073709551615,"f":1.2,"b":true,` +
		`"empty":[],"list":["x",7,{}],"o":{"n":0},"last":false}`
	if string(w.b) != want {
		t.Errorf("got  %s\nwant %s", w.b, want)
	}
	if !json.Valid(w.b) {
		t.Error("not JSON")
	}
}

// FuzzString: encoding/json reads back each string that AppendString writes.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", "\x00\x1f\x7f", "\"\\/", "é\u2028\U0001f600", "\xff\xc3", "<script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, b, err)
		}
		want := ""
		for _, r := range s {
			want += string(r)
		}
		if got != want {
			t.Errorf("%q came back as %q", s, got)
		}
		if !utf8.Valid(b) || strings.ContainsAny(string(b), "<>&\x7f") {
			t.Errorf("%q became %q", s, b)
		}
	})
}
