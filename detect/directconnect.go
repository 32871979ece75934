// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// DirectConnect is the hub network of DC++, EiskaltDC++, AirDC++, ncdc and MLDonkey. It
// has an older protocol, NMDC, and a newer one, ADC. Sources: the descriptions of NMDC
// and of ADC 1.0 at dcbase.org, the programs' documents about TLS, and captures of
// EiskaltDC++ 2.4.2, ncdc 1.23.1 and MLDonkey 3.2.1. Both protocols are text: commands of
// NMDC end with "|", those of ADC with a line feed.
//
// A hub connects a client to another client. A connection between clients begins in the
// same way as one to a hub, plain or within TLS.
var DirectConnect = Protocol{
	Name:     "directconnect",
	Title:    "Direct Connect",
	Programs: "DC++, EiskaltDC++, AirDC++, ncdc",
	Datagram: dcDatagram,
	First:    dcFirst,
	Begins:   "$HCBDF", // NMDC, ADC
	TLS:      dcTLS,
	Next:     dcNext,
	Login:    &dcLogin,
	Probes: []Probe{
		{Name: "adc", TCP: true, Build: adcQuestion, Answered: adcAnswered},
		{Name: "adcs", TCP: true, Build: adcsQuestion, Answered: adcsAnswered},
	},
	Sift: true,
	Mode: ModeBlock,
	// Where most hubs of NMDC and of ADC are.
	Servers: []uint16{411, 1511},
	// The hosts of the hub lists that the programs are shipped with.
	Names: []string{
		"te-home.net", "www.te-home.net", "dchublist.org", "dchublist.biz", "dchublist.ru",
		"dchublist.com", "www.hublista.hu",
	},
}

const (
	dcNickMost = 64 // bytes
	// dcFeature is the length of one feature that a client announces, with the blank
	// before it: " ADBASE".
	dcFeature = 7
	adcIDSize = 39 // a client ID of 24 bytes in base 32
	adcSID    = 4  // a session ID in base 32, by which a hub names a client
)

// dcFirst recognises the first message of a client to a hub or to another client,
// whichever side opened the connection.
func dcFirst(b []byte, outbound bool, f *Finding) Match {
	if !outbound || len(b) == 0 {
		return No
	}
	m := No
	switch b[0] {
	case '$':
		m = nmdcFirst(b, f)
	case 'H', 'C':
		m = adcFirst(b, f)
	case 'B', 'D', 'F':
		m = adcLater(b, f)
	}
	if m == Yes {
		f.Reason, f.Conduct = ReasonHello, true
	}
	return m
}

// nmdcFirst matches "$MyNick nick|$Lock text Pk=program|" between clients, and the reply
// to a hub's "$Lock": "$Supports words|$Key bytes|$ValidateNick nick|". Old clients leave
// out "$Supports".
func nmdcFirst(b []byte, f *Finding) Match {
	const myNick, lock, supports, key = "$MyNick ", "$Lock ", "$Supports ", "$Key "
	if m := hasPrefix(b, []byte(myNick)); m != No {
		if m == More {
			return More
		}
		n, m := nmdcNick(b[len(myNick):])
		if m != Yes {
			return m
		}
		f.Length = len(myNick) + n + 1
		return hasPrefix(b[f.Length:], []byte(lock))
	}
	if m := nmdcInSession(b, f); m == Yes || m == More && len(b) > 1 {
		return m
	}
	rest := b
	if m := hasPrefix(b, []byte(supports)); m != No {
		if m == More {
			return More
		}
		i := len(supports)
		for i < len(b) && b[i] != '|' {
			if !isAlnum(b[i]) && b[i] != ' ' && b[i] != '_' {
				return No
			}
			i++
		}
		if i == len(b) {
			return More
		}
		f.Length = i + 1
		rest = b[i+1:]
	}
	m := hasPrefix(rest, []byte(key))
	if m != Yes {
		return m
	}
	if f.Length == 0 {
		f.Length = 1
	}
	// The key may be long. If the nick does not fit, the first bytes of the key are
	// enough.
	if nmdcValidated(rest) != nil || len(b) >= StreamBuffer && f.Length > 1 {
		return Yes
	}
	return More
}

// nmdcNick returns the length of the nick at the start of b, up to its "|".
func nmdcNick(b []byte) (int, Match) {
	for i, c := range b {
		switch {
		case c == '|' && i > 0:
			return i, Yes
		case c <= ' ', c == '|', c == '$', i == dcNickMost:
			return 0, No
		}
	}
	return 0, More
}

// nmdcValidated returns the nick in the command "$ValidateNick nick|", or nil.
func nmdcValidated(b []byte) []byte {
	const validate = "$ValidateNick "
	i := bytes.Index(b, []byte(validate))
	if i < 0 || i > 0 && b[i-1] != '|' {
		return nil
	}
	b = b[i+len(validate):]
	if n, m := nmdcNick(b); m == Yes {
		return b[:n]
	}
	return nil
}

