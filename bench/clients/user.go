// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/quic"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// user is a person at a LAN host who does ordinary things. It counts failures. Each
// failed action is repeated once, as programs do: on a busy machine one attempt may fail,
// but behind a wrong wall both fail.
type user struct {
	host    *lab.Host
	servers *servers
	resolv  string

	mu       sync.Mutex
	attempts map[string]int
	errs     []string
}

// habit is something that a user does again and again.
type habit struct {
	name  string
	pause time.Duration // from the end of one to the next
	do    func(u *user, ctx context.Context, v6 bool) error
}

// long is the habit with one lasting connection.
const long = "long"

// useTimeout limits one action.
const useTimeout = 20 * time.Second

var habits = []habit{
	{"https", 2 * time.Second, func(u *user, ctx context.Context, v6 bool) error { return u.web(ctx, "https", v6) }},
	{"http", 2 * time.Second, func(u *user, ctx context.Context, v6 bool) error { return u.web(ctx, "http", v6) }},
	{"curl", 8 * time.Second, (*user).curl},
	{"ssh", 12 * time.Second, (*user).ssh},
	{"mail", 3 * time.Second, (*user).mail},
	{"dns", time.Second, (*user).dns},
	{"ntp", 2 * time.Second, (*user).ntp},
	{"quic", 4 * time.Second, (*user).quic},
	{"call", time.Second, (*user).call},
	{long, time.Second, (*user).long},
}

func newUser(h *lab.Host, s *servers, resolv string) *user {
	return &user{host: h, servers: s, resolv: resolv, attempts: map[string]int{}}
}

// run performs all habits side by side until ctx ends, IPv4 and IPv6 in turn. It then
// finishes the actions that have begun, so that the end causes no failure.
func (u *user) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, h := range habits {
		all.Go(func() {
			for v6 := false; ctx.Err() == nil; v6 = !v6 {
				err := u.once(ctx, h, v6)
				if err != nil && h.name != long && ctx.Err() == nil {
					err = u.once(ctx, h, v6)
				}
				u.count(h.name, err)
				select {
				case <-ctx.Done():
				case <-time.After(h.pause):
				}
			}
		})
	}
	all.Wait()
}

// once performs one action.
func (u *user) once(ctx context.Context, h habit, v6 bool) error {
	c, cancel := context.WithTimeout(context.Background(), useTimeout)
	if h.name == long { // it lasts as long as the situation
		cancel()
		c, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	return h.do(u, c, v6)
}

func (u *user) count(name string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.attempts[name]++
	if err != nil {
		u.errs = append(u.errs, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), name, err))
	}
}

// failed returns the failures as text.
func (u *user) failed() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.errs...)
}

// idle returns the habits without any attempt.
func (u *user) idle() (names []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, h := range habits {
		if u.attempts[h.name] == 0 {
			names = append(names, h.name)
		}
	}
	return names
}

// did returns the number of attempts of each habit.
func (u *user) did() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []string
	for k, n := range u.attempts {
		all = append(all, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(all)
	return strings.Join(all, ", ")
}

// pick chooses the address of a family.
func pick(v6 bool, a4, a6 netip.Addr) netip.Addr {
	if v6 {
		return a6
	}
	return a4
}

func (u *user) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	c, err := u.host.Dial(ctx, network, netip.AddrPort{}, to)
	if err != nil {
		return nil, err
	}
	if d, ok := ctx.Deadline(); ok {
		c.SetDeadline(d)
	}
	return c, nil
}

// web downloads something on a new connection.
func (u *user) web(ctx context.Context, scheme string, v6 bool) error {
	port := uint16(portHTTP)
	if scheme == "https" {
		port = portTLS
	}
	t := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: u.servers.cert.Pool},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return u.dial(ctx, "tcp", netip.AddrPortFrom(pick(v6, server4, server6), port))
		},
	}
	defer t.CloseIdleConnections()
	const size = 200_000
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s://%s/%d", scheme, serverName, size), nil)
	if err != nil {
		return err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes of %d", n, size)
	}
	return err
}

// program runs a program on the host and returns its output.
func (u *user) program(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := inNamespace(u.host.Namespace, u.resolv, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, errs.String())
	}
	return out.Bytes(), nil
}

// curl downloads by name, as people do.
func (u *user) curl(ctx context.Context, v6 bool) error {
	family := "-4"
	if v6 {
		family = "-6"
	}
	const size = 300_000
	out, err := u.program(ctx, "curl", family, "-sS", "--cacert", u.servers.caFile, fmt.Sprintf("https://%s/%d", serverName, size))
	if err == nil && len(out) != size {
		err = fmt.Errorf("%d bytes of %d", len(out), size)
	}
	return err
}

