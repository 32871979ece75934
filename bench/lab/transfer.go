// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// TransferConfig describes a client whose UDP is switched off.
type TransferConfig struct {
	Port  uint16  // its own port for pushes, TCP; 1214
	Speed float64 // 1
	// Gap is the time between two downloads; 5 s. A negative value means pushes only.
	Gap time.Duration
	// Request is the head of the request. "" means giFT's, from a capture.
	Request string
	// Split cuts the request into segments of this many bytes. 0 sends it in one segment.
	Split int
}

// Transfer is a simulated client with UDP disabled. It downloads a file from TransferPeer
// over HTTP again and again. When somebody connects to its port and sends GIVE, it
// requests the file on that connection. It answers requests for a file with "not found".
type Transfer struct {
	*client
	cfg TransferConfig
}

// giftRequest is giFT's request from a capture, with a fixed id. giFT's id is random.
const giftRequest = "GET /.hash=" + FileHash + " HTTP/1.1\r\n" +
	"Range: bytes=0-39999\r\nUserAgent: giFT-FastTrack 0.8.9\r\nX-Kazaa-Network: KaZaA\r\n" +
	"X-Kazaa-Username: giFTed\r\nConnection: Close\r\n" +
	"X-Kazaa-XferUid: f9dpSwcq8oRARvjszpXHo1CYw8r6pkmc/8iCfoyRTDs=\r\nHost: 203.0.113.77:1214\r\n\r\n"

// NewTransfer makes a client on a host.
func NewTransfer(h *Host, cfg TransferConfig) *Transfer {
	if cfg.Port == 0 {
		cfg.Port = 1214
	}
	orDuration(&cfg.Gap, 5*time.Second)
	if cfg.Request == "" {
		cfg.Request = giftRequest
	}
	return &Transfer{client: newClient(h, cfg.Speed), cfg: cfg}
}

// Run runs the client until ctx ends or Close is called.
func (t *Transfer) Run(ctx context.Context) error {
	ctx = t.begin(ctx)
	defer t.end()
	l, err := t.host.ListenTCP(netip.AddrPortFrom(netip.Addr{}, t.cfg.Port))
	if err != nil {
		return err
	}
	defer l.Close()
	t.spawn(func() { t.accept(ctx, l) })
	if t.cfg.Gap < 0 {
		<-ctx.Done()
		return nil
	}
	for {
		if conn, err := t.connect(ctx, TransferPeer, 5*time.Second); err == nil {
			t.download(ctx, conn, bufio.NewReader(conn))
		}
		if !t.sleep(ctx, t.cfg.Gap) {
			return nil
		}
	}
}

// accept handles pushes.
func (t *Transfer) accept(ctx context.Context, l *net.TCPListener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		t.spawn(func() {
			r := bufio.NewReader(conn)
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			line, err := r.ReadString('\n')
			switch {
			case err == nil && strings.HasPrefix(line, "GIVE "):
				t.download(ctx, conn, r)
				return
			case err == nil && strings.HasPrefix(line, "GET "): // giFT's answer to a request for a file that it does not have
				fmt.Fprintf(conn, "HTTP/1.1 404 Not Found\r\nServer: giFT-FastTrack 0.8.9\r\nX-Kazaa-Username: giFTed\r\nX-Kazaa-Network: KaZaA\r\n\r\n")
			}
			conn.Close()
		})
	}
}

// download requests the file on a connection and reads the answer.
func (t *Transfer) download(ctx context.Context, conn net.Conn, r *bufio.Reader) {
	opened := time.Now()
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	patience := max(t.scale(sessionPatience), time.Second)
	conn.SetDeadline(time.Now().Add(patience))
	rest := t.cfg.Request
	for len(rest) > 0 {
		n := len(rest)
		if t.cfg.Split > 0 {
			n = min(n, t.cfg.Split)
		}
		t.acted(func(*Observations) {})
		if _, err := io.WriteString(conn, rest[:n]); err != nil {
			return
		}
		rest = rest[n:]
		if len(rest) > 0 {
			time.Sleep(2 * time.Millisecond) // so that the next piece gets its own segment
		}
	}
	got := func(n int64) {
		life := time.Since(opened)
		t.note(func(o *Observations) {
			o.BytesIn += int(n)
			o.Longest = max(o.Longest, life)
		})
	}
	var size int64
	for {
		line, err := r.ReadString('\n')
		got(int64(len(line)))
		if err != nil {
			return
		}
		fmt.Sscanf(line, "Content-Length: %d", &size)
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	n, err := io.CopyN(io.Discard, r, size)
	got(n)
	if err == nil && size > 0 {
		t.note(func(o *Observations) { o.Transfers++ })
	}
}
