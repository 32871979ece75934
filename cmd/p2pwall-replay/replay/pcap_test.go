// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"bytes"
	"testing"
)

// FuzzPcap: the reader reaches the end of any file. Each packet has the length that it
// says, and is no longer than the file.
func FuzzPcap(f *testing.F) {
	for _, head := range []string{
		"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "\xd4\xc3\xb2\xa1\x02\x00\x03\x00", "\xd4\xc3\xb2\xa1\x02\x00\x01\x00",
		"\xa1\xb2\x3c\x4d\x00\x02\x00\x04", "\x4d\x3c\xb2\xa1\x02\x00\x04\x00",
	} {
		f.Add([]byte(head + "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00" +
			"\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00ab" +
			"\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00abc"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := newPcapFile(bytes.NewReader(b))
		if err != nil {
			return
		}
		for left := len(b) - 24; ; left -= 16 {
			data, info, err := p.next()
			if err != nil {
				return
			}
			if left -= len(data); left < 16 {
				t.Fatal("the packets are longer than the file")
			}
			if len(data) != info.CaptureLength {
				t.Fatalf("%d bytes of a packet, want %d", len(data), info.CaptureLength)
			}
		}
	})
}
