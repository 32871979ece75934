// SPDX-License-Identifier: GPL-2.0-or-later

package detect

const (
	// maxDNSAddrs is how many addresses of an answer are read.
	maxDNSAddrs = 16
	// maxDNSRecords is how many records of an answer are read.
	maxDNSRecords = 64
)

// The types of records that contain addresses.
const (
	dnsA     = 1
	dnsAAAA  = 28
	dnsHTTPS = 65
)

// DNSReply is a name server's answer. The caller keeps one, so that nothing is allocated.
type DNSReply struct {
	_ [0]func() // not comparable: code to compare it costs flash
	// Name[:N] is the queried name, in lower case, without a dot at its end.
	Name [255]byte
	N    int
	// Addrs[:NAddrs] are its addresses, IPv4 in its mapped form.
	Addrs  [maxDNSAddrs][16]byte
	NAddrs int
	// TTL is the shortest lifetime among them, in seconds.
	TTL uint32
}

// Parse reads the answer b of a name server to a question for addresses. It takes the
// addresses of all records in the answer: they belong to the name, or to the name that it
// is an alias for. Parse reports whether b is such an answer, and complete.
func (r *DNSReply) Parse(b []byte) bool {
	r.N, r.NAddrs, r.TTL = 0, 0, 0
	const rcode = 0x000f
	if !dnsHead(b, true) || be16(b[2:])&rcode != 0 {
		return false
	}
	at := dnsQuestion(b)
	if at == 0 {
		return false
	}
	switch be16(b[at-4:]) {
	case dnsA, dnsAAAA, dnsHTTPS:
	default:
		return false
	}
	if !r.name(b[dnsHeader : at-4]) {
		return false
	}
	records := int(be16(b[6:]))
	if records > maxDNSRecords {
		return false
	}
	r.TTL = 1<<32 - 1
	for range records {
		if at = dnsSkipName(b, at); at == 0 || at+10 > len(b) {
			return false
		}
		kind, ttl, n := be16(b[at:]), be32(b[at+4:]), int(be16(b[at+8:]))
		at += 10
		if at+n > len(b) {
			return false
		}
		had := r.NAddrs
		content := b[at : at+n]
		at += n
		switch {
		case kind == dnsA && n == 4:
			r.add(content)
		case kind == dnsAAAA && n == 16:
			r.add(content)
		case kind == dnsHTTPS:
			r.hints(content)
		}
		if r.NAddrs > had {
			r.TTL = min(r.TTL, ttl)
		}
	}
	if r.NAddrs == 0 {
		r.TTL = 0
	}
	return true
}

// name writes the question's name, which is well-formed, as text.
func (r *DNSReply) name(b []byte) bool {
	for n := int(b[0]); n > 0; n = int(b[0]) {
		if r.N > 0 {
			r.Name[r.N] = '.'
			r.N++
		}
		for _, c := range b[1 : 1+n] {
			if c == '.' { // within a label, a dot would make a different name
				return false
			}
			r.Name[r.N] = lower(c)
			r.N++
		}
		b = b[1+n:]
	}
	return r.N > 0
}

// dnsSkipName returns the offset after the name at b[at:], or 0. A pointer ends the name.
// Its target does not matter here.
func dnsSkipName(b []byte, at int) int {
	for start := at; at < len(b) && at-start < dnsMaxName; {
		n := int(b[at])
		switch {
		case n == 0:
			return at + 1
		case n&0xc0 == 0xc0:
			return at + 2
		case n > 63:
			return 0
		}
		at += 1 + n
	}
	return 0
}

// add adds an address of 4 or 16 bytes.
func (r *DNSReply) add(b []byte) {
	if r.NAddrs == len(r.Addrs) {
		return
	}
	a := &r.Addrs[r.NAddrs]
	*a = [16]byte{10: 0xff, 11: 0xff}
	copy(a[16-len(b):], b)
	if len(b) == 16 && is4(a) { // not an IPv6 address
		return
	}
	r.NAddrs++
}

// hints adds the addresses in an HTTPS record (RFC 9460). After a priority and a name,
// the record has keys, lengths and values.
func (r *DNSReply) hints(b []byte) {
	const hint4, hint6 = 4, 6
	if len(b) < 3 {
		return
	}
	at := 2
	for b[at] != 0 { // this name cannot be compressed
		if at += 1 + int(b[at]); at >= len(b) {
			return
		}
	}
	for b = b[at+1:]; len(b) >= 4; {
		key, n := be16(b), int(be16(b[2:]))
		if b = b[4:]; n > len(b) {
			return
		}
		size := 0
		switch key {
		case hint4:
			size = 4
		case hint6:
			size = 16
		}
		for v := b[:n]; size > 0 && len(v) >= size; v = v[size:] {
			r.add(v[:size])
		}
		b = b[n:]
	}
}
