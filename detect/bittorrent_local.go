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
