// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// EiskaltDC++ 2.4.2 and ncdc 1.23.1 sent these in the lab, unless noted otherwise.
const (
	eiskaltNMDC = "24537570706f7274732055736572436f6d6d616e64204e6f476574494e464f204e6f48656c6c6f205573657249503220545448536561726368205a506970653020544c53204448543020"
	adcHello    = "HSUP ADBAS0 ADBASE ADTIGR ADUCM0 ADBLO0 ADZLIF ADDHT0\n"
	adcEiskalt  = "BINF AAAB IDF53LCLGWTLXA5NZ4WVK7OKWUED4CEZJ77LYMODA PDK6MDSTOLSCY6YPELXOGMZMOLCOPKEORMZGE42IY NIalice SL3 FS3 SS0 SF0 HN0 HR0 HO0 APEiskaltDC++ VE2.4.2 US2621440 KPSHA256/GBVQIB42PSD63W2UQALZOXYJKTMDOM3UTIAGUBA7EDIT3OL6HADA I40.0.0.0 U43412 SUSEGA,ADC0,TCP4,UDP4\n"
	adcNcdc     = "BINF AAAD IDVH5KV3HOHPXF3K4AK2NZVZOSRZKV3OO4OBQCMHI PD3MVN5FS3YTWDZ3WBPMJSXIBHVTGPYT47ND6A23Q VEncdc\\s1.23.1 NInalice I4203.0.113.10 SUTCP4,UDP4,ADC0,ADCS U44412 SS0 SF0 SL10 FS10 HN0 HR0 HO0 DE EM\n"
	adcResult   = "URES DXEBCJ4N7SOGDLZBPOC5OORSA4H7IXBOQNO3GMQ SI3000000 SL2 FN/share/song.mp3 TROKIOMQFREZ7M6G7B5X27GEXLA5CND2P5HSMITHQ TO4098512921\n"
	nmdcResultB = "$SR labuser share\\lab test song.mp3\x0540000 1/5\x05TTH:ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFG (203.0.113.66:411)|"
	// adcTLS is the first data of EiskaltDC++ to a hub by TLS.
	adcTLS = "160301011a010001160303f8432e5fe663f8cfb7e542cb7b61a8c290a9def4d47b337986939dbf552510262066ec65d20dddb0cb33cdcf500e80583f7ba3c20be54685e081b4cd55125e058b002a130213031301c02cc02bc024c023c030c02fc028c027c00ac014c01300390033009d003d0035002f00ff010000a3000b000403000102000a00160014001d0017001e00190018010001010102010301040023000000100006000403616463" +
		"0016000000170000000d002a0028040305030603080708080809080a080b080408050806040105010601030303010302040205020602002b0009080304030303020301002d00020101003300260024001d0020018591f2e75d7107fbfee4407626ac30bad5f0f64f065d64a97770a4bf6cfe4f"
)

