// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"bytes"
	"compress/zlib"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// donkeyServer is a small eDonkey server. Clients log in and ask for the sources of a
// file. The same port accepts plain and obfuscated connections.
type donkeyServer struct {
	// open reports whether clients at an address can be reached from outside. has reports
	// whether they have the file. The server does not wait for them to offer it, which
	// takes a minute.
	open, has func(netip.Addr) bool
	hash      [16]byte

	mu      sync.Mutex
	sources []donkeySource
	logins  int
	hidden  int // logins over obfuscated connections
	lowID   uint32
}

// donkeySource is a client that has a file.
type donkeySource struct {
	id   uint32 // its IPv4 address, first byte lowest, or a low ID
	port uint16
	hash [16]byte // user hash
}

const (
	donkeyPlain  = 0xe3
	donkeyPacked = 0xd4

	donkeyLogin       = 0x01
	donkeySources     = 0x19
	donkeySourcesHid  = 0x23
	donkeyStatus      = 0x34
	donkeyID          = 0x40
	donkeyFound       = 0x42
	donkeyFoundHidden = 0x44

	// donkeyHides is the flag of a server that accepts obfuscated connections and tells
	// clients each other's user hashes for such connections.
	donkeyHides = 0x400
)

// known returns how many clients that have the file logged in.
func (s *donkeyServer) known() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sources)
}

// donkeyConn is a plain or obfuscated connection.
type donkeyConn struct {
	net.Conn
	in, out *rc4.Cipher // nil if plain
	first   []byte      // bytes that were read already
}

func (c *donkeyConn) Read(b []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	n, err := c.Conn.Read(b)
	if c.in != nil {
		c.in.XORKeyStream(b[:n], b[:n])
	}
	return n, err
}

func (c *donkeyConn) Write(b []byte) (int, error) {
	if c.out != nil {
		b = bytes.Clone(b)
		c.out.XORKeyStream(b, b)
	}
	return c.Conn.Write(b)
}

func (c *donkeyConn) message(opcode byte, content []byte) error {
	b := binary.LittleEndian.AppendUint32([]byte{donkeyPlain}, uint32(len(content)+1))
	_, err := c.Write(append(append(b, opcode), content...))
	return err
}

// donkeyPrime is the prime of the key exchange with a server. The generator is 2.
var donkeyPrime, _ = new(big.Int).SetString(""+
	"f2bf52c55f587add5371a936e886eb3c6217a33ec34cb40dc73a41a643affce7"+
	"21fc286366535bdbce259f2286da4a91b207cbaa5255d4f61cceaed45ad5e074"+
	"7df7781828105f340f762387f88b289142fb42688f05150f548b5f436af70df3", 16)

const (
	donkeyKey      = 96 // bytes
	donkeySync     = 0x835e6fc4
	donkeySkip     = 1024                   // the first bytes of the RC4 stream, which are not used
	donkeyFar      = 200 * time.Millisecond // delay of the server's answer
	donkeyToServer = 34
	donkeyToClient = 203
)

