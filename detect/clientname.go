// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// ClientName is the name and version of a client program, in a fixed-size array. It
// limits what a packet says to printable characters and to a fixed length.
type ClientName struct {
	b [48]byte
	n uint8
}

// String returns the name. It allocates.
func (c *ClientName) String() string { return string(c.b[:c.n]) }

// Set makes s the name. It cuts s to fit, and replaces what is not printable.
func (c *ClientName) Set(s []byte) {
	c.n = 0
	c.add(s)
}

// Len returns the length of the name.
func (c *ClientName) Len() int { return int(c.n) }

// Known reports whether there is a name.
func (c *ClientName) Known() bool { return c.n > 0 }

func (c *ClientName) add(s []byte) {
	for _, x := range s {
		if int(c.n) == len(c.b) {
			return
		}
		if x < ' ' || x > '~' {
			x = '?'
		}
		c.b[c.n] = x
		c.n++
	}
}

func (c *ClientName) set(s string) {
	c.n = uint8(copy(c.b[:], s))
}
