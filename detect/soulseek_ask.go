// SPDX-License-Identifier: GPL-2.0-or-later

package detect

const (
	soulseekName = 8 // letters in a made-up name
	soulseekFile = soulseekName + 1 + soulseekName + 4

	// soulseekHello is the length of the message that opens the connection. Nobody
	// answers that message. Some programs read what follows it only if it comes later.
	soulseekHello = 4 + 1 + 4 + soulseekName + 4 + 1 + 4
)

// soulseekAsk builds the probe: a peer with a made-up name asks for a file with a made-up
// name. A client answers that it does not share the file, and shows its user nothing. The
// answer repeats the number of the request.
func soulseekAsk(dst, _ []byte, salt uint32) int {
	const request = 4 + 4 + 4 + 4 + soulseekFile
	g := randomFrom(&[16]byte{}, salt)
	w := builder{b: dst}
	w.bytes([]byte{soulseekHello - 4, 0, 0, 0, soulseekInit, soulseekName, 0, 0, 0})
	w.letters(&g, soulseekName)
	w.bytes([]byte{1, 0, 0, 0, 'P', 0, 0, 0, 0})
	w.bytes([]byte{request, 0, 0, 0, soulseekRequest, 0, 0, 0, 0, 0, 0, 0})
	w.bytes([]byte{byte(salt), byte(salt >> 8), byte(salt >> 16), byte(salt >> 24), soulseekFile, 0, 0, 0})
	w.letters(&g, soulseekName)
	w.text(`\`)
	w.letters(&g, soulseekName)
	w.text(".mp3")
	if w.full {
		return 0
	}
	return w.n
}

func (w *builder) letters(g *generator, n int) {
	for range n {
		w.bytes([]byte{'a' + g.next()%26})
	}
}

// soulseekAnswered searches the messages in b for the answer to the request: the
// request's number, whether the file is available, and then its size, or the reason why
// not.
func soulseekAnswered(b, probe []byte) bool {
	const head = 4 + 4 + 4 + 1
	number := probe[len(probe)-soulseekFile-8:][:4]
	for len(b) >= head {
		n := uint64(le32(b)) + 4
		if n < 8 || n > uint64(len(b)) {
			return false
		}
		if le32(b[4:]) == soulseekResponse && n >= head && hasPrefix(b[8:], number) == Yes {
			rest := b[head:n]
			switch b[head-1] {
			case 0:
				return len(rest) >= 4 && uint64(le32(rest)) == uint64(len(rest)-4)
			case 1:
				return len(rest) == 0 || len(rest) == 8
			}
			return false
		}
		b = b[n:]
	}
	return false
}
