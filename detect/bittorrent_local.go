// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// LocalSearch reads an announcement of local service discovery (BEP 14), which is
// multicast in the LAN. It returns the port at which the sender listens.
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

const localSearchPort = 6771

func btLocal(b []byte, port uint16, f *Finding) bool {
	listen, ok := LocalSearch(b)
	if !ok || port != localSearchPort {
		return false
	}
	f.TCPPort, f.UDPPort, f.Reason = listen, listen, ReasonLocal
	return true
}
