// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// knownTexts are how connections of known kinds begin, in lower case; which side
// says it does not matter. They are longer than chance is likely to meet: what is
// encrypted from its first byte on looks like every beginning now and then.
var knownTexts = [...]string{
	"ssh-",
	"220 ", "220-", "ehlo ", "helo ", "lhlo ", // SMTP, FTP
	"+ok ", "+ok\r", "* ok", "* preauth", // POP3, IMAP
	"nick ", "user ", "pass ", "cap ls", "cap req", // IRC, FTP, POP3
	"<?xml", "<stream:stream", // XMPP
	"rtsp/1.", "describe rtsp:", "setup rtsp:", "announce rtsp:", "play rtsp:",
	"rfb 00",             // VNC
	"pri * http/2.0\r\n", // HTTP/2 without TLS
}

// knownFirst reports whether b begins a connection of a known kind; port is that
// of the host outside. TLS and HTTP/1 are not its business.
func knownFirst(b []byte, port uint16) Match {
	open := false
	for _, t := range knownTexts {
		switch prefixFold(b, t) {
		case Yes:
			return Yes
		case More:
			open = true
		}
	}
	for _, first := range knownForms {
		switch first(b) {
		case Yes:
			return Yes
		case More:
			open = true
		}
	}
	if port == dnsPort {
		switch dnsFirst(b) {
		case Yes:
			return Yes
		case More:
			open = true
		}
	}
	if open {
		return More
	}
	return No
}

var knownForms = [...]func(b []byte) Match{sipFirst, rdpFirst, smbFirst, mqttFirst, stunFirst}

// prefixFold is hasPrefix without regard to case; want is in lower case.
func prefixFold(b []byte, want string) Match {
	n := min(len(b), len(want))
	for i := range n {
		if lower(b[i]) != want[i] {
			return No
		}
	}
	if n < len(want) {
		return More
	}
	return Yes
}

// rdpFirst looks for the connection request of a remote desktop: TPKT (RFC 1006)
// and X.224.
func rdpFirst(b []byte) Match {
	if m := hasPrefix(b, []byte{3, 0}); m != Yes {
		return m
	}
	if len(b) < 6 {
		return More
	}
	n := be16(b[2:])
	return match(n >= 11 && n <= 255+5 && uint16(b[4]) == n-5 && b[5] == 0xe0)
}

// smbFirst looks for a message of SMB over TCP: its length, and one of the signs
// of version 1, 2, and 3 encrypted or compressed.
func smbFirst(b []byte) Match {
	if m := hasPrefix(b, []byte{0}); m != Yes {
		return m
	}
	if len(b) < 8 {
		return More
	}
	return match(b[1] <= 1 && b[4] >= 0xfc && string(b[5:8]) == "SMB")
}

// mqttFirst looks for CONNECT: its number, the length in one to four bytes, and
// the protocol's name.
func mqttFirst(b []byte) Match {
	if m := hasPrefix(b, []byte{0x10}); m != Yes {
		return m
	}
	i := 1
	for ; i < len(b); i++ {
		if b[i]&0x80 == 0 {
			if m := hasPrefix(b[i+1:], []byte("\x00\x04MQTT")); m != No {
				return m
			}
			return hasPrefix(b[i+1:], []byte("\x00\x06MQIsdp"))
		}
		if i == 4 {
			return No
		}
	}
	return More
}

// stunFirst looks for STUN and TURN over TCP, with a length before it (RFC 4571)
// or without.
func stunFirst(b []byte) Match {
	const frame = 2
	// Types have a high byte of 0 or 1, and the length is below 512.
	if b[0] > 1 {
		return No
	}
	if len(b) < frame+8 {
		return More
	}
	return match(isSTUN(b) || isSTUN(b[frame:]) && int(be16(b)) == stunHeader+int(be16(b[frame+2:])))
}

// dnsFirst looks for a query or a response over TCP: its length, and the header.
func dnsFirst(b []byte) Match {
	const frame = 2
	if len(b) < frame+dnsHeader {
		return More
	}
	return match(be16(b) > dnsHeader && (dnsHead(b[frame:], false) || dnsHead(b[frame:], true)))
}
