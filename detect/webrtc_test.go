// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

// Captured from pion/webrtc 4.2.26, node-datachannel 0.33.4 (libdatachannel, libjuice)
// and Chromium 156, each between two instances.
var (
	pionCheck     = unhexString("0001005c2112a442220980bc21f7f404204cf797000600216b45786b44615a514168564a7554726a3a6b6b6f725176416c6d6a4b6f415a786b00000080290008a4a57e953bf3117e002400046effffff000800142fc1cecd84745344589e4547ca7c456f8e9cfc5480280004d909f41c")
	pionHello     = unhexString("16fefd000000000000000000880100007c000000000000007cfefd6b0c921d19b393fd4ce4b5ec14b58ba8eaf931c277edca6e49df77ba33ec736200000010c02bc02fcca9cca8c00ac014c02cc03001000042000d001600140403050306030807080408050806040105010601ff01000100000a00080006001d00170018000b00020100000e000900060008000700010000170000")
	juiceCheck    = unhexString("000100502112a44239ae37a23f542b420c31cdff002400046e0fffff802900087f7980dbb884f3ca802200086c69626a7569636500060009534144753a3442787a00000000080014e6f1eb7dc99ecee674ee6027ec2948a296ca41958028000472b312fb")
	openSSLHello  = unhexString("16feff000000000000000000db010000cf00000000000000cffefdd2505366a76761bfa40f0030bf9baafe26e1fcd3de2d40cfe7c98a73eb90916700000048c02cc03000a3009fcca9cca8ccaac0afc0adc0a3c09fc05dc061c057c053c02bc02f00a2009ec0aec0acc0a2c09ec05cc060c056c052009dc0a1c09dc051009cc0a0c09cc05000ff0100005d000b000403000102000a00040002001700230000000e00090006000800070001000016000000170000000d0030002e040305030603080708080809080a080b080408050806040105010601030302030301020103020202040205020602")
	programData   = unhexString("17fefd000100000000000100840a1f8e7b74565687cff85158af04bb045c218e7581f1c5f9df3a221bb167d605ecb6453765bc8a3f2e52f1ea2718845e4576d5fbd6c5b6c15975a261c1ef857986cf1ba04b1a67b4323195355c2c7c03dfa778b45a0a1d0ab5b2377cef40bfeaf76f8c1610a8dd6179d0094969ec2e5ee13581191fffda91f0f2973e27b2c1aaf5d90fb6")
	chromiumCheck = unhexString("0001004c2112a44246416e5251714f583745795800060009566355733a4948726e000000c0570004000003e780290008af3738d82412b1c7002400046e001eff00080014f3b10eae21933a10b21d741275cc96b716a1b32b802800043193ad22")
)

// turn returns b within a TURN channel.
func turn(b string) string { return "\x40\x01\x00" + string([]byte{byte(len(b))}) + b }

// replaced returns s with the bytes from a position on replaced.
func replaced(s string, at int, with string) string { return s[:at] + with + s[at+len(with):] }