func TestDirectConnectFirst(t *testing.T) {
	if ByName("directconnect") < 0 {
		withProtocols(t, append(slices.Clone(All), &DirectConnect)...)
	}
	nmdc := string(unhex(t, eiskaltNMDC)) + "|$Key 4\x10\x00\x11A \xc0\xc001|$ValidateNick alice|"
	tls := string(unhex(t, adcTLS))
	for _, tt := range []struct {
		name     string
		text     string // ~ cuts segments
		in       bool
		want     Match
		client   string
		tcp, udp uint16
	}{
		{name: "hub of NMDC", text: nmdc, want: Yes},
		{name: "hub of NMDC, as it comes from outside", text: nmdc, in: true, want: No},
		{name: "in three segments, as ncdc does", text: "$Supports NoGetINFO NoHello UserIP2 TLS|~$Key 4\xe2|~$ValidateNick nbob|", want: Yes},
		{name: "not yet all of it", text: "$Supports NoGetINFO NoHello UserIP2 TLS|~$Key 4\xe2|", want: More},
		{name: "a long key alone", text: "$Supports NoGetINFO NoHello|$Key " + strings.Repeat("k", 160), want: Yes},
		{name: "a client of old", text: "$Key abc|$ValidateNick old|", want: Yes},
		{name: "a key and no nick", text: "$Key " + strings.Repeat("k", 200), want: No},
		{name: "MLDonkey's login, and more", text: "$Supports NoGetINFO NoHello TTHSearch HubTopic|$Key \x04A |$ValidateNick jfgboq|~$Version 3.2.1.git|$GetNickList|~$MyINFO $ALL jfgboq <MLDC V:3.2.1.git,M:A,H:1/0/0,S:2>$ $DSL.$$0$|~$ConnectToMe labuser 192.168.1.50:4444|", want: Yes, client: "MLDC 3.2.1.git", tcp: 4444},
		{name: "DC++'s tag", text: nmdc + "$MyINFO $ALL a d <++ V:0.868,M:P,H:1/0/0,S:2>$ $0.1$$0$|", want: Yes, client: "DC++ 0.868"},
		{name: "an invitation to TLS", text: nmdc + "$ConnectToMe nbob 203.0.113.10:3413S|", want: Yes, tcp: 3413},
		{name: "words that are none", text: "$Supports {a}|$Key 1|$ValidateNick x|", want: No},
		{name: "another command", text: "$Hello alice|", want: No},
		{name: "a shell's prompt", text: "$ ls\n", want: No},

		{name: "client of NMDC", text: "$MyNick bob|$Lock EXTENDEDPROTOCOLABCABCABCABCABCABC Pk=DCPLUSPLUS0.868ABCABC|", want: Yes, client: "DCPLUSPLUS0.868"},
		{name: "with the hub's address", text: "$MyNick bob|$Lock EXTENDEDPROTOCOLABC Pk=EISKALT2.4Ref=dchub://203.0.113.3:411|", want: Yes, client: "EISKALT2.4"},
		{name: "the nick alone", text: "$MyNick bob|", want: More},
		{name: "a nick and something else", text: "$MyNick bob|hello", want: No},
		{name: "a nick of two words", text: "$MyNick b b|$Lock a Pk=b|", want: No},
		{name: "endless nick", text: "$MyNick " + strings.Repeat("b", 70), want: No},

		{name: "hub of ADC", text: adcHello, want: Yes},
		{name: "and EiskaltDC++'s own words", text: adcHello + "~" + adcEiskalt, want: Yes, client: "EiskaltDC++ 2.4.2", udp: 3412},
		{name: "ncdc's", text: "HSUP ADBASE ADTIGR\n~" + adcNcdc + "~DCTM AAAD AAAE ADCS/0.10 4412 OOSRO6\n", want: Yes, client: "ncdc 1.23.1", udp: 4412, tcp: 4412},
		{name: "client of ADC", text: "CSUP ADBASE ADTIGR\n", want: Yes},
		{name: "in pieces", text: "HS~UP AD~BASE AD~TIGR~\n", want: Yes},
		{name: "without the base", text: "HSUP ADTIGR\n", want: No},
		{name: "another letter", text: "ISUP ADBASE ADTIGR\n", want: No},
		{name: "something else behind it", text: "HSUP ADBASE hello\n", want: No},
		{name: "an endless list", text: "HSUP" + strings.Repeat(" ADTIGR", 40), want: No},

		{name: "later with a hub of ADC", text: "BSCH AAAB TO117085746 ANsong\n", want: Yes},
		{name: "an invitation", text: "DCTM AAAD AAAE ADCS/0.10 4412 OOSRO6\n", want: Yes, tcp: 4412},
		{name: "what it says of itself", text: adcEiskalt, want: Yes, client: "EiskaltDC++ 2.4.2", udp: 3412},
		{name: "chat", text: "BMSG AAAB hello\n", want: No},
		{name: "no number", text: "BINF aaab IDX\n", want: No},
		{name: "a line that does not end", text: "BSCH AAAB TO1", want: More},
		{name: "a part of a file", text: "CGET file TTH/OKIOMQFREZ7M6G7B5X27GEXLA5CND2P5HSMITHQ 0 1048576 ZL1\n", want: Yes},
		{name: "of another hash", text: "CGET file TTH/okiomq 0 1048576\n                             ", want: No},
		{name: "later with a hub of NMDC", text: "$Search 203.0.113.10:3412 F?T?0?9?TTH:XAAA|", want: Yes},
		{name: "a part of a file by NMDC", text: "$ADCGET file TTH/OKIOMQFREZ7M6G7B5X27GEXLA5CND2P5HSMITHQ 0 1048576|", want: Yes},
		{name: "who it is by NMDC", text: "$MyINFO $ALL nbob <ncdc V:1.23.1,M:P,H:2/0/0,S:10>$ $0.005.$$2000000$|", want: Yes, client: "ncdc 1.23.1"},
		{name: "a search for nothing", text: "$Search me|", want: No},

		{name: "hub by TLS", text: tls, want: Yes},
		{name: "another protocol by TLS", text: strings.Replace(tls, "\x03adc", "\x03abc", 1), want: No},
		{name: "no protocol by TLS", text: strings.Replace(tls, "\x00\x10\x00\x06\x00\x04\x03adc", "\x00\x11\x00\x06\x00\x04\x03adc", 1), want: No},
		{name: "HTTP", text: "GET / HTTP/1.1\r\n\r\n", want: No},
	} {
		var s Stream
		f := Finding{}
		var m Match
		seq := uint32(7)
		client, tcp, udp := "", uint16(0), uint16(0)
		best := No
		for i, b := range strings.Split(tt.text, "~") {
			f.Reset()
			m = s.Feed(1<<ByName("directconnect"), seq, []byte(b), !tt.in, &f)
			seq += uint32(len(b))
			if m == Yes {
				best = Yes
				if All[f.Protocol] != &DirectConnect || f.Reason != ReasonHello {
					t.Errorf("%s: segment %d: %s, %v", tt.name, i, All[f.Protocol].Title, f.Reason)
				}
			}
			if f.Client.Known() {
				client = f.Client.String()
			}
			if f.TCPPort != 0 {
				tcp = f.TCPPort
			}
			if f.UDPPort != 0 {
				udp = f.UDPPort
			}
		}
		if best != Yes {
			best = m
		}
		if best != tt.want || client != tt.client || tcp != tt.tcp || udp != tt.udp {
			t.Errorf("%s: match %d, client %q, ports %d and %d", tt.name, best, client, tcp, udp)
		}
	}
}

