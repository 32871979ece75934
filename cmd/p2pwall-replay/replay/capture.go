// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/p2pwall/p2pwall/nfq"
)

// Frame is one packet of a capture. Its slices are valid until the next packet is read.
type Frame struct {
	Time     time.Time
	Src, Dst nfq.MAC // zero if the link layer has none
	IP       []byte  // from the IP header on; empty for anything else
	ARP      []byte  // the ARP message; empty for anything else
	// Encrypted says that the frame is an encrypted WLAN frame.
	Encrypted bool
}

// Capture is an open capture file.
type Capture struct {
	file *os.File
	next func() ([]byte, gopacket.CaptureInfo, error)
	link uint32 // of a pcap file; in a pcapng file each packet has its own
	ng   bool
	read int // packets so far
}

// Open opens a pcap or pcapng file. The file may be compressed with gzip.
func Open(path string) (*Capture, error) {
	f, err := os.Open(path)
	if err != nil {
		var p *os.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, err
	}
	c := &Capture{file: f}
	if err := c.open(bufio.NewReaderSize(f, 1<<16)); err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

// pcapngMagic is the type of the first block in every pcapng file.
const pcapngMagic = 0x0a0d0d0a

func (c *Capture) open(in *bufio.Reader) error {
	head, err := in.Peek(4)
	if err != nil {
		return errors.New("too short to be a capture")
	}
	if head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("not a valid gzip file: %w", err)
		}
		in = bufio.NewReaderSize(z, 1<<16)
		if head, err = in.Peek(4); err != nil {
			return errNoPcap
		}
	}
	if binary.BigEndian.Uint32(head) == pcapngMagic {
		return c.openNG(in)
	}
	p, err := newPcapFile(in)
	if err != nil {
		return err
	}
	if !decode(p.link, nil, new(Frame)) {
		return fmt.Errorf("link type %d is not supported", p.link&linkMask)
	}
	c.next, c.link = p.next, p.link
	return nil
}

func (c *Capture) openNG(in io.Reader) error {
	r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return fmt.Errorf("not a valid pcapng file: %w", err)
	}
	c.next, c.ng = r.ZeroCopyReadPacketData, true
	return nil
}

// Close closes the file.
func (c *Capture) Close() { c.file.Close() }

// Next reads the next packet into f. It returns io.EOF at the end. Any other error means
// that the file is damaged and the rest cannot be read.
func (c *Capture) Next(f *Frame) error {
	data, info, err := c.next()
	if err == io.EOF {
		return err
	}
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the file ends in the middle of a packet")
		}
		return fmt.Errorf("damaged behind packet %d: %w", c.read, err)
	}
	c.read++
	link := c.link
	if c.ng && len(info.AncillaryData) > 0 {
		link = linkNumber(info.AncillaryData[0])
	}
	*f = Frame{Time: info.Timestamp}
	// The result is ignored: a pcapng file may have interfaces of unknown link types as
	// well.
	decode(link, data, f)
	return nil
}

func linkNumber(v any) uint32 {
	if t, ok := v.(layers.LinkType); ok {
		return uint32(t)
	}
	return ^uint32(0)
}
