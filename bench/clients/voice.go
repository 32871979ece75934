// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"crypto/hmac"
	crand "crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// A browser's call, as an observer without keys sees it: ICE checks by STUN in both
// directions, a DTLS handshake, and then a voice packet every 20 ms from each side. RFC
// 5764 tells the three apart by their first octet.

const (
	stunRequest = 0x0001
	stunReply   = 0x0101
	stunCookie  = 0x2112a442

	attrUsername    = 0x0006
	attrIntegrity   = 0x0008
	attrXorMapped   = 0x0020
	attrPriority    = 0x0024
	attrControlling = 0x802a
	attrFingerprint = 0x8028
)

// stun makes a message with the given attributes, integrity and fingerprint.
func stun(kind uint16, tid []byte, attrs ...[]byte) []byte {
	be := binary.BigEndian
	b := be.AppendUint16(nil, kind)
	b = be.AppendUint16(b, 0)
	b = append(be.AppendUint32(b, stunCookie), tid...)
	for _, a := range attrs {
		b = append(b, a...)
	}
	be.PutUint16(b[2:], uint16(len(b)-20+24))
	mac := hmac.New(sha1.New, []byte("a password of ICE's"))
	mac.Write(b)
	b = append(b, attr(attrIntegrity, mac.Sum(nil))...)
	be.PutUint16(b[2:], uint16(len(b)-20+8))
	sum := crc32.ChecksumIEEE(b) ^ 0x5354554e
	return append(b, attr(attrFingerprint, be.AppendUint32(nil, sum))...)
}

func attr(kind uint16, v []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// check is an ICE connectivity check.
func check() []byte {
	tid := make([]byte, 12)
	crand.Read(tid)
	return stun(
		stunRequest, tid,
		attr(attrUsername, []byte("evtj:h6vY")), attr(attrControlling, tid[:8]),
		attr(attrPriority, []byte{0x6e, 0, 1, 0xff}),
	)
}

// dtls makes a DTLS record with a body.
func dtls(kind byte, seq byte, body []byte) []byte {
	b := []byte{kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, seq}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

// mapped is an address as XOR-MAPPED-ADDRESS has it. mask is the cookie and the
// transaction's number.
func mapped(a netip.AddrPort, mask []byte) []byte {
	family := byte(1)
	if a.Addr().Unmap().Is6() {
		family = 2
	}
	b := binary.BigEndian.AppendUint16([]byte{0, family}, a.Port())
	b = append(b, a.Addr().Unmap().AsSlice()...)
	b[2], b[3] = b[2]^mask[0], b[3]^mask[1]
	for i := range b[4:] {
		b[4+i] ^= mask[i]
	}
	return b
}

// helloDTLS is a ClientHello (1) or ServerHello (2).
func helloDTLS(kind byte) []byte {
	body := append([]byte{0xfe, 0xfd}, make([]byte, 32)...)
	crand.Read(body[2:])
	body = append(body, 0, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0)
	body = append(body, 0, 9, 0, 14, 0, 5, 0, 2, 0, 1, 0) // use_srtp
	n := len(body)
	head := []byte{kind, 0, byte(n >> 8), byte(n), 0, 0, 0, 0, 0, 0, byte(n >> 8), byte(n)}
	return dtls(22, 0, append(head, body...))
}

// srtp is a voice packet.
func srtp(seq uint16) []byte {
	b := []byte{0x80, 111}
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, uint32(seq)*960)
	b = binary.BigEndian.AppendUint32(b, 0x5eed)
	sound := make([]byte, 60+rand.IntN(60))
	crand.Read(sound)
	return append(b, sound...)
}

// voiceAnswer is the other side of a call, and a STUN server.
func voiceAnswer(b []byte, from netip.AddrPort) []byte {
	switch {
	case len(b) >= 20 && b[0] == 0 && b[1] == 1:
		return stun(stunReply, b[8:20], attr(attrXorMapped, mapped(from, b[4:20])))
	case len(b) > 13 && b[0] == 22 && b[13] == 1:
		return helloDTLS(2)
	case len(b) > 13 && b[0] == 22:
		return dtls(22, 1, make([]byte, 800))
	case len(b) > 12 && b[0] == 0x80:
		return srtp(binary.BigEndian.Uint16(b[2:]))
	}
	return nil
}

// call is the host's side of a call with a number of voice packets. Each must be answered
// by one.
func call(c net.Conn, packets int) error {
	buf := make([]byte, 2048)
	ask := func(what string, b []byte) ([]byte, error) {
		c.SetDeadline(time.Now().Add(useTimeout))
		if _, err := c.Write(b); err != nil {
			return nil, err
		}
		n, err := c.Read(buf)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return buf[:n], nil
	}
	for range 2 {
		r, err := ask("STUN", check())
		if err != nil {
			return err
		}
		if len(r) < 20 || binary.BigEndian.Uint16(r) != stunReply {
			return errors.New("STUN: a wrong reply")
		}
	}
	if _, err := ask("DTLS hello", helloDTLS(1)); err != nil {
		return err
	}
	if _, err := ask("DTLS keys", dtls(22, 1, make([]byte, 900))); err != nil {
		return err
	}
	for i := range packets {
		if _, err := ask("voice", srtp(uint16(i))); err != nil {
			return fmt.Errorf("packet %d of %d: %w", i, packets, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