func TestDirectConnectDatagram(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Kind
	}{
		{"result of ADC", adcResult, Reply},
		{"result of NMDC", nmdcResultB, Reply},
		{"no line feed", strings.TrimSuffix(adcResult, "\n"), None},
		{"an identity that is too short", "URES DXEBC SI3\n", None},
		{"another digit in it", strings.Replace(adcResult, "DXEB", "DXE1", 1), None},
		{"no slots", strings.Replace(nmdcResultB, "1/5", "15", 1), None},
		{"no hub", "$SR labuser share\\lab test song.mp3 40000 1/5", None},
		{"cut", nmdcResultB[:60], None},
		{"SIP", "SUBSCRIBE sip:a@b SIP/2.0\r\n", None},
	} {
		var f Finding
		if k := dcDatagram([]byte(tt.text), &f); k != tt.want || f.Conduct != (k == Reply) {
			t.Errorf("%s: %d", tt.name, k)
		}
		for i := range tt.text {
			if k := dcDatagram([]byte(tt.text[:i]), &f); k != None {
				t.Errorf("%s: the first %d bytes: %d", tt.name, i, k)
			}
		}
	}
}

func TestDirectConnectAsked(t *testing.T) {
	var q [MaxAnswer]byte
	question := q[:adcQuestion(q[:], nil, 1)]
	if string(question) != "CSUP ADBASE ADTIGR\n" {
		t.Errorf("question %q", question)
	}
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"EiskaltDC++", "CSUP ADBAS0 ADBASE ADTIGR ADBZIP ADZLIG\nCINF IDF53LCLGWTLXA5NZ4WVK7OKWUED4CEZJ77LYMODA\n", true},
		{"ncdc", "CSUP ADBASE ADTIGR ADBZIP ADZLIG\nCINF IDVH5KV3HOHPXF3K4AK2NZVZOSRZKV3OO4OBQCMHI\n", true},
		{"the question that comes back", string(question), false},
		{"twice", string(question) + string(question), false},
		{"who it is not", "CSUP ADBASE\nCINF ID\n", false},
		{"only who it is", "\nCINF IDVH5KV3HOHPXF3K4AK2NZVZOSRZKV3OO4OBQCMHI\n", false},
		{"nothing", "", false},
	} {
		if got := adcAnswered([]byte(tt.text), question); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestDirectConnectLogin answers clients of both protocols in the hub's name.
func TestDirectConnectLogin(t *testing.T) {
	const salt = 12345
	var token [dcToken]byte
	dcTokenOf(&token, salt)
	name := string(token[:])
	if !isBase32(token[:]) {
		t.Fatalf("token %q", token)
	}
	var b [MaxAnswer]byte
	for _, tt := range []struct{ first, want string }{
		{adcHello, "ISUP ADBASE ADTIGR\nISID " + name[:4] + "\nIINF CT32 NIhub\n"},
		{"$Supports a|$Key b|$ValidateNick bob|", "$Hello bob|$Hello " + name + "|$RevConnectToMe " + name + " bob|"},
		{"$ValidateNick bob|", "$Hello bob|$Hello " + name + "|$RevConnectToMe " + name + " bob|"},
		{"$MyNick bob|$Lock a Pk=b|", ""},
		{"CSUP ADBASE ADTIGR\n", ""},
		{"", ""},
	} {
		if got := string(b[:dcWelcome(b[:], []byte(tt.first), salt)]); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.first, got, tt.want)
		}
		if n := dcWelcome(b[:10], []byte(tt.first), salt); n != 0 {
			t.Errorf("%q: %d bytes where there is room for 10", tt.first, n)
		}
	}
	id := " ID" + strings.Repeat("B", adcIDSize) + " NI" + name
	invitation := "\nBINF " + name[4:] + id + "\nBSCH " + name[4:] + " GE0 TO" + name + "\nDCTM " + name[4:] + " AAAA " + name + "/1.0 1214 " + name + "\n"
	invitation = "$Hello " + name + "|$RevConnectToMe " + name + " " + name[4:] + "|$Lock " + name + " Pk=1|" + invitation
	for _, tt := range []struct{ last, want string }{
		{"", invitation},
		{"$Search Hub:bob F?T?0?9?TTH:A|", invitation},
		{"BINF AAAC HN1\n", strings.Replace(invitation, "AAAA", "AAAC", 1)}, // ncdc hears only what is sent to its number
		{"$ADCGET file TTH/A 0 1|", ""},
		{"CGET file TTH/A 0 1\n", ""},
	} {
		if got := string(b[:dcInvite(b[:], []byte(tt.last), salt)]); got != tt.want {
			t.Errorf("after %q: %q, want %q", tt.last, got, tt.want)
		}
	}
	mine := strings.Replace(adcEiskalt, "AAAB", name[:4], 1)
	for _, tt := range []struct {
		name, text string
		want       Match
		client     string
		tcp        uint16
	}{
		{"by ADC", mine, Yes, "EiskaltDC++ 2.4.2", 0},
		{"under a number that is not ours", adcEiskalt, No, "", 0},
		{"who it is by NMDC", "$Version 1,0091|$GetNickList|$MyINFO $ALL nbob <ncdc V:1.23.1,M:P,H:2/0/0,S:10>$ $0.005.$$2000000$|", Hint, "ncdc 1.23.1", 0},
		{"and where it listens", "$MyINFO $ALL nbob <ncdc V:1.23.1,M:A,H:2/0/0,S:10>$ $0.$$0$|$ConnectToMe " + name + " 192.168.1.50:4412|", Yes, "ncdc 1.23.1", 4412},
		{"it cannot be reached", "$RevConnectToMe bob " + name + "|", Yes, "", 0},
		{"it does not know the protocol", "DSTA AAAC " + name[4:] + " 241 Protocol\\sunknown PR" + name + "/1.0 TO" + name + "\n", Yes, "", 0},
		{"it has a file", "DRES AAAC " + name[4:] + " TO" + name + " SL1 SI9 FN/a\n", Yes, "", 0},
		{"it has a file for another", "DRES AAAC AAAB TO1234 SL1 SI9 FN/a\n", No, "", 0},
		{"it does not know another", "DSTA AAAC AAAB 241 Protocol\\sunknown PRX/1.0 TO1\n", No, "", 0},
		{"the key to the lock", "$Key " + keyTo(name) + "|$ValidateNick bob|", Yes, "", 0},
		{"the key to another lock", "$Key " + keyTo("ABCDEFGH") + "|$ValidateNick bob|", No, "", 0},
		{"a part of the key", "$Key " + keyTo(name)[:5] + "|", No, "", 0},
		{"the key, and more", "$Key " + keyTo(name) + "A|", No, "", 0},
		{"our own words by ADC", invitation, No, "", 0},
		{"an invitation to another", "$ConnectToMe someone 192.168.1.50:4412|", No, "", 0},
		{"our own words", "$Hello bob|$Hello " + name + "|$RevConnectToMe " + name + " bob|", No, "", 0},
		{"nothing", "", No, "", 0},
	} {
		var f Finding
		if m := dcTold([]byte(tt.text), salt, &f); m != tt.want || f.Client.String() != tt.client || f.TCPPort != tt.tcp {
			t.Errorf("%s: %d, client %q, port %d", tt.name, m, f.Client.String(), f.TCPPort)
		}
	}
}

