// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	for _, x := range []struct {
		line string
		want Request
		err  string
	}{
		{line: `{"cmd":"status"}`, want: Request{Cmd: "status"}},
		{line: " {\t\"cmd\" : \"peers\" , \"host\":\"::1\"\r}\n", want: Request{Cmd: "peers", Host: "::1"}},
		{line: `{"cmd":"exempt","host":"h","seconds":60,"since":7,"text":true}`, want: Request{"exempt", "h", 60, 7, true}},
		{line: `{"seconds":0,"since":9223372036854775807,"text":false,"cmd":"x"}`, want: Request{Cmd: "x", Since: 1<<63 - 1}},
		{line: `{"cmd":"a\u0041\n\t\r\b\f\/\\\""}`, want: Request{Cmd: "aA\n\t\r\b\f/\\\""}},
		{line: `{"cmd":"\ud83d\ude00"}`, want: Request{Cmd: "\U0001f600"}},
		{line: `{"cmd":"\ud83d\u0041\udc00"}`, want: Request{Cmd: "\ufffdA\ufffd"}},
		{line: "{\"cmd\":\"\xff\"}", want: Request{Cmd: "\ufffd"}},
		{line: `{"cmd":"a","cmd":"b"}`, want: Request{Cmd: "b"}},

		{line: ``, err: "not a JSON object on one line"},
		{line: `[]`, err: "not a JSON object on one line"},
		{line: `{}`, err: `no cmd, send an object such as {"cmd":"status"}`},
		{line: `{"cmd":""}`, err: `no cmd, send an object such as {"cmd":"status"}`},
		{line: `{"cmd":"x"} x`, err: "not a JSON object on one line"},
		{line: `{"cmd":"x",}`, err: "a string was expected"},
		{line: `{"cmd":"x" "host":"y"}`, err: "not a JSON object on one line"},
		{line: `{"cmd" "x"}`, err: "not a JSON object on one line"},
		{line: `{"cmd":"x`, err: "not a JSON object on one line"},
		{line: `{"cmd":"x\`, err: "not a JSON object on one line"},
		{line: `{"cmd":"\x"}`, err: "not a JSON object on one line"},
		{line: `{"cmd":"\u12"}`, err: "not a JSON object on one line"},
		{line: `{"cmd":"\u12zz"}`, err: "not a JSON object on one line"},
		{line: `{"cmd":"\u00`, err: "not a JSON object on one line"},
		{line: `{"cmd":"\u+041"}`, err: "not a JSON object on one line"},
		{line: `{"cmd":"\ud83d\u00`, err: "not a JSON object on one line"},
		{line: "{\"cmd\":\"a\x01\"}", err: "not a JSON object on one line"},
		{line: `{"cmd":5}`, err: "a string was expected"},
		{line: `{"cmd":null}`, err: "a string was expected"},
		{line: `{"host":["x"]}`, err: "a string was expected"},
		{line: `{"seconds":"5"}`, err: "a whole number was expected"},
		{line: `{"seconds":1.5}`, err: "not a JSON object on one line"},
		{line: `{"seconds":1e3}`, err: "not a JSON object on one line"},
		{line: `{"seconds":05}`, err: "a whole number was expected"},
		{line: `{"seconds":9223372036854775808}`, err: "a whole number was expected"},
		{line: `{"seconds":9223372036854775807,"cmd":"x"}`, want: Request{Cmd: "x", Seconds: 1<<63 - 1}},
		{line: `{"seconds":}`, err: "a whole number was expected"},
		{line: `{"seconds":--1}`, err: "a whole number was expected"},
		{line: `{"seconds":+1}`, err: "a whole number was expected"},
		{line: `{"seconds":-1}`, err: "seconds must not be negative"},
		{line: `{"since":-1}`, err: "since must not be negative"},
		{line: `{"text":1}`, err: "true or false was expected"},
		{line: `{"text":truely}`, err: "not a JSON object on one line"},
		{line: `{"hots":"x"}`, err: `unknown member "hots", use cmd, host, seconds, since or text`},
	} {
		got, err := ParseRequest([]byte(x.line))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != x.err || err == nil && got != x.want {
			t.Errorf("%s: got %+v, %q; want %+v, %q", x.line, got, text, x.want, x.err)
		}
		if err != nil {
			continue
		}
		if again, err := ParseRequest(AppendRequest(nil, got)); err != nil || again != got {
			t.Errorf("%s: after a round trip %+v, %v", x.line, again, err)
		}
	}
}

func TestParseText(t *testing.T) {
	for _, x := range []struct{ line, text, err string }{
		{`{"text":"a\nb"}`, "a\nb", ""},
		{`{"error":"it broke"}`, "", "it broke"},
		{`{"findings":[]}`, "", `unexpected "findings" in the reply: is the daemon of another version?`},
		{`nonsense`, "", "not a JSON object on one line"},
	} {
		text, err := ParseText([]byte(x.line))
		if text != x.text || err == nil && x.err != "" || err != nil && err.Error() != x.err {
			t.Errorf("%s: %q, %v", x.line, text, err)
		}
	}
}

// FuzzParseRequest compares the reader with encoding/json. Every request that
// ParseRequest accepts, encoding/json accepts too, and both read the same values.
func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{
		`{"cmd":"status"}`, `{"cmd":"exempt","host":"192.168.1.1","seconds":60,"since":1,"text":true}`,
		`{"cmd":"\ud83d\ude00\ud83dx\u0000"}`, "{\"cmd\":\"\xc3\"}", `{"seconds":-0}`, `{"cmd":"a"}{}`, `{"x":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := ParseRequest(line)
		var want struct {
			Cmd     string `json:"cmd"`
			Host    string `json:"host"`
			Seconds int64  `json:"seconds"`
			Since   uint64 `json:"since"`
			Text    bool   `json:"text"`
		}
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		theirs := d.Decode(&want)
		if theirs == nil && d.More() {
			theirs = json.Unmarshal(line, &want)
		}
		if err == nil {
			if theirs != nil {
				t.Fatalf("%q was taken, encoding/json says: %v", line, theirs)
			}
			if got != (Request{want.Cmd, want.Host, want.Seconds, want.Since, want.Text}) {
				t.Fatalf("%q: got %+v, encoding/json has %+v", line, got, want)
			}
			return
		}
		// ParseRequest may refuse some valid JSON: null, names in other case, numbers
		// beyond int64 or below 0, and a request without cmd.
		if theirs == nil && json.Valid(line) && want.Cmd != "" && want.Seconds >= 0 && want.Since < 1<<63 &&
			!bytes.Contains(line, []byte("null")) && !otherNames(line) {
			t.Fatalf("%q was refused (%v), encoding/json takes it", line, err)
		}
	})
}

// otherNames reports whether encoding/json accepts a member's name only because it
// ignores case.
func otherNames(line []byte) bool {
	var m map[string]json.RawMessage
	if json.Unmarshal(line, &m) != nil {
		return true
	}
	for k := range m {
		if !strings.Contains(" cmd host seconds since text ", " "+k+" ") {
			return true
		}
	}
	return false
}
