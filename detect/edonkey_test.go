// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// Messages of MLDonkey 3.2.1 and aMule 2.3.3, and from eMule's documents.
var edonkeyDatagrams = []struct {
	name    string
	hex     string
	want    Kind
	conduct bool
	tcp     uint16
}{
	{"boot", "e401", Query, false, 0},
	{"boot with more", "e40100", None, false, 0},
	{"boot, Kad 1", "e400 89770024aa2317672704fc55686c5b87 0100007f 9b3b 3612 00", Query, true, 0x1236},
	{"boot, Kad 1, no port", "e400 89770024aa2317672704fc55686c5b87 0100007f 0000 3612 00", None, false, 0},
	{"boot's answer", "e409 2873f4c86234b7e5f23ba73b267b4557 3612 08 0200 7a2edc95b37920bdfc284ba070a2823d 657100cb 4012 3612 08 847dcb786032431d5989882ae4a6a639 647100cb 4012 3612 08", Reply, false, 0x1236},
	{"boot's answer, nobody known", "e409 2873f4c86234b7e5f23ba73b267b4557 3612 08 0000", Reply, false, 0x1236},
	{"boot's answer, a contact too few", "e409 2873f4c86234b7e5f23ba73b267b4557 3612 08 0200 7a2edc95b37920bdfc284ba070a2823d 657100cb 4012 3612 08", None, false, 0},
	{"boot's answer, version 0", "e409 2873f4c86234b7e5f23ba73b267b4557 3612 00 0000", None, false, 0},
	{"hello", "e411 af2d2713c5767cec423f8b8711371384 3612 08 00", Query, true, 0x1236},
	{"hello with options", "e411 af2d2713c5767cec423f8b8711371384 3612 08 02 89 fc 04 88 fb 4012", Query, true, 0x1236},
	{"hello, the tag cut off", "e411 af2d2713c5767cec423f8b8711371384 3612 08 01 89 fc", None, false, 0},
	{"hello, a byte behind it", "e411 af2d2713c5767cec423f8b8711371384 3612 08 00 00", None, false, 0},
	{"hello's answer", "e419 af2d2713c5767cec423f8b8711371384 3612 08 00", Reply, false, 0x1236},
	{"hello's acknowledgement", "e422 af2d2713c5767cec423f8b8711371384 00", Reply, false, 0},
	{"find", "e421 0b d263c0bfde199876479fe3f44ba06515 847dcb786032431d5989882ae4a6a639", Query, true, 0},
	{"find nothing", "e421 00 d263c0bfde199876479fe3f44ba06515 847dcb786032431d5989882ae4a6a639", None, false, 0},
	{"find, too short", "e421 02 d263c0bfde199876479fe3f44ba06515 847dcb786032431d5989882ae4a6a6", None, false, 0},
	{"found nobody", "e429 d263c0bfde199876479fe3f44ba06515 00", Reply, false, 0},
	{"found one", "e429 d263c0bfde199876479fe3f44ba06515 01 7a2edc95b37920bdfc284ba070a2823d 657100cb 4012 3612 08", Reply, false, 0},
	{"found one, says two", "e429 d263c0bfde199876479fe3f44ba06515 02 7a2edc95b37920bdfc284ba070a2823d 657100cb 4012 3612 08", None, false, 0},
	{"search for a word", "e433 d263c0bfde199876479fe3f44ba06515 0000", Query, true, 0},
	{"search for a word and more", "e433 d263c0bfde199876479fe3f44ba06515 0080 01 0300 6c6162", Query, true, 0},
	{"search for a word, the tree missing", "e433 d263c0bfde199876479fe3f44ba06515 0080", None, false, 0},
	{"search for sources", "e434 d263c0bfde199876479fe3f44ba06515 0000 0000c00000000000", Query, true, 0},
	{"publish a source", "e444 d263c0bfde199876479fe3f44ba06515 2873f4c86234b7e5f23ba73b267b4557 02 89 ff 01 88 fd 3612", Query, true, 0},
	{"publish's answer", "e44b d263c0bfde199876479fe3f44ba06515 05", Reply, false, 0},
	{"publish, packed", "e543 789c 63606060601092900091aa0600", Query, true, 0},
	{"packed by something else", "e543 799c 63606060601092900091aa0600", None, false, 0},
	{"behind a firewall?", "e453 3612 39aa3615fe850e5d1a5f3004306ff45c 02", Query, true, 0x1236},
	{"behind a firewall?, old", "e450 3612", Query, false, 0x1236},
	{"ping", "e460", Query, false, 0},
	{"pong", "e461 be04", Reply, false, 0},
	{"pong, too long", "e461 be0400", None, false, 0},
	{"unknown opcode", "e4ff", None, false, 0},

	{"reask, a whole file", "c590 d9dc61c471e7f93a63f408d832de8742 0000 0000", Query, true, 0},
	{"reask, two of ten parts", "c590 d9dc61c471e7f93a63f408d832de8742 0a00 0300 0500", Query, true, 0},
	{"reask, parts missing", "c590 d9dc61c471e7f93a63f408d832de8742 0a00 0300", None, false, 0},
	{"reask, old", "c590 d9dc61c471e7f93a63f408d832de8742", Query, false, 0},
	{"reask, too short", "c590 d9dc61c471e7f93a63f408d832de87", None, false, 0},
	{"place in the queue", "c591 0200 03 0700", Reply, false, 0},
	{"not found", "c592", Weak, false, 0},
	{"queue full", "c593", Weak, false, 0},
	{"direct callback", "c595 3612 39aa3615fe850e5d1a5f3004306ff45c 03", Query, false, 0x1236},

	{"server status", "e396 c9d5aa55", Query, true, 0},
	{"server status, old", "e396 01020304", Query, false, 0},
	{"server status, cut off", "e396 c9d5aa", None, false, 0},
	{"server description", "e3a2 fff06281", Query, true, 0},
	{"sources", "e39a d9dc61c471e7f93a63f408d832de8742", Query, false, 0},
	{"sources of two", "e394 d9dc61c471e7f93a63f408d832de8742 0000c000 d9dc61c471e7f93a63f408d832de8742 00000000 0000c00001000000", Query, false, 0},
	{"sources, cut off", "e394 d9dc61c471e7f93a63f408d832de8742 0000c0", None, false, 0},
	{"search at a server", "e398 01 0300 6c6162", Query, false, 0},
	{"search for two words", "e392 00 00 01 0300 6c6162 02 0500 566964656f 0100 03", Query, false, 0},
	{"search with tags", "e390 01000000 89 0e 01 01 0300 6c6162", Query, false, 0},
	{"search for half of two words", "e392 00 00 01 0300 6c6162", None, false, 0},
	{"Overnet", "e30a 9057908573fb377060782368ffdcf213 7f000001 f042 00", Query, true, 0},
	{"Overnet, cut off", "e30a 9057908573fb377060782368ffdcf213 7f000001 f042", None, false, 0},

	{"nothing", "", None, false, 0},
	{"one byte", "e4", None, false, 0},
	{"DNS query", "e401 0100 0001 0000 0000 0000 076578616d706c6503636f6d00 0001 0001", None, false, 0},
	{"QUIC, first packet", "c5 00000001 08 0102030405060708 00 00 449e " + strings.Repeat("5a", 60), None, false, 0},
	{"QUIC, later", "e4 01 0102030405060708" + strings.Repeat("5a", 30), None, false, 0},
}