// keyTo is the key to an NMDC lock, as hubs compute it.
func keyTo(lock string) string {
	key := ""
	for i := range lock {
		b := lock[i] ^ lock[(i+len(lock)-1)%len(lock)]
		if i == 0 {
			b ^= lock[len(lock)-2] ^ 5
		}
		switch b = b<<4 | b>>4; b {
		case 0, 5, 36, 96, 124, 126:
			key += fmt.Sprintf("/%%DCN%03d%%/", b)
		default:
			key += string([]byte{b})
		}
	}
	return key
}

// TestNMDCKey: the key to a lock is known again, also where bytes in it are written out.
func TestNMDCKey(t *testing.T) {
	const lock = "AAGBHKNOQR"
	if key := keyTo(lock); !nmdcKey([]byte(key), []byte(lock)) || !strings.Contains(key, "DCN000") || !strings.Contains(key, "DCN096") {
		t.Errorf("%q is not known", key)
	}
	if key := keyTo("EXTENDEDPROTOCOLABCABCABCABCABCABC"); key[:6] != "\x14\xd1\xc0\x11\xb0\xa0" {
		t.Errorf("%q", key)
	}
	for salt := range uint32(1000) {
		var name [dcToken]byte
		dcTokenOf(&name, salt)
		key := []byte(keyTo(string(name[:])))
		if !nmdcKey(key, name[:]) || bytes.ContainsAny(key, "|\n") {
			t.Errorf("%s: %q", name, key)
		}
		if nmdcKey([]byte(keyTo("ABCDEFGH")), name[:]) {
			t.Errorf("%s: the key to another lock", name)
		}
	}
}