func (u *user) ssh(ctx context.Context, v6 bool) error {
	out, err := u.program(
		ctx, "ssh", "-F", "none", "-i", u.servers.key, "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
		"root@"+pick(v6, server4, server6).String(), "true",
	)
	if err == nil && len(out) != 100_000 {
		err = fmt.Errorf("%d bytes of 100000", len(out))
	}
	return err
}

// mail is a protocol in which the server speaks first.
func (u *user) mail(ctx context.Context, v6 bool) error {
	c, err := u.dial(ctx, "tcp", netip.AddrPortFrom(pick(v6, server4, server6), portSMTP))
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for _, line := range []string{"EHLO host.example.net\r\n", "QUIT\r\n", ""} {
		if _, err := r.ReadString('\n'); err != nil {
			return err
		}
		io.WriteString(c, line)
	}
	return nil
}

// ask sends one datagram on a new socket and waits for one answer.
func (u *user) ask(ctx context.Context, to netip.AddrPort, b []byte) ([]byte, error) {
	c, err := u.dial(ctx, "udp", to)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return lab.Ask(c, b)
}

func (u *user) dns(ctx context.Context, v6 bool) error {
	id, kind := uint16(rand.Uint32()), uint16(lab.TypeA)
	if rand.IntN(2) == 0 {
		kind = lab.TypeAAAA
	}
	q := lab.DNSQuery(id, fmt.Sprintf("host%d.example.net", rand.IntN(1000)), kind)
	r, err := u.ask(ctx, netip.AddrPortFrom(pick(v6, names4, names6), portDNS), q)
	if err == nil && (len(r) <= len(q) || !bytes.Equal(r[:2], q[:2])) {
		err = fmt.Errorf("wrong answer % x", r)
	}
	return err
}

func (u *user) ntp(ctx context.Context, v6 bool) error {
	q := make([]byte, 48)
	q[0] = 0x23
	copy(q[40:], ntpTime(time.Now()))
	r, err := u.ask(ctx, netip.AddrPortFrom(pick(v6, server4, server6), portNTP), q)
	if err == nil && (len(r) != 48 || !bytes.Equal(r[24:32], q[40:])) {
		err = fmt.Errorf("wrong answer % x", r)
	}
	return err
}

// quic downloads something on a stream of a new QUIC connection.
func (u *user) quic(ctx context.Context, v6 bool) error {
	local := pick(v6, u.host.Addr4, u.host.Addr6)
	c, err := u.host.ListenUDP(netip.AddrPortFrom(local, 0))
	if err != nil {
		return err
	}
	e, err := quic.NewEndpoint(c, nil)
	if err != nil {
		return err
	}
	defer e.Close(ctx)
	to := netip.AddrPortFrom(pick(v6, server4, server6), portTLS)
	conn, err := e.Dial(ctx, "udp", to.String(), u.servers.quicConfig())
	if err != nil {
		return err
	}
	defer conn.Close()
	st, err := conn.NewStream(ctx)
	if err != nil {
		return err
	}
	const size = 100_000
	fmt.Fprintln(st, size)
	st.Flush()
	n, err := io.Copy(io.Discard, st)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes of %d", n, size)
	}
	return err
}

func (u *user) call(ctx context.Context, v6 bool) error {
	c, err := u.dial(ctx, "udp", netip.AddrPortFrom(pick(v6, caller4, caller6), portVoice))
	if err != nil {
		return err
	}
	defer c.Close()
	return call(c, 200)
}

// long makes requests on one TLS connection, which exists before any lock and lasts until
// ctx ends.
func (u *user) long(ctx context.Context, v6 bool) error {
	c, err := u.dial(context.Background(), "tcp", netip.AddrPortFrom(pick(v6, server4, server6), portTLS))
	if err != nil {
		return err
	}
	defer c.Close()
	t := tls.Client(c, &tls.Config{RootCAs: u.servers.cert.Pool, ServerName: serverName})
	r := bufio.NewReader(t)
	for ctx.Err() == nil {
		t.SetDeadline(time.Now().Add(useTimeout))
		fmt.Fprintf(t, "GET /2000 HTTP/1.1\r\nHost: %s\r\n\r\n", serverName)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || n != 2000 {
			return fmt.Errorf("%d bytes of 2000: %v", n, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}