var webRTCTests = []struct {
	name, data string
	want       RTC
}{
	{"pion's check", pionCheck, RTCProgram},
	{"pion's check with USE-CANDIDATE", unhexString("000100602112a4420a39b7239a8033119fa2e64b000600216b6b6f725176416c6d6a4b6f415a786b3a6b45786b44615a514168564a7554726a00000000250000802a00083bee5f3dc995a592002400046effffff00080014c91f6ef233103598ac52a5e58d9e0bf3d4a1cd4d80280004e25de005"), RTCProgram},
	{"pion's answer", unhexString("0101002c2112a442220980bc21f7f404204cf797002000080001aec32b13a5430008001497ed24f164cedb9fb4b66e2a8e9dc2147717bb9a802800047654cef5"), RTCSTUN},
	{"pion's ClientHello", pionHello, RTCNone},
	{"pion's data", unhexString("17fefd000100000000000100400001000000000001ee6f89da768953c1ac817f19800c2720dc52682717c4f37b6d25d27f8851f2a08c61a951404f3f28a78ceebb30ddb06b6a4d228803a7d1d4"), RTCData},
	{"libjuice's check", juiceCheck, RTCProgram},
	{"libjuice's answer", unhexString("010100382112a44239ae37a23f542b420c31cdff00200008000181e22b13a543802200086c69626a756963650008001466915f80dfc3851fc89c2a421cc16a1345ccfb228028000475bf40ad"), RTCProgram},
	{"libdatachannel's ClientHello", openSSLHello, RTCHello},
	{"libdatachannel's data", programData, RTCData},
	{"Chromium's check", chromiumCheck, RTCCheck},
	{"Chromium's check with USE-CANDIDATE", unhexString("000100502112a442313469555741556b7a612f4b000600094948726e3a56635573000000c0570004000003e7802a00082148bae11e01945f00250000002400046e001eff000800145ef071ddeb130ac1ee30314244cddeee991b93af80280004345f26b8"), RTCCheck},
	{"Chromium's answer", unhexString("0101002c2112a44246416e5251714f5837457958002000080001ee312b13a543000800146000b46830d942530d7d078e71b14bd64aeef0ea802800047b570991"), RTCSTUN},
	{"a part of Chromium's ClientHello", unhexString("16feff000000000000000100fa0100058500000004970000ee86b3156a954e8cf1a222e406edac35b3b1792d69c348d36b64b21b9124ab61c1517cfbb361067fb2794d02b81d76e2705a6754dd98410eb7125c84e789b7ee7c4f72b086c858ee5c3a07c2bfbe5d1a28dbe8c1bb8bd04e15e2328e0d9c378a8227b56c57ef57cbc128c8b2a5febaf72acc9f1f4b2232386248001d00204c6b3ac2da14d085474242eacb26c25d99d7de82a3061722a38b9495a2366648000d00140012040308040401050308050501080606010201002d00020101002b000504fefcfefd000a000a000811ec001d00170018000b0002010000170000000e0009000600010008000700ff01000100"), RTCNone},
	{"Chromium's data by DTLS 1.3", unhexString("2fbba20023893e3c3cc6ecda2ad57b8bc41d2da32eeffdd704a4c48e767ca2cb6e7d4a7cc9c35b69"), RTCLikeData},

	// The same messages with one change each.
	{"a check of 16 characters that are not all letters", replaced(pionCheck, 43, "7"), RTCCheck},
	{"a check whose other side is pion", replaced(pionCheck, 40, ":abc:"), RTCCheck},
	{"pion's check as an indication", "\x00\x11" + pionCheck[2:], RTCSTUN},
	{"pion's check, one byte more", pionCheck + "\x00", RTCNone},
	{"pion's check, cut off", pionCheck[:len(pionCheck)-4], RTCNone},
	{"libjuice's check without its name", strings.Replace(juiceCheck, "libjuice", "xxxjuice", 1), RTCCheck},
	{"STUN with an attribute beyond its end", replaced(juiceCheck, 22, "\xff"), RTCNone},
	{"STUN of an older kind", replaced(juiceCheck, 4, "\x00"), RTCNone},
	{"a ClientHello of OpenSSL without SRTP", replaced(openSSLHello, 159, "\x00\x99"), RTCHello},
	{"a ClientHello of OpenSSL without encrypt_then_mac", replaced(openSSLHello, 172, "\x00\x99"), RTCNone},
	{"a ClientHello without either", replaced(replaced(openSSLHello, 172, "\x00\x99"), 159, "\x00\x99"), RTCHello},
	{"pion's ClientHello without SRTP", replaced(pionHello, 132, "\x00\x99"), RTCHello},
	{"a ClientHello that is a part", replaced(openSSLHello, 20, "\x01"), RTCNone},
	{"a ClientHello cut off", openSSLHello[:len(openSSLHello)-1], RTCNone},
	{"a ClientHello of another length", replaced(openSSLHello, 16, "\xce"), RTCNone},
	{"data that is not encrypted", replaced(programData, 3, "\x00\x00"), RTCNone},
	{"data of another version", replaced(programData, 2, "\xfa"), RTCNone},
	{"data cut off", programData[:len(programData)-1], RTCNone},
	{"data through TURN", turn(programData), RTCData},
	{"a ClientHello through TURN", turn(openSSLHello), RTCHello},
	{"voice through TURN", turn("\x80\x6f" + strings.Repeat("x", 60)), RTCNone},
	{"voice", "\x80\x6f" + strings.Repeat("x", 60), RTCNone},
	{"uTP's SYN", unhexString("4100fdde32e37e700000000000040000f9ce0000"), RTCNone},
	{"a query of the DHT", "d1:ad2:id20:" + id20 + "e1:q4:ping1:t2:aa1:y1:qe", RTCNone},
	{"NTP", "\x23" + strings.Repeat("\x00", 47), RTCLikeData},
	{"nothing", "", RTCNone},
}

func TestWebRTC(t *testing.T) {
	for _, tt := range webRTCTests {
		if got := WebRTC([]byte(tt.data)); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestWebRTCAtEveryLength: a message that is cut off is not recognised.
func TestWebRTCAtEveryLength(t *testing.T) {
	for _, tt := range webRTCTests {
		for n := range len(tt.data) {
			if got := WebRTC([]byte(tt.data[:n])); got != RTCNone && tt.want != RTCNone && tt.want != RTCLikeData {
				t.Errorf("%s: the first %d bytes: %d", tt.name, n, got)
			}
		}
	}
}

func TestWebRTCAllocates(t *testing.T) {
	for _, tt := range webRTCTests {
		b := []byte(tt.data)
		if n := testing.AllocsPerRun(100, func() { WebRTC(b); Hello(b) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func FuzzWebRTC(f *testing.F) {
	for _, tt := range webRTCTests {
		f.Add([]byte(tt.data))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := WebRTC(b); got > RTCLikeData {
			t.Errorf("%d", got)
		}
	})
}