// accept reads the first byte. If the connection is obfuscated it does the key exchange.
func (c *donkeyConn) accept() error {
	head := make([]byte, 1)
	if _, err := io.ReadFull(c.Conn, head); err != nil {
		return err
	}
	if head[0] == donkeyPlain || head[0] == donkeyPacked {
		c.first = head
		return nil
	}
	theirs := make([]byte, donkeyKey+1)
	if _, err := io.ReadFull(c.Conn, theirs); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, c.Conn, int64(theirs[donkeyKey]%16)); err != nil {
		return err
	}
	secret := make([]byte, 16)
	rand.Read(secret)
	exponent := new(big.Int).SetBytes(secret)
	shared := make([]byte, donkeyKey+1)
	new(big.Int).Exp(new(big.Int).SetBytes(theirs[:donkeyKey]), exponent, donkeyPrime).FillBytes(shared[:donkeyKey])
	stream := func(which byte) *rc4.Cipher {
		shared[donkeyKey] = which
		key := md5.Sum(shared)
		r, _ := rc4.NewCipher(key[:])
		skipped := make([]byte, donkeySkip)
		r.XORKeyStream(skipped, skipped)
		return r
	}
	c.in, c.out = stream(donkeyToServer), stream(donkeyToClient)
	answer := new(big.Int).Exp(big.NewInt(2), exponent, donkeyPrime).FillBytes(make([]byte, donkeyKey))
	// aMule 2.3.3 loses its login if the answer comes too early.
	time.Sleep(donkeyFar)
	rest := binary.LittleEndian.AppendUint32(nil, donkeySync)
	rest = append(rest, 0, 0, 0) // methods, chosen method, padding
	c.out.XORKeyStream(rest, rest)
	if _, err := c.Conn.Write(append(answer, rest...)); err != nil {
		return err
	}
	back := make([]byte, 4+1+1)
	if _, err := io.ReadFull(c, back); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(back) != donkeySync {
		return errors.New("the client has another key")
	}
	_, err := io.CopyN(io.Discard, c, int64(back[5]))
	return err
}

// receive reads a message.
func (c *donkeyConn) receive() (opcode byte, content []byte, err error) {
	head := make([]byte, 6)
	if _, err := io.ReadFull(c, head); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(head[1:])
	if n == 0 || n > 1<<20 {
		return 0, nil, fmt.Errorf("a message of %d bytes", n)
	}
	content = make([]byte, n-1)
	if _, err := io.ReadFull(c, content); err != nil {
		return 0, nil, err
	}
	if head[0] == donkeyPacked {
		z, err := zlib.NewReader(bytes.NewReader(content))
		if err != nil {
			return 0, nil, err
		}
		if content, err = io.ReadAll(z); err != nil {
			return 0, nil, err
		}
	}
	return head[5], content, nil
}

// serve serves one client.
func (s *donkeyServer) serve(conn net.Conn) {
	c := &donkeyConn{Conn: conn}
	if err := c.accept(); err != nil {
		return
	}
	for {
		opcode, b, err := c.receive()
		if err != nil {
			return
		}
		switch opcode {
		case donkeyLogin:
			if len(b) < 22 {
				return
			}
			self := s.login(c, b)
			err = c.message(donkeyID, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, self.id), donkeyHides))
			if err == nil {
				err = c.message(donkeyStatus, []byte{2, 0, 0, 0, 1, 0, 0, 0})
			}
		case donkeySources, donkeySourcesHid:
			if len(b) < 16 {
				return
			}
			err = s.tell(c, [16]byte(b), opcode == donkeySourcesHid)
		}
		if err != nil {
			return
		}
	}
}

// login reads the login message of a client.
func (s *donkeyServer) login(c *donkeyConn, b []byte) donkeySource {
	addr := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	self := donkeySource{hash: [16]byte(b), port: binary.LittleEndian.Uint16(b[20:])}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins++
	if c.in != nil {
		s.hidden++
	}
	if s.open(addr) {
		a := addr.As4()
		self.id = binary.LittleEndian.Uint32(a[:])
	} else {
		s.lowID++
		self.id = s.lowID
	}
	if s.has(addr) {
		s.sources = slices.DeleteFunc(s.sources, func(x donkeySource) bool { return x.hash == self.hash })
		s.sources = append(s.sources, self)
	}
	return self
}

// tell sends the list of the file's sources.
func (s *donkeyServer) tell(c *donkeyConn, hash [16]byte, hidden bool) error {
	s.mu.Lock()
	var all []donkeySource
	if hash == s.hash {
		all = slices.Clone(s.sources)
	}
	s.mu.Unlock()
	b := append(hash[:], byte(len(all)))
	opcode := byte(donkeyFound)
	for _, x := range all {
		b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(b, x.id), x.port)
		if hidden {
			// Flags: supports and requests obfuscation, user hash follows.
			b = append(append(b, 0x80|0x02|0x01), x.hash[:]...)
		}
	}
	if hidden {
		opcode = donkeyFoundHidden
	}
	return c.message(opcode, b)
}
