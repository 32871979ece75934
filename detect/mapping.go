// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// Mapping is a port that a LAN host asks the router to open. If the host is a client, it
// listens there. By itself, a mapping proves nothing.
type Mapping struct {
	Port uint16
	TCP  bool
	// Description is the description in a UPnP request. It points into the request.
	Description []byte
}

// The ports of the router that take requests for port mappings.
const (
	NATPMPPort = 5351 // UDP; PCP too
	UPnPPort   = 5000 // TCP; miniupnpd's
)

// MappingRequest reads a request b that a LAN host sent to the port of the router. tcp
// says that it came by TCP.
func MappingRequest(b []byte, port uint16, tcp bool) (m Mapping, ok bool) {
	switch {
	case !tcp && port == NATPMPPort:
		return PortMapping(b)
	case tcp && port == UPnPPort:
		return PortMappingUPnP(b)
	}
	return m, false
}

// PortMapping reads a request by NAT-PMP (RFC 6886) or PCP (RFC 6887), sent to
// NATPMPPort.
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

// between returns the text from tag to the next '<', or nil.
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
