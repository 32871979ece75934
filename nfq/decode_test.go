// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// attr returns an attribute with its padding.
func attr(typ uint16, value []byte) []byte { return appendAttr(nil, typ, value) }

// message returns a netlink message with the given type and body.
func message(typ uint16, body []byte) []byte {
	return join(unhex(n32(uint32(nlmsgHeaderLen+len(body)))+n16(typ)+n16(0)+n32(0)+n32(0)), body)
}

// packetMessage is a complete message as the kernel sends it for a forwarded packet:
// every attribute that Linux 6.18 knows except those of bridges, in the kernel's order.
func packetMessage(id byte, payload []byte) []byte {
	return message(0x300, join(
		unhex(`02 00 00d6`),                                             // nfgenmsg: AF_INET, version, queue 214
		unhex(n16(11)+n16(1)+`000001`), []byte{id}, unhex(`0800 02 00`), // packet header: id, IPv4, forward
		unhex(n16(8)+n16(5)+`00000003`),                           // input device
		unhex(n16(8)+n16(7)+`00000004`),                           // physical input device
		unhex(n16(8)+n16(6)+`00000002`),                           // output device
		unhex(n16(8)+n16(8)+`00000005`),                           // physical output device
		unhex(n16(8)+n16(3)+`00010100`),                           // mark
		unhex(n16(8)+n16(21)+`00000006`),                          // priority
		unhex(n16(16)+n16(9)+`0006 0000 021122334455 0000`),       // hardware address
		unhex(n16(20)+n16(4)+`0000000065000000 0000000000000001`), // timestamp
		unhex(n16(8)+n16(14)+`00000000`),                          // skb info
		unhex(n16(8)+n16(12)+`00000002`),                          // conntrack info
		unhex(n16(8)+n16(11|0x8000)+`00000000`),                   // conntrack
		attr(10, payload),
	))
}

