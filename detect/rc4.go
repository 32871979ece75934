// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// rc4 is an RC4 stream. eDonkey's clients use it for obfuscation, not for secrecy.
// crypto/rc4 would make the program larger than this does.
type rc4 struct {
	s    [256]byte
	i, j byte
}

func (r *rc4) start(key []byte) {
	for i := range r.s {
		r.s[i] = byte(i)
	}
	r.i, r.j = 0, 0
	j := byte(0)
	for i := range r.s {
		j += r.s[i] + key[i%len(key)]
		r.s[i], r.s[j] = r.s[j], r.s[i]
	}
}

// crypt encrypts or decrypts src into dst. dst may be src.
func (r *rc4) crypt(dst, src []byte) {
	for k, c := range src {
		r.i++
		r.j += r.s[r.i]
		r.s[r.i], r.s[r.j] = r.s[r.j], r.s[r.i]
		dst[k] = c ^ r.s[r.s[r.i]+r.s[r.j]]
	}
}

// skip discards n bytes of the stream.
func (r *rc4) skip(n int) {
	var none [1]byte
	for range n {
		r.crypt(none[:], none[:])
	}
}