// adcFirst matches "HSUP ADBASE ADTIGR ...\n" to a hub, and "CSUP ..." to another client.
func adcFirst(b []byte, f *Finding) Match {
	want := []byte("HSUP")
	want[0] = b[0]
	if m := hasPrefix(b, want); m != Yes {
		if file := adcFile(b, f); m == No {
			return file
		}
		return m
	}
	base := false
	for i := len(want); ; i += dcFeature {
		x := b[i:]
		if len(x) > 0 && x[0] == '\n' && base {
			f.Length = i + 1
			return Yes
		}
		m := hasPrefix(x, []byte(" AD"))
		if m != Yes {
			return m
		}
		for _, c := range x[3:min(dcFeature, len(x))] {
			if c < '0' || c > 'Z' || c > '9' && c < 'A' {
				return No
			}
		}
		if len(x) < dcFeature {
			return More
		}
		base = base || string(x[3:6]) == "BAS" // BASE, and its predecessor BAS0
	}
}

// nmdcLater are commands from the middle of a session, for sessions that began before the
// engine did. has is a character that must follow somewhere in the command.
var nmdcLater = [...]struct {
	word string
	has  byte
}{
	{"$MyINFO $ALL ", '$'},
	{"$Search ", '?'},
	{"$ConnectToMe ", ':'},
	{"$RevConnectToMe ", ' '},
	{"$ADCGET file ", ' '},
	{"$ADCSND file ", ' '},
}

// nmdcInSession matches one complete command of nmdcLater.
func nmdcInSession(b []byte, f *Finding) Match {
	found := No
	for i := range nmdcLater {
		x := &nmdcLater[i]
		m := hasPrefix(b, []byte(x.word))
		if m == More {
			found = More
		}
		if m != Yes {
			continue
		}
		rest := b[len(x.word):]
		end := bytes.IndexByte(rest, '|')
		if end < 0 {
			return More
		}
		if bytes.IndexByte(rest[:end], x.has) < 0 {
			return No
		}
		f.Length = len(x.word) + end + 1
		dcTell(b[:f.Length-1], f)
		return Yes
	}
	return found
}

// adcLater matches ADC lines from the middle of a session with a hub: to all clients (B),
// to one client (D) or to clients with certain features (F). A session ID follows. A
// search, an invitation or the client's own data is enough. Chat is not.
func adcLater(b []byte, f *Finding) Match {
	const head = 4 + 1 + adcSID + 1
	for _, word := range [...]string{"BINF ", "BSCH ", "FSCH ", "DCTM ", "DRCM "} {
		m := hasPrefix(b, []byte(word))
		if m == No {
			continue
		}
		end := bytes.IndexByte(b, '\n')
		if m == More || end < 0 {
			return More
		}
		if end < head+2 || !isBase32(b[5:5+adcSID]) || b[head-1] != ' ' {
			return No
		}
		f.Length = end + 1
		dcTell(b[:end], f)
		return Yes
	}
	return No
}

// adcFile matches a client's request for a file or its hash tree, and the answer that
// sends a file.
func adcFile(b []byte, f *Finding) Match {
	for _, word := range [...]string{"CGET file TTH/", "CSND file TTH/", "CGET tthl TTH/"} {
		m := hasPrefix(b, []byte(word))
		if m == No {
			continue
		}
		n := len(word) + adcIDSize
		if m == More || len(b) <= n {
			return More
		}
		if !isBase32(b[len(word):n]) || b[n] != ' ' {
			return No
		}
		f.Length = n + 1
		if end := bytes.IndexByte(b, '\n'); end >= 0 {
			f.Length = end + 1
		}
		return Yes
	}
	return No
}

// dcTLS recognises a connection that asks for one of the two protocols by name (RFC
// 7301). A web page cannot make a browser ask for these names.
func dcTLS(_, names []byte) bool {
	for len(names) > 0 {
		n := 1 + int(names[0])
		if n > len(names) {
			return false
		}
		switch string(names[1:n]) {
		case "adc", "nmdc":
			return true
		}
		names = names[n:]
	}
	return false
}

// dcNext reads what a client says about itself: to a hub its name, its program and its
// ports, to another client its program. If a line or command is incomplete, it asks for
// more.
func dcNext(b []byte, outbound bool, f *Finding) Match {
	if !outbound || len(b) == 0 {
		return No
	}
	end := byte('|')
	if b[0] >= 'A' && b[0] <= 'Z' {
		end = '\n'
	} else if b[0] != '$' {
		return No
	}
	n := bytes.IndexByte(b, end)
	if n < 0 {
		return More
	}
	f.Length, f.Reason = n+1, ReasonHello
	dcTell(b[:n], f)
	return Yes
}

