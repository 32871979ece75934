// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "testing"

func TestParameter(t *testing.T) {
	for line, want := range map[string]string{
		"GET /a?port=7":               "7",
		"GET /a?x=1&port=7&port=8":    "7&port=8",
		"GET /a&port=7":               "7",
		"GET /a?xport=6&port=7":       "7",
		"GET /a?b==&c=port=6&port=":   "",
		"GET /a?port":                 "none",
		"GET /a?Port=7":               "none",
		"GET /port=7":                 "none",
		"port=7":                      "none",
		"t=7?":                        "none",
		"GET /a?x=y;port=7 HTTP/1.1":  "none",
		"GET /a?q=%3F&port=7 HTTP/1.": "7 HTTP/1.",
	} {
		got := "none"
		if p := parameter([]byte(line), "port="); p != nil {
			got = string(p)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
