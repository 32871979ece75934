// SPDX-License-Identifier: GPL-2.0-or-later

package attacks

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/npm"
	"github.com/p2pwall/p2pwall/bench/webrtc"
)

// torrents makes a client on the host send DHT queries all the time, so that the host
// stays locked.
func (e *env) torrents(h *lab.Host) {
	e.start(func(ctx context.Context) error {
		c, err := h.ListenUDP(netip.AddrPortFrom(h.Addr4, 40404))
		if err != nil {
			return err
		}
		defer c.Close()
		for i := 0; ctx.Err() == nil; i++ {
			to := []netip.Addr{stranger4, stranger4b}[i%2]
			if _, err := c.WriteToUDPAddrPort([]byte(krpcPing), port(to, 6881)); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
		return nil
	})
}

// signals runs the signalling server through which two sides find each other. It also
// serves a page.
func (e *env) signals(page string) *webrtc.Signals {
	e.t.Helper()
	s := webrtc.NewSignals()
	mux := http.NewServeMux()
	mux.Handle("/{what}/{name}", s)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})
	lab.ServeHTTP(e.t, e.lab.Inet, pages, mux)
	return s
}

// rtcProgram returns the command of one side of a session.
type rtcProgram func(t *testing.T) (command []string, env string, err error)

var rtcPrograms = map[string]rtcProgram{
	"libdatachannel": func(*testing.T) ([]string, string, error) { return webrtc.Node(checkout) },
	"pion":           func(t *testing.T) ([]string, string, error) { return webrtc.Pion(checkout, t.TempDir()) },
}

var checkout, _ = filepath.Abs("../..")

// session makes a program on the host start a session with the same program on the
// internet.
func (e *env) session(h *lab.Host, make rtcProgram) *webrtc.Signals {
	e.t.Helper()
	command, more, err := make(e.t)
	if errors.Is(err, npm.ErrMissing) {
		e.t.Skip(err)
	}
	e.ok(err)
	s := e.signals("")
	for name, side := range map[string]*lab.Host{"a": h, "b": e.lab.Inet} {
		arg := append(command[1:len(command):len(command)], "http://"+pages.String(), name)
		cmd := side.Command(command[0], arg...)
		cmd.Env = append(os.Environ(), more)
		out := new(lines)
		cmd.Stdout, cmd.Stderr = out, out
		e.ok(cmd.Start())
		e.t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
			if e.t.Failed() {
				e.t.Logf("side %s:\n%s", name, out.text)
			}
		})
	}
	return s
}

// TestPieces: a BitTorrent client's host sends and receives over data channels, as
// WebTorrent does. No data may pass while the host is locked, whether the session began
// before or after the lock. Without a lock all of it must pass.
//
// Fails on 8048849: the data passes at full speed.
func TestPieces(t *testing.T) {
	t.Parallel()
	for name, program := range rtcPrograms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("locked", func(t *testing.T) {
				e := newEnv(t, setup{})
				h := e.lab.Clients[0]
				e.torrents(h)
				e.locked(h)
				s := e.session(h, program)
				passed := func() bool { a, b := s.Got(); return a+b > 0 }
				// On a busy machine the programs start late.
				e.until("data, or the wall's word that it cut it", func() bool { return passed() || e.cutByPort(h) })
				if e.comes(10*time.Second, passed) {
					a, b := s.Got()
					t.Errorf("the host received %d bytes and sent %d", a, b)
				}
			})
			t.Run("was there before", func(t *testing.T) {
				e := newEnv(t, setup{})
				h := e.lab.Clients[0]
				s := e.session(h, program)
				e.until("data", func() bool { a, b := s.Got(); return a > 50_000 && b > 50_000 })
				if n := e.wall.LastLock(h); n != "" {
					t.Fatalf("%s, and nothing of BitTorrent was said", n)
				}
				e.torrents(h)
				e.locked(h)
				time.Sleep(2 * time.Second) // the lock may take this long
				a, b := s.Got()
				time.Sleep(4 * time.Second)
				if a2, b2 := s.Got(); a2 > a || b2 > b {
					t.Errorf("two seconds after the lock the host received %d bytes more and sent %d", a2-a, b2-b)
				}
				if !e.cutByPort(h) {
					t.Error("the wall does not say that it cut something")
				}
			})
		})
	}
}