// adcsCert is what EiskaltDC++ 2.4.2 answered at its port for TLS: its hello, and the beginning of
// its certificate.
const adcsCert = "160303004a0200004603030d934dad6f786ea11c0883f1b4d8c3e18a83b72347ed5f23444f574e4752440120" +
	"45c6c61624ae2cc3b55980480" + "07f9076f5ec24ead8d8cb52bab0636c161ea06ec02f0016030302e90b0002e50002e20002df308202db308201c3" +
	"020452" + "2f8cf7300d06092a864886f70d01010505003032" + "3130302e0603550403" + "0c27"

// TestAdcsQuestion: the golden is a whole hello of TLS 1.2, and only a certificate that bears a
// client's ID answers it.
func TestAdcsQuestion(t *testing.T) {
	var b [MaxAnswer]byte
	q := b[:adcsQuestion(b[:], nil, 0)]
	want := "160301004f0100004b0303" + hex.EncodeToString([]byte("CSUP ADBASE ADTIGR CSUP ADBASE A")) +
		"000008c02fc030c02bc02c0100001a000a00060004001d0017000d000c000a04010804040302010601"
	if got := hex.EncodeToString(q); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n := len(q); int(be16(q[3:])) != n-5 || int(be16(q[7:])) != n-9 || int(be16(q[n-28:])) != 26 {
		t.Errorf("the lengths in %d bytes are %d, %d and %d", n, be16(q[3:]), be16(q[7:]), be16(q[n-28:]))
	}
	const id = "JC6EO4LTX6ZYQMGFFHRDP3FLMDP4T3DKAESBPLY"
	cert := string(unhex(t, adcsCert))
	for _, tt := range []struct {
		name, b string
		want    bool
	}{
		{"EiskaltDC++", cert + id, true},
		{"the same with more", cert + id + "0\x1e\x17", true},
		{"cut short", cert + id[:38], false},
		{"another length", cert[:len(cert)-1] + "\x26" + id, false},
		{"a name", cert + "www.example.net.www.example.net.www.exa", false},
		{"small letters", cert + strings.ToLower(id), false},
		{"no TLS", "HTTP/1.1 200 OK\r\n\r\n\x06\x03U\x04\x03\x0c\x27" + id, false},
		{"the name at once", "\x06\x03U\x04\x03\x0c\x27" + id, false},
		{"our own question", string(q), false},
		{"an alert", "\x15\x03\x03\x00\x02\x02\x28", false},
		{"nothing", "", false},
	} {
		if got := adcsAnswered([]byte(tt.b), nil); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestDirectConnectAllocates(t *testing.T) {
	texts := [][]byte{[]byte(adcHello), []byte(adcEiskalt), []byte(adcResult), []byte(nmdcResultB), []byte("$MyNick bob|$Lock a Pk=b|"), unhex(t, adcTLS)}
	var f Finding
	var b [MaxAnswer]byte
	if n := testing.AllocsPerRun(100, func() {
		for _, x := range texts {
			f.Reset()
			dcFirst(x, true, &f)
			dcNext(x, true, &f)
			dcDatagram(x, &f)
			dcWelcome(b[:], x, 1)
			dcInvite(b[:], x, 1)
			dcTold(x, 1, &f)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDirectConnect(f *testing.F) {
	for _, s := range []string{
		adcHello, adcEiskalt, adcNcdc, adcResult, nmdcResultB, "$MyNick bob|$Lock a Pk=b|",
		"$Supports a|$Key b|$ValidateNick bob|$MyINFO $ALL a <++ V:1,M:A>$|", "CSUP ADBASE\nCINF IDVH5KV3HOHPXF3K4AK2NZVZOSRZKV3OO4OBQCMHI\n",
		"$Lock EXTENDEDPROTOCOL Pk=DCPLUSPLUS0.868ABCABC|", "DCTM AAAB AAAC ADC/1.0 6412 1234567890\n", "$ConnectToMe anna 203.0.113.9:6412|", "$Key /%DCN096%/|$ValidateNick bob|",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var x Finding
		if m := dcFirst(b, true, &x); m == Yes && (x.Length > len(b) || b[0] != tlsHandshake && x.Length < 1) {
			t.Errorf("length %d of %d", x.Length, len(b))
		}
		x.Reset()
		if m := dcNext(b, true, &x); m == Yes && (x.Length < 1 || x.Length > len(b)) {
			t.Errorf("next: length %d of %d", x.Length, len(b))
		}
		dcDatagram(b, &x)
		dcTold(b, 7, &x)
		adcAnswered(b, nil)
		adcsAnswered(b, nil)
		var out [MaxAnswer]byte
		n := dcWelcome(out[:], b, 7)
		if n > 0 && bytes.Contains(b, out[:n]) {
			t.Error("the answer was in the question")
		}
		n = dcInvite(out[:], b, 7)
		if x.Reset(); dcTold(out[:n], 7, &x) == Yes {
			t.Error("what is said in the hub's name answers itself")
		}
	})
}
