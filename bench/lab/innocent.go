// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sort"
	"strings"
	"sync"
	"time"
)

// InnocentConfig describes a host that runs no file-sharing client.
type InnocentConfig struct {
	Every   time.Duration // from the end of one action to the next; 100 ms
	Timeout time.Duration // for one action; 5 s
	// Retries is how often a failed action is repeated before it counts as failed. 0
	// means that every loss counts.
	Retries int
	IPv6    bool // everything over IPv6 as well
	Browser bool // pages with twelve connections at a time
	Server  netip.Addr
	// From is the IPv4 address to send from, if the host has several.
	From netip.Addr
	// Known leaves out traffic of unknown protocols: a game's datagrams.
	Known bool
}

// Innocent is a host that uses the internet in the usual ways, and counts the actions
// that fail.
type Innocent struct {
	host *Host
	cfg  InnocentConfig

	mu       sync.Mutex
	attempts map[string]int
	failed   map[string]int
	errs     []string
}

// NewInnocent makes the host's user.
func NewInnocent(h *Host, cfg InnocentConfig) *Innocent {
	orDuration(&cfg.Every, 100*time.Millisecond)
	orDuration(&cfg.Timeout, 5*time.Second)
	return &Innocent{host: h, cfg: cfg, attempts: map[string]int{}, failed: map[string]int{}}
}

// Counts returns the number of attempts and the number of failures.
func (in *Innocent) Counts() (attempts, failed int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, n := range in.attempts {
		attempts += n
	}
	for _, n := range in.failed {
		failed += n
	}
	return attempts, failed
}

// Kinds returns one line for each kind of action, with attempts and failures.
func (in *Innocent) Kinds() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	var lines []string
	for k, n := range in.attempts {
		lines = append(lines, fmt.Sprintf("%s %d/%d", k, n-in.failed[k], n))
	}
	sort.Strings(lines)
	return strings.Join(lines, ", ")
}

// Errors returns the first failures as text.
func (in *Innocent) Errors() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]string(nil), in.errs...)
}

type habit struct {
	name string
	do   func(context.Context, netip.Addr) error
}

// gameSizes are payload sizes of small UDP datagrams. FastTrack pings have 12, 15 and 16
// bytes, pongs 13, 17 and 21.
var gameSizes = []int{1, 5, 12, 13, 15, 16, 17, 21, 40, 100, 160}

func (in *Innocent) habits() []habit {
	h := []habit{
		{"dns", in.dns},
		{"http", in.http},
		{"tls", in.tls},
		{"ssh", func(ctx context.Context, a netip.Addr) error { return in.banner(ctx, a, portSSH, "SSH-2.0-") }},
		{"smtp", func(ctx context.Context, a netip.Addr) error { return in.banner(ctx, a, portSMTP, "220 ") }},
		{"quic", in.quic},
	}
	if !in.cfg.Known {
		h = append(h, habit{"game", in.game})
	}
	if in.cfg.Browser {
		h = append(h, habit{"page", in.page})
	}
	return h
}

// Run performs all kinds of actions side by side until ctx ends. It then finishes those
// that have begun, so that the end causes no failure.
func (in *Innocent) Run(ctx context.Context) error {
	servers := []netip.Addr{Server4}
	if in.cfg.Server.IsValid() {
		servers[0] = in.cfg.Server
	}
	if in.cfg.IPv6 {
		servers = append(servers, Server6)
	}
	var all sync.WaitGroup
	for _, h := range in.habits() {
		for _, server := range servers {
			all.Add(1)
			go func() {
				defer all.Done()
				for ctx.Err() == nil {
					in.once(h, server)
					select {
					case <-ctx.Done():
					case <-time.After(in.cfg.Every):
					}
				}
			}()
		}
	}
	all.Wait()
	return nil
}

// once performs one action and counts it.
func (in *Innocent) once(h habit, server netip.Addr) {
	var err error
	for try := 0; try <= in.cfg.Retries; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), in.cfg.Timeout)
		err = h.do(ctx, server)
		cancel()
		if err == nil {
			break
		}
	}
	name := h.name
	if server.Is6() {
		name += "6"
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.attempts[name]++
	if err != nil {
		in.failed[name]++
		if len(in.errs) < 20 {
			in.errs = append(in.errs, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), name, err))
		}
	}
}

