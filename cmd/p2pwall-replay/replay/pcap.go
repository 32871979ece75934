// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
)

// The first four bytes of a pcap file, in its own byte order.
const (
	pcapMicroseconds = 0xa1b2c3d4
	pcapNanoseconds  = 0xa1b23c4d
)

// longestRecord bounds what a damaged length can make the reader allocate. The
// packets of a machine that leaves the cutting to its network card are the longest.
const longestRecord = 1 << 20

// pcapFile reads the older format of capture files. Everybody writes version 2.4
// today; others read nothing else, but older files are still about.
type pcapFile struct {
	in    io.Reader
	order binary.ByteOrder
	unit  time.Duration // of the fraction of a second
	link  uint32
	// swapped says that the two lengths of a record stand the other way round, as
	// before version 2.3; in version 2.3 itself they may.
	swapped, mayBeSwapped bool

	head [16]byte
	data []byte
}

var errNoPcap = errors.New("neither pcap nor pcapng")

// newPcapFile reads the head of the file.
func newPcapFile(in io.Reader) (*pcapFile, error) {
	var h [24]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return nil, errNoPcap
	}
	p := &pcapFile{in: in, order: binary.LittleEndian}
	magic := binary.LittleEndian.Uint32(h[:])
	if magic != pcapMicroseconds && magic != pcapNanoseconds {
		p.order = binary.BigEndian
		magic = binary.BigEndian.Uint32(h[:])
	}
	switch magic {
	case pcapMicroseconds:
		p.unit = time.Microsecond
	case pcapNanoseconds:
		p.unit = time.Nanosecond
	default:
		return nil, errNoPcap
	}
	major, minor := p.order.Uint16(h[4:]), p.order.Uint16(h[6:])
	if major != 2 || minor > 4 {
		return nil, fmt.Errorf("version %d.%d of pcap is not supported", major, minor)
	}
	p.swapped, p.mayBeSwapped = minor < 3, minor == 3
	p.link = p.order.Uint32(h[20:])
	return p, nil
}

// next returns the next packet. The bytes are valid until the next call.
func (p *pcapFile) next() (data []byte, info gopacket.CaptureInfo, err error) {
	if _, err = io.ReadFull(p.in, p.head[:]); err != nil {
		return nil, info, err
	}
	seconds, fraction := p.order.Uint32(p.head[:]), p.order.Uint32(p.head[4:])
	captured, sent := p.order.Uint32(p.head[8:]), p.order.Uint32(p.head[12:])
	if p.swapped || p.mayBeSwapped && captured > sent {
		captured, sent = sent, captured
	}
	if captured > longestRecord {
		return nil, info, fmt.Errorf("a packet of %d bytes", captured)
	}
	if int(captured) > len(p.data) {
		p.data = make([]byte, captured)
	}
	data = p.data[:captured]
	if _, err = io.ReadFull(p.in, data); err != nil {
		return nil, info, io.ErrUnexpectedEOF
	}
	// More may be captured than was sent: some writers fill frames up.
	info.Timestamp = time.Unix(int64(seconds), int64(fraction)*int64(p.unit)).UTC()
	info.CaptureLength, info.Length = int(captured), int(sent)
	return data, info, nil
}
