// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"math/rand"
	"strings"
	"testing"
)

// noise returns n bytes that look random, the same in each run.
func noise(n int) string {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return string(b)
}

// Beginnings of encrypted handshakes, and of protocols with a structure.
func TestHiddenFirst(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		want       bool
	}{
		{"a key", noise(96), true},
		{"a key and padding", noise(608), true},
		{"less than a key", noise(95), false},
		{"more than a key and padding", noise(609), false},
		{"text", strings.Repeat("GET / HTTP/1.1\r\n", 8), false},
		{"TLS", "\x16\x03\x01\x02\x00" + noise(300), false},
		{"a length of two bytes, as OpenVPN's", "\x01\x30" + noise(304), false},
		{"the same, low byte first", "\x30\x01" + noise(304), false},
		{"a length of four bytes", "\x00\x00\x01\x30" + noise(304), false},
		{"a length that counts itself", "\x00\x00\x01\x34" + noise(304), false},
		{"Zabbix, compressed", "ZBXD\x03\x30\x01\x00\x00\x80\x02\x00\x00" + noise(304), false},
		{"a length behind a name of twelve bytes", "abcdefghijkl\x00\x00\x01\x30" + noise(304), false},
		{"a length that is too far behind", "abcdefghijklm\x00\x00\x01\x30" + noise(304), true},
		{"a length before a checksum, as SSH's", "\x00\x00\x01\x20" + noise(0x120+64), false},
		{"a length that is no length", "\x00\x00\x01\x20" + noise(0x120+65), true},
	} {
		b := []byte(tt.data)
		if got := btHidden.First(b); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		if n := testing.AllocsPerRun(20, func() { btHidden.First(b) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

// Nearly all random bytes pass as the first message of an encrypted session.
func TestHiddenRandom(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	missed := 0
	const times = 300_000
	for range times {
		b := make([]byte, 96+rng.Intn(513))
		rng.Read(b)
		if framed(b) {
			missed++
		}
	}
	if missed > 30 {
		t.Errorf("%d of %d random beginnings are taken for something else", missed, times)
	}
}

// Middles of connections, and what their segments show.
func TestHiddenMiddle(t *testing.T) {
	const have, request = "\x00\x00\x00\x05\x04\x00\x00\x01\x02", "\x00\x00\x00\x0d\x06\x00\x00\x01\x02\x00\x00\x40\x00\x00\x00\x40\x00"
	// pieces returns segments of random bytes with these lengths.
	pieces := func(lengths ...int) (all []string) {
		for i, n := range lengths {
			all = append(all, noise(i*3000 + n)[i*3000:])
		}
		return all
	}
	// upload returns an upload of n segments.
	upload := func(n int) (all []string) {
		for range n {
			all = append(all, pieces(1448)...)
		}
		return all
	}
	record := func(n int) string { return "\x17\x03\x03" + string([]byte{byte(n >> 8), byte(n)}) + noise(n) }
	with := func(at int, segments []string, b string) []string {
		segments[at] = segments[at][:700] + b + segments[at][700+len(b):]
		return segments
	}
	for _, tt := range []struct {
		name   string
		parts  []string
		want   Match
		framed bool // the first segment is a plain message
		sure   bool // it is certain
	}{
		{"requests, encrypted, each alone", pieces(17, 17, 26, 17, 51), Yes, false, true},
		{"few of them", pieces(17, 17, 26, 34, 51), Yes, false, false},
		{"some at once, with words between", pieces(9, 26, 9, 34, 9, 26, 18, 43, 9), Yes, false, true},
		{"some of these", pieces(9, 26, 9, 34, 9, 26), Yes, false, false},
		{"several words at once", pieces(18, 60, 43, 36, 27, 300, 77, 9, 34, 26), Yes, false, true},
		{"other lengths", pieces(10, 27, 16, 35, 12, 30), Yes, false, false},
		{"other lengths among them", pieces(9, 26, 9, 34, 9, 26, 21, 18, 43, 9), Yes, false, true},
		{"two of them", pieces(10, 26, 13, 34, 9, 26, 18, 43, 60), Yes, false, false},
		{"the same length again and again", pieces(26, 26, 26, 26, 26, 26, 26, 26), Yes, false, false},
		{"two lengths again and again", pieces(26, 44, 26, 44, 26, 44, 26, 44), Yes, false, false},
		{"requests, encrypted", pieces(17, 34, 17, 51), Yes, false, false},
		{"three of them", pieces(170, 34, 51), More, false, false},
		{"too little", pieces(17, 17, 17, 17), More, false, false},
		{"an upload, encrypted", upload(13), Yes, false, false},
		{"a part of it", upload(11), More, false, false},
		{"a block and requests", append(upload(3), pieces(500, 17, 34, 51)...), Yes, false, false},
		{"TLS", []string{record(100)}, No, false, false},
		{"an upload by TLS, from within a record", append(upload(11), record(1400)), No, false, false},
		{"an upload by TLS, a record begins within a segment", with(10, upload(13), "\x17\x03\x03\x40\x11"), No, false, false},
		{"the end of a record, and others", append(pieces(60), record(30)), No, false, false},
		{"SSH, its length in clear", []string{"\x00\x00\x00\x20" + noise(0x20+16)}, No, false, false},
		{"SSH, its length encrypted", pieces(36, 44, 52, 36, 36, 100, 36, 36), More, false, false},
		{"SSH, for long", pieces(36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36), No, false, false},
		{"text", []string{strings.Repeat("PRIVMSG #a :hello\r\n", 8)}, No, false, false},
		{"text in large segments", []string{strings.Repeat("PRIVMSG #a :hello\r\n", 70)}, No, false, false},
		{"zeros", []string{strings.Repeat("\x00", 90)}, More, false, false},
		{"zeros, more", []string{strings.Repeat("\x00", 128)}, No, false, false},
		{"zeros, then text", []string{strings.Repeat("\x00", 64) + strings.Repeat("abcdefgh", 8)}, No, false, false},
		{"a byte at a time, little", strings.Split(noise(31), ""), More, false, false},

		{"a request", []string{request}, Yes, true, false},
		{"a request in two", []string{request[:7], request[7:]}, Yes, false, true},
		{"a request for what nobody asks for", []string{"\x00\x00\x00\x0d\x06\x00\x00\x01\x02\x00\x00\x40\x01\x00\x00\x40\x00"}, No, false, false},
		{"part of a request", []string{request[:10]}, More, false, false},
		{"a piece", []string{"\x00\x00\x40\x09\x07\x00\x00\x01\x02\x00\x01\x00\x00" + noise(115)}, Yes, true, false},
		{"a length and a 7", []string{"\x00\x00\x00\x80\x07" + noise(127)}, No, false, false},
		{"have, alone", []string{have}, More, false, false},
		{"have, twice", []string{have + have}, Yes, true, false},
		{"have, and have", []string{have, have}, Yes, false, true},
		{"have, and the beginning of another", []string{have + have[:6]}, Yes, true, false},
		{"have, have, and something else", []string{have + have + noise(20)}, Yes, true, false},
		{"alive, and have", []string{"\x00\x00\x00\x00" + have}, More, false, false},
		{"extended, not whole", []string{"\x00\x00\x01\x00\x14\x01d"}, More, false, false},
		{"interested and not", []string{"\x00\x00\x00\x01\x02\x00\x00\x00\x01\x03"}, Yes, true, false},
		{"a message that there is not", []string{"\x00\x00\x00\x01\x12" + have}, No, false, false},
	} {
		look := func() (got Match, sure bool) {
			var m PeerMiddle
			got = More
			for _, part := range tt.parts {
				if next := btHidden.Middle(&m, []byte(part), false); next != More {
					got = next
				}
				if got == No || m.Sure {
					break
				}
			}
			return got, m.Sure
		}
		got, sure := look()
		if got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if sure != (tt.framed || tt.sure) {
			t.Errorf("%s: sure %v", tt.name, sure)
		}
		b := []byte(tt.parts[0])
		if got := peerMiddle(b) == Yes; got != tt.framed {
			t.Errorf("%s: framed %v", tt.name, got)
		}
		var m PeerMiddle
		if n := testing.AllocsPerRun(20, func() { m = PeerMiddle{}; btHidden.Middle(&m, b, true) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

// On a host with a client, less is enough.
func TestHiddenMiddleLikely(t *testing.T) {
	r := noise(9000)
	for _, tt := range []struct {
		name          string
		begins        bool
		heard         int // the length of a message from the other side, 0 for none
		lengths       []int
		first, likely bool
	}{
		{"requests, and words that pieces were had", false, 0, []int{9, 136, 9, 375, 18}, false, true},
		{"too few words", false, 0, []int{9, 136, 9, 375, 290}, false, false},
		{"other lengths among them", false, 0, []int{9, 136, 9, 375, 18, 50}, false, false},
		{"words of several pieces", false, 0, []int{36, 45, 54, 63, 72, 27, 36}, false, false},
		{"the first requests", true, 0, []int{295}, true, false},
		{"the end of a message", false, 0, []int{295}, false, false},
		{"what follows them", true, 0, []int{295, 170}, false, false},
		{"SSH", true, 0, []int{292}, false, false},
		{"SSH on both sides", true, 44, []int{292}, false, false},
		{"SSH, two packets at once", true, 88, []int{292}, false, false},
		{"a length that SSH has, to who sends none", true, 5, []int{292}, true, false},
		{"a block, to who sends none", true, 5, []int{1448, 292}, false, false},
		{"the end of one", true, 12, []int{292}, false, false},
		{"a long answer", true, 1448, []int{292}, false, false},
		{"too little", true, 0, []int{95}, false, false},
	} {
		var m PeerMiddle
		if tt.begins {
			m.Begins()
		}
		if tt.heard > 0 {
			m.Heard(tt.heard)
		}
		for i, n := range tt.lengths {
			btHidden.Middle(&m, []byte(r[1500*(i%5):][:n]), true)
		}
		if m.First != tt.first || m.Likely != tt.likely {
			t.Errorf("%s: first %v, likely %v", tt.name, m.First, m.Likely)
		}
	}
}

// Fewer segments are enough if messages were seen from their beginning: TLS messages
// begin with a record header.
func TestHiddenMiddleWhole(t *testing.T) {
	type part struct {
		text string
		ends bool
	}
	r := noise(9000)
	long, end := func(at int) part { return part{r[at:][:1448], false} }, func(at, n int) part { return part{r[at:][:n], true} }
	for _, tt := range []struct {
		name  string
		parts []part
		after int // 0: never recognised
	}{
		{"batches of requests", []part{long(0), end(1500, 682), end(2200, 1205), long(3500), end(5000, 47), long(5100)}, 4},
		{"the end of one, and one more", []part{long(0), end(1500, 682), end(2200, 1205)}, 0},
		{"a message that goes on", []part{long(0), {r[1500:2182], false}, {r[2200:3405], false}, long(3500)}, 0},
		{"SSH", []part{end(0, 36), end(1500, 684), end(2200, 1204), long(3500), end(5000, 44)}, 0},
		{"records of TLS", []part{end(0, 330), {"\x17\x03\x03\x02\x00" + r[:500], true}, end(2200, 300)}, 0},
	} {
		var m PeerMiddle
		after := 0
		for i, p := range tt.parts {
			got := btHidden.Middle(&m, []byte(p.text), p.ends)
			if got == Yes {
				after = i + 1
			}
			if got != More {
				break
			}
		}
		if after != tt.after {
			t.Errorf("%s: told after %d segments, want %d", tt.name, after, tt.after)
		}
	}
}

func FuzzHidden(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05\x04\x00\x00\x01\x02\x00\x00\x00\x01\x02"))
	f.Add([]byte("\x00\x00\x40\x09\x07\x00\x00\x01\x02\x00\x01\x00\x00" + noise(115)))
	f.Add([]byte(noise(300)))
	f.Fuzz(func(t *testing.T, b []byte) {
		// A result for a beginning stays the same with more bytes.
		whole := peerMiddle(b)
		for n := range len(b) {
			if m := peerMiddle(b[:n]); m != More && m != whole {
				t.Fatalf("%x: %d behind %d bytes, %d behind all", b, m, n, whole)
			}
		}
		// Every sequence of non-empty segments, of any size, is decided in the end.
		var m PeerMiddle
		for n := range 2000 {
			part := b[:len(b)*(n%7)/6]
			if len(part) > 0 && btHidden.Middle(&m, part, len(part)%2 == 0) != More {
				return
			}
		}
		if len(b) == 0 {
			return
		}
		t.Fatalf("%x: looked at for ever", b)
	})
}