// dial connects. The connection ends with ctx.
func (in *Innocent) dial(ctx context.Context, network string, a netip.Addr, port uint16) (net.Conn, error) {
	var local netip.AddrPort
	if in.cfg.From.IsValid() && a.Is4() {
		local = netip.AddrPortFrom(in.cfg.From, 0)
	}
	c, err := in.host.Dial(ctx, network, local, netip.AddrPortFrom(a, port))
	if err != nil {
		return nil, err
	}
	if d, ok := ctx.Deadline(); ok {
		c.SetDeadline(d)
	}
	return c, nil
}

// ask sends one datagram on a new socket and waits for one answer.
func (in *Innocent) ask(ctx context.Context, a netip.Addr, port uint16, b []byte) ([]byte, error) {
	c, err := in.dial(ctx, "udp", a, port)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return Ask(c, b)
}

// Ask sends one datagram and waits for one answer.
func Ask(c net.Conn, b []byte) ([]byte, error) {
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	return buf[:n], err
}

func (in *Innocent) dns(ctx context.Context, a netip.Addr) error {
	q := DNSQuery(uint16(rand.Uint32()), "www.example.net", TypeA)
	r, err := in.ask(ctx, a, portDNS, q)
	if err == nil && (len(r) != len(q)+16 || !bytes.Equal(r[:2], q[:2])) {
		err = fmt.Errorf("wrong answer % x", r)
	}
	return err
}

func (in *Innocent) http(ctx context.Context, a netip.Addr) error {
	c, err := in.dial(ctx, "tcp", a, portHTTP)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for _, size := range []int{600, 20000} {
		if err := get(c, r, size); err != nil {
			return err
		}
	}
	return nil
}

// get requests size bytes on an HTTP connection.
func get(c net.Conn, r *bufio.Reader, size int) error {
	fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: www.example.net\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nX-Requested-With: lab\r\n\r\n", size)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	_, err := io.CopyN(io.Discard, r, int64(size))
	return err
}

func (in *Innocent) tls(ctx context.Context, a netip.Addr) error {
	c, err := in.dial(ctx, "tcp", a, portTLS)
	if err != nil {
		return err
	}
	defer c.Close()
	c.Write(clientHello("www.example.net"))
	if _, _, err := tlsRecord(c); err != nil {
		return err
	}
	for _, size := range []int{12, 500, 12000} {
		rec := append([]byte{0x17, 3, 3, byte(size >> 8), byte(size)}, make([]byte, size)...)
		c.Write(rec)
		if _, _, err := tlsRecord(c); err != nil {
			return err
		}
	}
	return nil
}

func (in *Innocent) banner(ctx context.Context, a netip.Addr, port uint16, want string) error {
	c, err := in.dial(ctx, "tcp", a, port)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, want) {
		err = fmt.Errorf("banner %q", line)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c, "EHLO host.example.net\r\n")
	_, err = r.ReadString('\n')
	return err
}

// echo sends a datagram and expects it back unchanged.
func (in *Innocent) echo(ctx context.Context, a netip.Addr, port uint16, b []byte) error {
	r, err := in.ask(ctx, a, port, b)
	if err == nil && !bytes.Equal(r, b) {
		err = fmt.Errorf("%d bytes came back as %d", len(b), len(r))
	}
	return err
}

// quic sends a datagram with the size and the first octets of a QUIC initial packet.
func (in *Innocent) quic(ctx context.Context, a netip.Addr) error {
	b := make([]byte, 1200)
	copy(b, []byte{0xc3, 0, 0, 0, 1, 8})
	for i := 6; i < len(b); i++ {
		b[i] = byte(rand.Uint32())
	}
	b[14] = 0 // no connection ID of its own
	return in.echo(ctx, a, portTLS, b)
}

// game sends small datagrams of many sizes. One differs from a FastTrack ping in its last
// octet only.
func (in *Innocent) game(ctx context.Context, a netip.Addr) error {
	near := PingBytes(EncGiFT, "KaZaA")
	near[len(near)-1] = 1
	if err := in.echo(ctx, a, portGame, near); err != nil {
		return fmt.Errorf("near miss: %w", err)
	}
	for _, size := range gameSizes {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		b[0] = 1 // not a FastTrack type
		if err := in.echo(ctx, a, portGame, b); err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
	}
	return nil
}

// page loads a page as a browser does: many connections at once, several
// requests on each.
func (in *Innocent) page(ctx context.Context, a netip.Addr) error {
	errs := make(chan error, 12)
	for i := range cap(errs) {
		go func() {
			if i%2 == 0 {
				errs <- in.tls(ctx, a)
			} else {
				errs <- in.http(ctx, a)
			}
		}()
	}
	var first error
	for range cap(errs) {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}
