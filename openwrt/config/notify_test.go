// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"strings"
	"testing"
)

// TestNotifyErrors: the parser refuses a receiver that cannot be reached. It does not repeat
// a secret in the log. A value cannot add lines to a header or options to a command.
func TestNotifyErrors(t *testing.T) {
	const ntfy = "config notify a\noption type ntfy\noption url http://a/b\n"
	for _, c := range []struct{ in, want string }{
		{ntfy, ""},
		{ntfy + "option token ''\nlist event found\n", ""},
		{ntfy + "option colour red\n", `f:4: unknown option "colour" for a notify section, use one of ` + notifyOptions},
		{ntfy + "list event lost\n", `f:4: bad value "lost" for event, use one of found released unprotected`},
		{ntfy + "option token 'a\nX: b'\n", "f:4: bad value for token, use printable characters of ASCII, 512 at most"},
		{ntfy + "option password '" + strings.Repeat("x", 513) + "'\n", "f:4: bad value for password, use printable characters of ASCII, 512 at most"},
		{ntfy + "option user a:b\n", "f:4: bad user, use a name without a colon"},
		{"config notify\n", "f:1: a notify section without a type, add: option type, with one of ntfy webhook mail"},
		{"config notify\noption type sms\n", "f:1: a notify section without a type, add: option type, with one of ntfy webhook mail\n" +
			`f:2: bad value "sms" for type, use one of ntfy webhook mail`},
		{"config notify\noption type webhook\n", "f:1: a notify section without an address, add: option url 'https://...'"},
		{"config notify\noption type mail\n", "f:1: a mail to nobody, add: option to 'me@example.org'"},
		{strings.Repeat(strings.Replace(ntfy, " a\n", "\n", 1), maxNotify+1), "f:25: more than 8 notify sections, remove some"},
	} {
		_, err := Parse(strings.NewReader(c.in), "f")
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for s, want := range map[string]bool{
		"https://ntfy.sh/topic": true, "http://192.168.1.2:8080/a?b=c&d=%20#e": true, "http://[fd00::1]/x": true,
		"ftp://a/b": false, "https://": false, "https:///a": false, "http://me:secret@a/": false, "http://a/ b": false,
		"http://a/\"": false, "-o/etc/x": false, "http://a/\n": false, "file:///etc/passwd": false,
	} {
		if got := validURL(s); got != want {
			t.Errorf("url %q: %v", s, got)
		}
	}
	for s, want := range map[string]bool{
		"me@example.org": true, "a+b.c@[1]": false, "me": false, "-f@x": false, "a@b,c@d": false, "a@b\nBcc: c@d": false,
		"a b@c": false, "a@": false, "@b": false, "a@b@c": false,
	} {
		if got := validMail(s); got != want {
			t.Errorf("mail %q: %v", s, got)
		}
	}
}
