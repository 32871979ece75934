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

// The first four bytes of a pcap file, in the file's byte order.
const (
	pcapMicroseconds = 0xa1b2c3d4
	pcapNanoseconds  = 0xa1b23c4d
)

// longestRecord limits what the reader allocates if a length is damaged. The longest real
// packets come from machines with segmentation offload.
const longestRecord = 1 << 20

// pcapFile reads pcap, the older format of capture files. Programs write version 2.4
// today, and many read no other. There are still files of older versions.
type pcapFile struct {
	in    io.Reader
	order binary.ByteOrder
	unit  time.Duration // of the fraction of a second
	link  uint32
	// swapped says that the two lengths of a record are in the other order, as before
	// version 2.3. In version 2.3 both orders occur: mayBeSwapped.
	swapped, mayBeSwapped bool

	head [16]byte
	data []byte
}

var errNoPcap = errors.New("neither pcap nor pcapng")

// newPcapFile reads the header of the file.
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
	// The captured length may be larger than the sent one: some writers pad frames.
	info.Timestamp = time.Unix(int64(seconds), int64(fraction)*int64(p.unit)).UTC()
	info.CaptureLength, info.Length = int(captured), int(sent)
	return data, info, nil
}