func TestEDonkeyDatagram(t *testing.T) {
	for _, tt := range edonkeyDatagrams {
		var f Finding
		b := unhex(t, tt.hex)
		k := EDonkey.Datagram(b, &f)
		if k != tt.want || k > Weak && (f.Conduct != tt.conduct || f.TCPPort != tt.tcp) {
			t.Errorf("%s: kind %d, conduct %t, port %d; want %d, %t, %d", tt.name, k, f.Conduct, f.TCPPort, tt.want, tt.conduct, tt.tcp)
		}
		if n := testing.AllocsPerRun(20, func() { EDonkey.Datagram(b, &f) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

const (
	donkeyLogin  = "e33f000000 01 e43e1279ff0e0e641255583bd9726f44 c0a80132 3612 04000000 02 0100 01 0600 6a6667626f71 03 0100 11 3e000000 03 0100 20 0d010000 03 0100 fb 8008060a"
	donkeyHello  = "e366000000 01 10 e43e1279ff0e0e641255583bd9726f44 c6336401 3612 08000000 02 0100 01 0600 6a6667626f71 03 0100 0f 36120000 03 0100 11 3e000000 03 0100 f9 3a120000 03 0100 fb 8008060a 03 0100 fa 10211000 03 0100 fe 10080000 03 0100 ef 01000000 cb007150 3512"
	donkeyAnswer = "e36b000000 4c 1536aa395d0e85fe04305f1a5cf46f30 01000000 3612 07000000 02 0100 01 1400 687474703a2f2f7777772e614d756c652e6f7267 03 0100 11 3c000000 03 0100 f9 40124012 03 0100 fb 800d0403 03 0100 fa 16321334 03 0100 fe b8050000 03 0100 ef 01000000 000000000000"
	donkeyInfo   = "c558000000 01 47 01 09000000 03 0100 20 01000000 03 0100 22 04000000 03 0100 21 40120000 03 0100 23 03000000 03 0100 24 01000000 03 0100 25 02000000 03 0100 27 03000000 03 0100 26 03000000 02 0100 55 0b00 614d756c6520322e332e33"
)

var edonkeyStreams = []struct {
	name     string
	hex      string
	want     Match
	client   string
	tcp, udp uint16
}{
	{"login", donkeyLogin, Yes, "MLDonkey 3.2.1", 0x1236, 0},
	{"hello", donkeyHello, Yes, "MLDonkey 3.2.1", 0x1236, 0x123a},
	{"hello's answer", donkeyAnswer, Yes, "aMule 2.3.3", 0x1236, 0x1240},
	{"eMule's own", donkeyInfo, Yes, "aMule 2.3.3", 0, 0x1240},
	{"a byte", "e3", More, "", 0, 0},
	{"half of a login", donkeyLogin[:60], More, "", 0, 0},
	{"a login without its last tag", donkeyLogin[:len(donkeyLogin)-20], More, "", 0, 0},
	{"a message of no length", "e300000000 01", No, "", 0, 0},
	{"too long a message", "e300000100 01", No, "", 0, 0},
	{"far too long a message", "e3ffffff7f", No, "", 0, 0},
	{"another opcode", "e33f000000 02 e43e1279ff0e0e641255583bd9726f44", No, "", 0, 0},
	{"login with no tags", "e31b000000 01 e43e1279ff0e0e641255583bd9726f44 c0a80132 3612 00000000", No, "", 0, 0},
	{"login with many tags", "e3ff000000 01 e43e1279ff0e0e641255583bd9726f44 c0a80132 3612 00010000 02 0100 01", No, "", 0, 0},
	{"eMule's own, of another protocol", "c558000000 01 47 02 09000000 03", No, "", 0, 0},
	{"UTF-8", "e3828f e38293", No, "", 0, 0},
}

func TestEDonkeyFirst(t *testing.T) {
	for _, tt := range edonkeyStreams {
		var f Finding
		b := unhex(t, tt.hex)
		b = b[:min(len(b), StreamBuffer)]
		if m := EDonkey.First(b, true, &f); m != tt.want || f.Client.String() != tt.client || f.TCPPort != tt.tcp || f.UDPPort != tt.udp || f.Conduct != (m == Yes) {
			t.Errorf("%s: match %d, client %q, ports %d and %d; want %d, %q, %d and %d", tt.name, m, f.Client.String(), f.TCPPort, f.UDPPort, tt.want, tt.client, tt.tcp, tt.udp)
		}
		if m := EDonkey.First(b, false, &f); m != No {
			t.Errorf("%s: match %d from outside", tt.name, m)
		}
		if n := testing.AllocsPerRun(20, func() { EDonkey.First(b, true, &f) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

// TestEDonkeyFirstByPieces feeds a login byte by byte.
func TestEDonkeyFirstByPieces(t *testing.T) {
	b := unhex(t, donkeyLogin)
	var f Finding
	for n := 1; n < len(b); n++ {
		if m := EDonkey.First(b[:n], true, &f); m != More || f != (Finding{}) {
			t.Fatalf("match %d after %d bytes, finding %+v", m, n, f)
		}
	}
	if m := EDonkey.First(b, true, &f); m != Yes {
		t.Errorf("match %d of all", m)
	}
}

func TestEDonkeyPrograms(t *testing.T) {
	for _, tt := range []struct {
		version uint32
		want    string
	}{
		{0x03040d80, "aMule 2.3.3"},
		{0x0a060880, "MLDonkey 3.2.1"},
		{50 << 10, "eMule 0.50a"},
		{72<<10 | 1<<7, "eMule 0.72b"},
		{0x77000000, ""},
	} {
		var c ClientName
		edonkeyProgram(tt.version, &c)
		if c.String() != tt.want {
			t.Errorf("%08x is %q, want %q", tt.version, c.String(), tt.want)
		}
	}
}

func TestEDonkeyProbes(t *testing.T) {
	number := unhex(t, "2873f4c86234b7e5f23ba73b267b4557")
	const greeted = "e419 2873f4c86234b7e5f23ba73b267b4557 3612 08 00"
	for _, tt := range []struct {
		name    string
		build   func(dst, words []byte, salt uint32) int
		judge   func(b, probe []byte) bool
		answer  string
		correct bool
	}{
		{"hello", edonkeyGreeting, edonkeyGreeted, donkeyAnswer, true},
		{"hello", edonkeyGreeting, edonkeyGreeted, donkeyInfo, true},
		{"hello", edonkeyGreeting, edonkeyGreeted, donkeyHello, false},
		{"hello", edonkeyGreeting, edonkeyGreeted, "", false},
		{"hello", edonkeyGreeting, edonkeyGreeted, "e3", false},
		{"node's hello", kadGreet, kadGreeted, greeted, true},
		{"node's hello", kadGreet, kadGreeted, "e411 2873f4c86234b7e5f23ba73b267b4557 3612 08 00", false},
		{"node's hello", kadGreet, kadGreeted, "e419", false},
		{"reask", emuleAsk, emuleAnswered, "c592", true},
		{"reask", emuleAsk, emuleAnswered, "c593", true},
		{"reask", emuleAsk, emuleAnswered, "c591", false},
	} {
		var dst [MaxAnswer]byte
		n := tt.build(dst[:], nil, 7)
		if n == 0 {
			t.Fatalf("%s: nothing to ask", tt.name)
		}
		if tt.judge(unhex(t, tt.answer), dst[:n]) != tt.correct {
			t.Errorf("%s: answer %q is taken for correct: %t", tt.name, tt.answer, !tt.correct)
		}
		if tt.judge(dst[:n], dst[:n]) {
			t.Errorf("%s: the question itself is taken for an answer", tt.name)
		}
	}
	// The hello must be the same each time: a client does not answer after it saw another
	// hash.
	var a, b [MaxAnswer]byte
	if n := edonkeyGreeting(a[:], nil, 1); edonkeyGreeting(b[:], nil, 2) != n || a != b || EDonkey.First(a[:n], true, new(Finding)) != Yes {
		t.Error("the hello varies, or is none")
	}

	var f Finding
	if EDonkey.Datagram(unhex(t, greeted), &f); !bytes.Equal(f.Key[:], number) {
		t.Errorf("the key is %x", f.Key)
	}
	var dst [MaxAnswer]byte
	n := kadSearch(dst[:], number, 7)
	if k := EDonkey.Datagram(dst[:n], new(Finding)); k != Query {
		t.Errorf("our question is of kind %d", k)
	}
	target := hex.EncodeToString(dst[3:19])
	if !kadFound(unhex(t, "e429"+target+"00"), dst[:n]) {
		t.Error("the answer is not taken")
	}
	if kadFound(unhex(t, "e429 00112233445566778899aabbccddeeff 00"), dst[:n]) || kadFound(dst[:n], dst[:n]) || kadSearch(dst[:], nil, 7) != 0 {
		t.Error("an answer without the token is taken, or a question without a number built")
	}
}

// TestKadFlow feeds what aMule 2.3.3 sent to its first nodes: each flow gives one hint.
func TestKadFlow(t *testing.T) {
	const find = "d87ae7dce8e7fb218cfa434ce780ccf08a19590503cef6115f1f6c3e50829cc1b47e280321648e8c0df51b6c3a20f75ce81485"
	for _, tt := range []struct {
		name, hex string
		want      Match
	}{
		{"ping", "d0c8208a3e10f07a57646470ab5b3250d58e", Hint},
		{"find", find, Hint},
		{"by the receiver's key", "fa" + find[2:], Hint},
		{"between clients", "d1" + find[2:], No},
		{"a byte more", find + "00", No},
		{"zeros", strings.Repeat("00", 18), No},
		{"text", hex.EncodeToString([]byte("GET /index.html HT")), No},
		{"a record of DTLS by its first bytes", "16fefd" + find[6:], Hint}, // its length does not count
	} {
		var s FlowState
		var f Finding
		b := unhex(t, tt.hex)
		if k := EDonkey.Datagram(b, &f); (k == Weak) != (tt.want == Hint) || k > Weak {
			t.Errorf("%s: kind %d", tt.name, k)
		}
		if m := EDonkey.Flow(&s, b, 1); m != tt.want {
			t.Errorf("%s: match %d, want %d", tt.name, m, tt.want)
		}
		if m := EDonkey.Flow(&s, b, 2); m != No {
			t.Errorf("%s: match %d for the next", tt.name, m)
		}
		if n := testing.AllocsPerRun(20, func() { EDonkey.Flow(&s, b, 3) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func FuzzEDonkeyDatagram(f *testing.F) {
	for _, tt := range edonkeyDatagrams {
		f.Add(unhex(f, tt.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var x Finding
		if k := EDonkey.Datagram(b, &x); k > Weak && x.Reason == ReasonNone {
			t.Error("a finding without a reason")
		}
		EDonkey.Flow(new(FlowState), b, 1)
		if !bytes.Equal(b, before) {
			t.Error("the datagram was changed")
		}
	})
}

func FuzzEDonkeyFirst(f *testing.F) {
	for _, tt := range edonkeyStreams {
		f.Add(unhex(f, tt.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var x Finding
		b = b[:min(len(b), StreamBuffer)]
		if m := EDonkey.First(b, true, &x); m != Yes && x != (Finding{}) {
			t.Errorf("match %d, and the finding was changed", m)
		} else if m == More && len(b) == StreamBuffer {
			t.Error("asks for more than there is")
		}
		edonkeyGreeted(b, nil)
	})
}

// TestEDonkeyDNS: the first two bytes of a DNS message are random. No message is taken for
// eDonkey's or Kad's, whatever they are.
func TestEDonkeyDNS(t *testing.T) {
	for _, flags := range []string{"\x01\x00", "\x81\x80"} {
		for n := 1; n <= 60; n++ {
			b := []byte("\x00\x00" + flags + "\x00\x01\x00\x00\x00\x00\x00\x00" + string(byte(n)) + strings.Repeat("h", n) + "\x00\x00\x01\x00\x01")
			for id := range 1 << 16 {
				b[0], b[1] = byte(id>>8), byte(id)
				var f Finding
				if k := edonkeyDatagram(b, &f); k >= Query {
					t.Fatalf("%x is a message of kind %v", b, k)
				}
			}
		}
	}
}

// TestKadSearches: messages of variable length are told by what is in them.
func TestKadSearches(t *testing.T) {
	id := strings.Repeat("\x9a", kadID)
	for _, tt := range []struct {
		name, message string
		want          Kind
	}{
		{"Kad 1", "\xe4\x30" + id + "\x00", Query},
		{"Kad 1, with a word", "\xe4\x30" + id + "\x01\x01\x04\x00song", Query},
		{"Kad 1, more than the word", "\xe4\x30" + id + "\x01\x01\x04\x00songs", None},
		{"Kad 1, random", "\xe4\x30" + id + "\x77\x01\x04\x00song", None},
		{"two results", "\xe4\x3b" + id + id + "\x02\x00" + id + "\x00" + id + "\x01\x02", Reply},
		{"results that are not there", "\xe4\x3b" + id + id + "\x02\x00" + id + "\x00", None},
		{"no results", "\xe4\x3b" + id + id + "\x00\x00\x00", None},
	} {
		var f Finding
		if k := edonkeyDatagram([]byte(tt.message), &f); k != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, k, tt.want)
		}
	}
}
