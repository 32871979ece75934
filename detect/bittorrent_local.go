// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// LocalSearch reads an announcement of local service discovery (BEP 14), which is
// multicast in the LAN, and returns the port its sender listens on.
func LocalSearch(b []byte) (port uint16, ok bool) {
	if hasPrefix(b, []byte("BT-SEARCH * HTTP/1.")) != Yes {
		return 0, false
	}
	hash := false
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			end = len(b)
		}
		if name, value, found := cutHeader(trimCR(b[:end])); found {
			switch {
			case equalFold(name, "port"):
				port = decimalPort(value)
			case equalFold(name, "infohash"):
				hash = hash || len(value) == 40
			}
		}
		b = b[min(end+1, len(b)):]
	}
	return port, hash && port != 0
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// decimalPort reads a port, 0 when b is none.
func decimalPort(b []byte) uint16 {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > 0xffff {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n > 0xffff {
		return 0
	}
	return uint16(n)
}

// Mapping is a port that a LAN host asks the router to open: where a client
// listens, if it is one. By itself it proves nothing.
type Mapping struct {
	Port uint16
	TCP  bool
	// Description is what UPnP was told about it; it points into the
	// request.
	Description []byte
}

// PortMapping reads a mapping request by NAT-PMP (RFC 6886) or PCP (RFC 6887),
// sent to port 5351 of the router.
func PortMapping(b []byte) (m Mapping, ok bool) {
	switch {
	case len(b) == 12 && b[0] == 0 && (b[1] == 1 || b[1] == 2):
		m.Port, m.TCP = be16(b[4:]), b[1] == 2
	case len(b) >= 60 && b[0] == 2 && b[1] == 1 && (b[36] == 6 || b[36] == 17):
		m.Port, m.TCP = be16(b[40:]), b[36] == 6
	}
	return m, m.Port != 0
}

// PortMappingUPnP reads the body of a UPnP AddPortMapping request.
func PortMappingUPnP(body []byte) (m Mapping, ok bool) {
	if indexOf(body, "AddPortMapping") < 0 {
		return m, false
	}
	m.Port = decimalPort(between(body, "<NewInternalPort>"))
	m.TCP = equalFold(between(body, "<NewProtocol>"), "tcp")
	m.Description = between(body, "<NewPortMappingDescription>")
	return m, m.Port != 0
}

// between returns what follows tag up to the next '<', or nil.
func between(b []byte, tag string) []byte {
	i := indexOf(b, tag)
	if i < 0 {
		return nil
	}
	b = b[i+len(tag):]
	if end := bytes.IndexByte(b, '<'); end >= 0 {
		return trim(b[:end])
	}
	return nil
}

func indexOf(b []byte, s string) int {
	for i := 0; i+len(s) <= len(b); i++ {
		if b[i] == s[0] && hasPrefix(b[i:], []byte(s)) == Yes {
			return i
		}
	}
	return -1
}

// The ports that LAN hosts look for others and ask for port mappings at.
const (
	localSearchPort = 6771
	natPMPPort      = 5351 // PCP too
	upnpPort        = 5000 // miniupnpd's
)

func btLocal(b []byte, port uint16, tcp bool, f *Finding) Kind {
	switch {
	case !tcp && port == localSearchPort:
		if listen, ok := LocalSearch(b); ok {
			f.TCPPort, f.Reason = listen, ReasonLocal
			return Query
		}
	case !tcp && port == natPMPPort:
		if m, ok := PortMapping(b); ok {
			f.TCPPort = m.Port
			return Weak
		}
	case tcp && port == upnpPort:
		if m, ok := PortMappingUPnP(b); ok {
			f.TCPPort = m.Port
			return Weak
		}
	}
	return None
}