func TestDecodePacket(t *testing.T) {
	ping := join(ip4(17, 12), udpOf(12, "ping"))
	full := with(udpView(4, "ping"), func(p *Packet) {
		p.ID, p.Hook, p.InDev, p.OutDev, p.Mark = 0x109, HookForward, 3, 2, 0x10100
		p.MAC, p.Raw = MAC{2, 0x11, 0x22, 0x33, 0x44, 0x55}, ping
	})
	nfgen := unhex(`02 00 00d6`)
	id := unhex(n16(11) + n16(1) + `00000009 0800 01 00`)
	bare := Packet{ID: 9, Hook: HookInput}
	tests := []struct {
		name string
		body []byte
		ok   bool
		want Packet
	}{
		{"all attributes", packetMessage(9, ping)[16:], true, full},
		{"id only", join(nfgen, id), true, bare},
		{"id behind the payload", join(nfgen, attr(10, ping), id), true, with(udpView(4, "ping"), func(p *Packet) {
			p.ID, p.Hook, p.Raw = 9, HookInput, ping
		})},
		{"no id", join(nfgen, attr(10, ping)), false, with(udpView(4, "ping"), func(p *Packet) { p.Raw = ping })},
		{"empty", nil, false, Packet{}},
		{"short nfgenmsg", nfgen[:3], false, Packet{}},
		{"nfgenmsg only", nfgen, false, Packet{}},
		{"unreadable packet", join(nfgen, id, attr(10, []byte{0x45, 0})), true, with(bare, func(p *Packet) { p.Raw = []byte{0x45, 0} })},
		{"short values", join(nfgen, attr(1, make([]byte, 6)), attr(3, make([]byte, 3)), attr(5, nil), attr(6, []byte{1}),
			attr(9, make([]byte, 9)), id), true, bare},
		{"hardware address of another length", join(nfgen, id, unhex(n16(16)+n16(9)+`0008 0000 0211223344550000`)), true, bare},
		{"attribute of length 0", join(nfgen, id, unhex(n16(0)+n16(3)), attr(10, ping)), true, bare},
		{"attribute of length 3", join(nfgen, id, unhex(n16(3)+n16(3)), attr(10, ping)), true, bare},
		{"attribute longer than the message", join(nfgen, id, unhex(n16(9)+n16(3)+`00010100`)), true, bare},
		{
			"payload cut off by the buffer", join(nfgen, id, unhex(n16(1000)+n16(10)), ping), true,
			with(udpView(4, "ping"), func(p *Packet) { p.ID, p.Hook, p.Raw = 9, HookInput, ping }),
		},
		{"three bytes behind the last attribute", join(nfgen, id, []byte{1, 2, 3}), true, bare},
		{"flags in the type", join(nfgen, unhex(n16(11)+n16(0xc001)+`00000009 0800 01 00`)), true, bare},
		{"unknown attributes", join(nfgen, attr(99, ping), id, attr(0x3fff, nil)), true, bare},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := dirty()
			body := tt.body[:len(tt.body):len(tt.body)]
			ok := decodePacket(body, &got)
			if ok != tt.ok {
				t.Errorf("got %v, want %v", ok, tt.ok)
			}
			if diff := cmp.Diff(tt.want, got, emptyIsNil); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := testing.AllocsPerRun(10, func() { decodePacket(body, &got) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func TestDecodeMessages(t *testing.T) {
	ping := join(ip4(17, 12), udpOf(12, "ping"))
	one, two, three := packetMessage(1, ping), packetMessage(2, ping), packetMessage(3, ping)
	tests := []struct {
		name  string
		b     []byte
		room  int
		ids   []uint32
		rest  int // bytes left
		count decoded
	}{
		{"nothing", nil, 4, nil, 0, decoded{}},
		{"one", one, 4, []uint32{0x101}, 0, decoded{}},
		{"several", join(one, two, three), 4, []uint32{0x101, 0x102, 0x103}, 0, decoded{}},
		{"more than fit", join(one, two, three), 2, []uint32{0x101, 0x102}, len(three), decoded{}},
		{"no room", one, 0, nil, len(one), decoded{}},
		{"unaligned payload", join(packetMessage(1, ping[:31]), two), 4, []uint32{0x101, 0x102}, 0, decoded{}},
		{
			"errors between packets",
			join(one, message(unix.NLMSG_ERROR, unhex(n32(^uint32(1))+`00000000`)), two, message(unix.NLMSG_ERROR, unhex(n32(0)))),
			4,
			[]uint32{0x101, 0x102},
			0,
			decoded{errors: 1, errno: unix.ENOENT},
		},
		{"short error", message(unix.NLMSG_ERROR, []byte{1, 2, 3}), 4, nil, 0, decoded{errors: 1, errno: unix.EBADMSG}},
		{"another subsystem", join(message(0xa0f, make([]byte, 8)), two), 4, []uint32{0x102}, 0, decoded{strange: 1}},
		{"packet without id", join(message(0x300, make([]byte, 4)), two), 4, []uint32{0x102}, 0, decoded{strange: 1}},
		{"length 0", join(one, make([]byte, 16), two), 4, []uint32{0x101}, 0, decoded{strange: 1}},
		{"length 15", join(unhex(n32(15)+n16(0x300)+n16(0)+n32(0)+n32(0)), two), 4, nil, 0, decoded{strange: 1}},
		{"header cut off", join(one, two[:15]), 4, []uint32{0x101}, 0, decoded{strange: 1}},
		{"message cut off", join(one, two[:60]), 4, []uint32{0x101, 0x102}, 0, decoded{}},
		{"length of 4 GB", join(unhex(n32(0xffffffff)), one[4:]), 4, []uint32{0x101}, 0, decoded{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			packets := make([]Packet, tt.room)
			var count decoded
			n, rest := decodeMessages(tt.b, packets, &count)
			var ids []uint32
			for _, p := range packets[:n] {
				ids = append(ids, p.ID)
			}
			if diff := cmp.Diff(tt.ids, ids); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(rest) != tt.rest || count != tt.count {
				t.Errorf("%d bytes left, %+v; want %d, %+v", len(rest), count, tt.rest, tt.count)
			}
			if !bytes.HasSuffix(tt.b, rest) {
				t.Error("what is left is not the end")
			}
		})
	}
}

// TestQueueDecode decodes a slab of datagrams that hold more messages than a batch has
// room for. No packet may be lost, because each waits for its verdict.
func TestQueueDecode(t *testing.T) {
	ping := join(ip4(17, 12), udpOf(12, "ping"))
	c := Config{Batch: 3, CopyRange: 1500}
	c.setDefaults()
	var q Queue
	q.allocate(&c)
	var want []uint32
	id := byte(0)
	for slot, messages := range []int{5, 0, 2} {
		var b []byte
		for range messages {
			id++
			b = append(b, packetMessage(id, ping)...)
			want = append(want, 0x100+uint32(id))
		}
		b = append(b, message(unix.NLMSG_ERROR, unhex(n32(^uint32(0))))...)
		q.headers[slot].Len = uint32(copy(q.slab[slot*q.slot:(slot+1)*q.slot], b))
		q.filled++
	}
	var got []uint32
	for range 10 {
		q.n = 0
		if !q.decode() {
			break
		}
		for i := range q.n {
			got = append(got, q.Packet(i).ID)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if q.seen.errors != 3 {
		t.Errorf("%+v", q.seen)
	}
}

func FuzzDecodeMessages(f *testing.F) {
	ping := join(ip4(17, 12), udpOf(12, "ping"))
	f.Add([]byte(nil))
	f.Add(packetMessage(1, ping))
	f.Add(join(packetMessage(1, ping[:31]), message(unix.NLMSG_ERROR, unhex(n32(^uint32(1)))), packetMessage(2, ping)))
	f.Add(packetMessage(1, ping)[:70])
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:len(b):len(b)]
		var packets [2]Packet
		for {
			var count decoded
			n, rest := decodeMessages(b, packets[:], &count)
			if len(rest) > 0 && len(rest) >= len(b) {
				t.Fatalf("no progress: %d bytes left of %d", len(rest), len(b))
			}
			for i := range packets[:n] {
				checkView(t, packets[i].Raw, &packets[i])
			}
			if b = rest; len(b) == 0 {
				return
			}
		}
	})
}

func BenchmarkDecodeMessages(b *testing.B) {
	msg := packetMessage(1, join(ip4(17, 40), udpOf(40, string(make([]byte, 32)))))
	var packets [1]Packet
	var count decoded
	b.ReportAllocs()
	for b.Loop() {
		if n, _ := decodeMessages(msg, packets[:], &count); n != 1 {
			b.Fatal(n)
		}
	}
}