// cutByPort reports whether the wall has said that it cut a flow of the host.
func (e *env) cutByPort(h *lab.Host) bool {
	return slices.ContainsFunc(e.wall.Seen(), func(ev lab.Event) bool {
		return ev.Class == "peer" && ev.Event == "cut" && (ev.Client == h.Addr4.String() || ev.Client == h.Addr6.String())
	})
}

// callPage makes a call with artificial video and audio and a data channel.
const callPage = `<!doctype html><meta charset="utf-8"><title>call</title><canvas id="c" width="160" height="120"></canvas><script>
const name = location.hash.slice(1)
const post = (what, body) => fetch('/' + what + '/' + name, {method: 'POST', body})
let got = 0
const main = async () => {
	const c = new RTCPeerConnection()
	let last = Promise.resolve() // in the order in which it is said
	const put = (m) => { last = last.then(() => post('put', JSON.stringify(m))) }
	c.onicecandidate = (e) => { if (e.candidate) put({candidate: e.candidate}) }
	const use = (d) => {
		d.binaryType = 'arraybuffer'
		d.onmessage = (m) => { got += m.data.byteLength }
		d.onopen = () => setInterval(() => { if (d.bufferedAmount < 65536) d.send(new ArrayBuffer(1000)) }, 50)
	}
	c.ondatachannel = (e) => use(e.channel)
	const canvas = document.getElementById('c')
	const paint = canvas.getContext('2d')
	setInterval(() => {
		paint.fillStyle = '#' + Math.random().toString(16).slice(2, 8)
		paint.fillRect(160 * Math.random(), 120 * Math.random(), 40, 40)
	}, 50)
	for (const t of canvas.captureStream(10).getTracks()) c.addTrack(t)
	const sound = new AudioContext()
	const voice = sound.createMediaStreamDestination()
	const tone = sound.createOscillator()
	tone.connect(voice)
	tone.start()
	for (const t of voice.stream.getTracks()) c.addTrack(t)
	// What is told is the least of the three: data, pictures and voice all have to go on.
	setInterval(async () => {
		const of = {data: got, video: 0, audio: 0}
		for (const s of (await c.getStats()).values()) if (s.type === 'inbound-rtp') of[s.kind] += s.packetsReceived
		post('got', String(Math.min(of.data / 1000 | 0, of.video, of.audio)))
	}, 250)
	const describe = async (d) => { put({sdp: d}); await c.setLocalDescription(d) }
	if (name === 'a') {
		use(c.createDataChannel('x'))
		await describe(await c.createOffer())
	}
	for (;;) {
		const r = await fetch('/get/' + name)
		if (r.status !== 200) continue
		const m = await r.json()
		if (m.candidate) await c.addIceCandidate(m.candidate)
		else {
			await c.setRemoteDescription(m.sdp)
			if (name === 'b') await describe(await c.createAnswer())
		}
	}
}
main()
</script>`

// TestCall: two browsers have a call and a data channel. The call must continue while one
// browser's host is locked for BitTorrent, whether the call began before or after the
// lock.
//
// Passes on 8048849, which recognises STUN and DTLS.
func TestCall(t *testing.T) {
	lab.Need(t, "chromium")
	for _, before := range []bool{false, true} {
		t.Run(map[bool]string{false: "began when locked", true: "was there before"}[before], func(t *testing.T) {
			e := newEnv(t, setup{serial: true})
			h := e.lab.Clients[0]
			s := e.signals(callPage)
			if !before {
				e.torrents(h)
				e.locked(h)
			}
			url := "http://" + pages.String() + "/#"
			e.browse(e.lab.Inet, url+"b")
			e.browse(h, url+"a")
			e.until("the call", func() bool { a, b := s.Got(); return a > 20 && b > 20 })
			if before {
				e.torrents(h)
				e.locked(h)
			}
			since := time.Now()
			for time.Since(since) < 12*time.Second {
				a, b := s.Got()
				// On a busy machine a browser may do nothing for seconds.
				if !e.comes(20*time.Second, func() bool { a2, b2 := s.Got(); return a2 > a && b2 > b }) {
					t.Errorf("the call stands still at %d and %d, %v after the lock", a, b, time.Since(since))
					break
				}
				time.Sleep(time.Second)
			}
			if e.wall.LastLock(h) != "locked" {
				t.Error("the host was not locked all the time")
			}
			for _, p := range e.lab.Lost(h) {
				if p.Proto == lab.UDP && !strings.Contains(p.Src.String()+p.Dst.String(), ":40404") {
					t.Errorf("lost: %s", &p)
					break
				}
			}
		})
	}
}
