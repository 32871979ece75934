// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/quic"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// The ports of the ordinary servers.
const (
	portSSH   = 22
	portSMTP  = 25
	portDNS   = 53
	portHTTP  = 80
	portNTP   = 123
	portTLS   = 443 // also QUIC
	portVoice = 19305
	portSTUN  = 19302
)

// stunName is the STUN server of many programs. It tells them their address.
const stunName = "stun.l.google.com"

// The names in the certificate. listedTracker is one of the trackers of WebTorrent that the
// wall knows by name.
const (
	serverName    = "www.example.net"
	trackerName   = "tracker.example.org"
	listedTracker = "tracker.openwebtorrent.com"
)

var certOnce = sync.OnceValues(func() (*lab.Certificate, error) { return lab.NewCertificate(serverName, trackerName, listedTracker) })

// quiet discards the log of servers whose clients often break connections.
var quiet = log.New(io.Discard, "", 0)

// servers are the ordinary servers, on the addresses server4 and server6.
type servers struct {
	lab    *lab.Lab
	cert   *lab.Certificate
	key    string // file with the SSH client's key
	caFile string
}

func startServers(l *lab.Lab, dir string) (*servers, error) {
	cert, err := certOnce()
	if err != nil {
		return nil, err
	}
	s := &servers{lab: l, cert: cert, caFile: filepath.Join(dir, "ca.pem")}
	if err := os.WriteFile(s.caFile, cert.PEM, 0o644); err != nil {
		return nil, err
	}
	for _, a := range []netip.Addr{server4, server6} {
		if err := s.at(a); err != nil {
			return nil, err
		}
	}
	for _, a := range []netip.Addr{caller4, caller6} {
		for _, port := range []uint16{portVoice, portSTUN} {
			if err := s.udp(netip.AddrPortFrom(a, port), voiceAnswer); err != nil {
				return nil, err
			}
		}
	}
	// Each login receives bytes as a download.
	s.key, err = l.StartSSHD(dir, "head -c 100000 /dev/zero", netip.AddrPortFrom(server4, portSSH), netip.AddrPortFrom(server6, portSSH))
	return s, err
}

// at starts the servers at one address.
func (s *servers) at(a netip.Addr) error {
	web := http.HandlerFunc(serveBytes)
	for _, port := range []uint16{portHTTP, portTLS} {
		l, err := s.lab.Inet.ListenTCP(netip.AddrPortFrom(a, port))
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: web, ErrorLog: quiet, TLSConfig: &tls.Config{Certificates: []tls.Certificate{s.cert.TLS}}}
		s.lab.OnClose(func() { srv.Close() })
		if port == portTLS {
			go srv.ServeTLS(l, "", "")
		} else {
			go srv.Serve(l)
		}
	}
	mail, err := s.lab.Inet.ListenTCP(netip.AddrPortFrom(a, portSMTP))
	if err != nil {
		return err
	}
	s.lab.OnClose(func() { mail.Close() })
	go lab.Accept(mail, serveMail)
	if err := s.udp(netip.AddrPortFrom(a, portNTP), ntpAnswer); err != nil {
		return err
	}
	return s.quic(netip.AddrPortFrom(a, portTLS))
}

// serveBytes answers GET /N with N octets.
func serveBytes(w http.ResponseWriter, r *http.Request) {
	if n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/")); err == nil && n >= 0 {
		w.Header().Set("Content-Length", strconv.Itoa(n))
		io.CopyN(w, zeros{}, int64(n))
		return
	}
	http.NotFound(w, r)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// serveMail sends first and answers every line with 250.
func serveMail(c net.Conn) {
	defer c.Close()
	io.WriteString(c, "220 mail.example.net ESMTP\r\n")
	for r := bufio.NewScanner(c); r.Scan(); {
		io.WriteString(c, "250 mail.example.net\r\n")
	}
}

// udp answers datagrams at an address.
func (s *servers) udp(at netip.AddrPort, answer func(b []byte, from netip.AddrPort) []byte) error {
	c, err := s.lab.Inet.ListenUDP(at)
	if err != nil {
		return err
	}
	s.lab.OnClose(func() { c.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if reply := answer(buf[:n], from); reply != nil {
				c.WriteToUDPAddrPort(reply, from)
			}
		}
	}()
	return nil
}

// ntpAnswer is a server's reply (RFC 5905). Its origin time is the client's time.
func ntpAnswer(q []byte, _ netip.AddrPort) []byte {
	if len(q) != 48 || q[0]&7 != 3 {
		return nil
	}
	b := make([]byte, 48)
	b[0], b[1], b[2], b[3] = 0x24, 2, q[2], 0xec
	copy(b[12:], "GPS\x00")
	copy(b[24:], q[40:48])
	now := ntpTime(time.Now())
	copy(b[16:], now)
	copy(b[32:], now)
	copy(b[40:], now)
	return b
}

func ntpTime(t time.Time) []byte {
	const from1900 = 2208988800
	b := binary.BigEndian.AppendUint32(nil, uint32(t.Unix()+from1900))
	return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond())<<2)
}

// quic answers each stream with the number of bytes in the stream's first line.
func (s *servers) quic(at netip.AddrPort) error {
	c, err := s.lab.Inet.ListenUDP(at)
	if err != nil {
		return err
	}
	e, err := quic.NewEndpoint(c, s.quicConfig())
	if err != nil {
		return err
	}
	s.lab.OnClose(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		e.Close(ctx)
	})
	go func() {
		for {
			conn, err := e.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				for {
					st, err := conn.AcceptStream(context.Background())
					if err != nil {
						return
					}
					var n int64
					if _, err := fmt.Fscanln(st, &n); err != nil {
						st.Close()
						continue
					}
					io.CopyN(st, zeros{}, n)
					st.Close()
				}
			}()
		}
	}()
	return nil
}

func (s *servers) quicConfig() *quic.Config {
	return &quic.Config{TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h3"}, ServerName: serverName,
		Certificates: []tls.Certificate{s.cert.TLS}, RootCAs: s.cert.Pool,
	}}
}