// dcTell enters in f what the command b tells about its sender. b comes without its end.
func dcTell(b []byte, f *Finding) {
	switch {
	case hasPrefix(b, []byte("$Lock ")) == Yes:
		if i := bytes.Index(b, []byte(" Pk=")); i > 0 {
			nmdcProgram(b[i+4:], f)
		}
	case hasPrefix(b, []byte("$MyINFO $ALL ")) == Yes:
		nmdcTag(b, f)
	case hasPrefix(b, []byte("$ConnectToMe ")) == Yes:
		if i := bytes.LastIndexByte(b, ':'); i > 0 {
			f.TCPPort = leadingPort(b[i+1:])
		}
	case hasPrefix(b, []byte("BINF ")) == Yes:
		adcInfo(b, f)
	case hasPrefix(b, []byte("DCTM ")) == Yes:
		adcConnect(b, f)
	}
}

// nmdcProgram enters the program's name and version, which follow "Pk=". After them may
// come the hub's address, or letters without a meaning.
func nmdcProgram(b []byte, f *Finding) {
	for _, end := range [...]string{"Ref=", "ABCABC"} {
		if i := bytes.Index(b, []byte(end)); i >= 0 {
			b = b[:i]
		}
	}
	if len(b) > 0 {
		f.Client.Set(b)
	}
}

// nmdcTag enters the name from the tag "<++ V:0.75,M:A,H:1/0/0,S:2>" of a description.
func nmdcTag(b []byte, f *Finding) {
	i := bytes.Index(b, []byte(" V:"))
	if i < 0 {
		return
	}
	j := bytes.LastIndexByte(b[:i], '<')
	if j < 0 {
		return
	}
	version, _, _ := bytes.Cut(b[i+3:], []byte{','})
	version, _, _ = bytes.Cut(version, []byte{'>'})
	dcName(b[j+1:i], version, f)
}

// dcName enters a program's name and version in f. ADC writes a blank as "\s".
func dcName(name, version []byte, f *Finding) {
	if string(name) == "++" {
		name = []byte("DC++")
	}
	f.Client.n = 0
	if i := bytes.Index(name, []byte(`\s`)); i >= 0 {
		f.Client.add(name[:i])
		f.Client.add([]byte{' '})
		name = name[i+2:]
	}
	f.Client.add(name)
	if len(version) > 0 {
		f.Client.add([]byte{' '})
		f.Client.add(version)
	}
}

// adcInfo reads "BINF session parameters": AP is the program, VE its version, U4 and U6
// its UDP ports. Older clients write program and version into VE.
func adcInfo(b []byte, f *Finding) {
	var name, version []byte
	for len(b) > 0 {
		n := bytes.IndexByte(b, ' ')
		if n < 0 {
			n = len(b)
		}
		if n > 2 {
			switch word, value := string(b[:2]), b[2:n]; word {
			case "AP":
				name = value
			case "VE":
				version = value
			case "U4", "U6":
				if p := decimalPort(value); p != 0 {
					f.UDPPort = p
				}
			}
		}
		b = b[min(n+1, len(b)):]
	}
	switch {
	case name != nil:
		dcName(name, version, f)
	case version != nil:
		dcName(version, nil, f)
	}
}

// adcConnect reads "DCTM session session protocol port token". At this port, the sender
// waits for another client.
func adcConnect(b []byte, f *Finding) {
	for range 4 {
		i := bytes.IndexByte(b, ' ')
		if i < 0 {
			return
		}
		b = b[i+1:]
	}
	f.TCPPort = leadingPort(b)
}

// leadingPort reads the port at the start of b. It returns 0 if there is none.
func leadingPort(b []byte) uint16 {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return decimalPort(b[:n])
}

// dcDatagram matches a client's direct answer to a search: "$SR nick
// path\x05open/slots\x05name (address)|" or "URES identity parameters\n". ADC has more
// commands of that form.
func dcDatagram(b []byte, f *Finding) Kind {
	if len(b) > 0 && (b[0] == '$' && nmdcResult(b) || b[0] == 'U' && adcDatagram(b)) {
		f.Reason, f.Conduct = ReasonPong, true
		return Reply
	}
	return None
}

func nmdcResult(b []byte) bool {
	const head, tail = "$SR ", ")|"
	n := len(b) - len(tail)
	if n < 16 || hasPrefix(b, []byte(head)) != Yes || string(b[n:]) != tail {
		return false
	}
	// The last two parts are the slots and the hub. The hub's address stands in brackets.
	hub := bytes.LastIndexByte(b, 5)
	if hub < 0 || bytes.IndexByte(b[hub:], '(') < 0 {
		return false
	}
	slots := b[:hub]
	i := len(slots)
	for i > 0 && slots[i-1] >= '0' && slots[i-1] <= '9' {
		i--
	}
	return i > 1 && i < len(slots) && slots[i-1] == '/' && slots[i-2] >= '0' && slots[i-2] <= '9'
}

func adcDatagram(b []byte) bool {
	const head = len("URES ")
	if len(b) < head+adcIDSize+1 || b[0] != 'U' || b[4] != ' ' || b[len(b)-1] != '\n' {
		return false
	}
	for _, c := range b[1:4] {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	end := b[head+adcIDSize]
	return isBase32(b[head:head+adcIDSize]) && (end == ' ' || end == '\n')
}

// isBase32 reports whether b consists of base 32 digits (RFC 4648).
func isBase32(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
