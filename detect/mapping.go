// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// Mapping is a port that a LAN host asks the router to open: where a client
// listens, if it is one. By itself it proves nothing.
type Mapping struct {
	Port uint16
	TCP  bool
	// Description is what UPnP was told about it; it points into the
	// request.
	Description []byte
}

// The ports of the router at which port mappings are asked for.
const (
	NATPMPPort = 5351 // by UDP; PCP too
	UPnPPort   = 5000 // by TCP; miniupnpd's
)

// MappingRequest reads what a LAN host sent to the port of the router, by TCP if tcp.
func MappingRequest(b []byte, port uint16, tcp bool) (m Mapping, ok bool) {
	switch {
	case !tcp && port == NATPMPPort:
		return PortMapping(b)
	case tcp && port == UPnPPort:
		return PortMappingUPnP(b)
	}
	return m, false
}

// PortMapping reads a mapping request by NAT-PMP (RFC 6886) or PCP (RFC 6887),
// sent to NATPMPPort of the router.
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
