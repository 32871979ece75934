// SPDX-License-Identifier: GPL-2.0-or-later

package attacks

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// The address of the web site, and the targets of its scripts.
var (
	pages   = netip.MustParseAddrPort("198.51.100.9:8080")
	targets = []netip.Addr{stranger4, stranger4b}
)

// pageAttacks are what a page makes a browser do. Each is the body of an asynchronous
// JavaScript function, which can use:
//
//	targets           addresses of web servers that allow every request, IPv4 and IPv6
//	handshake, hash   a BitTorrent handshake, and the hash of a FastTrack file
//	get(url, options) fetch; a failure is reported
//	quiet(p)          waits at most a second for a promise and ignores failures
var pageAttacks = []struct {
	name   string
	script string
	// before8048849 is the result on that revision.
	before8048849 string
}{
	{"image with hash=0", `for (const t of targets) { await quiet(image('http://' + t + ':8081/.hash=0')) }`, "fails: locked strictly"},
	{"image with a whole hash", `for (const t of targets) { await quiet(image('http://' + t + ':8081/.hash=' + hash)) }`, "fails: locked strictly"},
	{"files of Gnutella", `
		const headers = {'X-Gnutella-Content-URN': 'urn:sha1:LXIP2A72', 'X-Features': 'tls/1.0', 'X-Queue': '1.1', 'Accept': 'application/x-gnutella-packets'}
		for (const t of targets) {
			await quiet(image('http://' + t + ':8081/uri-res/N2R?urn:sha1:LXIP2A72T5H3BU3GRUMZFYNU3OYDK6FI'))
			await get('http://' + t + ':8081/uri-res/N2R?urn:sha1:LXIP2A72T5H3BU3GRUMZFYNU3OYDK6FI', {headers})
			await get('http://' + t + ':8081/x', {headers, method: 'POST', body: 'GNUTELLA CONNECT/0.6\r\n\r\n'})
			await get('http://' + t + ':8081/x', {method: 'POST', body: '\nHSUP ADBASE ADTIGR\n$MyNick a|$Lock b Pk=c|'})
		}`, "knows no Gnutella"},
	{"Direct Connect", `
		const login = 'HSUP ADBAS0 ADBASE ADTIGR\n', names = '$MyNick bob|$Lock EXTENDEDPROTOCOL Pk=x|', key = '$Supports NoHello|$Key 4|$ValidateNick bob|'
		for (const t of targets) {
			for (const text of [login, 'CSUP ADBASE ADTIGR\n', names, key]) {
				for (const p of [8081, 411, 1511, 3412]) {
					await quiet(fetch('http://' + t + ':' + p + '/x', {method: 'POST', mode: 'no-cors', body: new Blob([text])}))
				}
				await quiet(new Promise((done) => {
					const w = new WebSocket('ws://' + t + ':8081/socket')
					w.onopen = () => { w.send(text); w.send(new TextEncoder().encode(text)) }
					w.onmessage = w.onerror = done
				}))
			}
		}
		await get('http://dchublist.org/500', {mode: 'no-cors'})
		await quiet(image('http://dchublist.org:8081/hublist.xml.bz2'))`, "does not know it"},
	{"Kazaa's headers", `
		const headers = {'X-Kazaa-Username': 'x', 'X-Kazaa-Network': 'KaZaA', 'X-Kazaa-IP': '203.0.113.9:1214', 'X-Kazaa-SupernodeIP': '192.0.2.53:53'}
		for (const t of targets) {
			await get('http://' + t + ':8081/.hash=' + hash, {headers})
			await get('http://' + t + ':8081/x', {headers, method: 'POST', body: 'GIVE 1\r\n'})
			await new Promise((done) => {
				const x = new XMLHttpRequest()
				x.open('GET', 'http://' + t + ':8081/y')
				for (const h in headers) x.setRequestHeader(h, headers[h])
				x.onloadend = done
				x.send()
			})
		}`, "fails: locked strictly"},
	{"Kazaa's answers", `
		for (const t of targets) {
			await get('http://' + t + ':8081/kazaa')
			await quiet(image('http://' + t + ':8081/kazaa'))
		}`, "fails: locked strictly, and cut from the name server that the answer names"},
	{"eDonkey's logins", `
		const login = Uint8Array.from(donkey)
		for (const t of targets) {
			await get('http://' + t + ':8081/login', {method: 'POST', body: login})
			await quiet(new Promise((done) => {
				const s = new WebSocket('ws://' + t + ':8081/socket')
				s.binaryType = 'arraybuffer'
				s.onopen = () => { s.send(login); s.send(login) }
				s.onmessage = s.onerror = done
			}))
		}`, ""},
	{"greetings", `
		const hello = ['\x13/multistream/1.0.0\n\x07/noise\n', '\x03\x00\x5a\x04\x03\x05', 'ajprot\r\n\x00\x91',
			'PublicKey: ' + '0aF3'.repeat(20) + '\n', '\x3e\x00\x00\x00\x7d\x00\x00\x00\x64']
		for (const t of targets) {
			for (const text of hello) {
				await get('http://' + t + ':8081/x', {method: 'POST', mode: 'no-cors', body: new Blob([text])})
				await quiet(new Promise((done) => {
					const w = new WebSocket('ws://' + t + ':8081/socket')
					w.onopen = () => { w.send(text); w.send(new TextEncoder().encode(text)) }
					w.onmessage = w.onerror = done
				}))
			}
			for (const p of [4001, 9855]) await quiet(image('http://' + t + ':' + p + '/x'))
		}
		await get('http://bootstrap.libp2p.io/500', {mode: 'no-cors'})`, "does not know them"},
	{"forms", `
		for (const t of targets) {
			for (const kind of ['multipart/form-data', 'text/plain', 'application/x-www-form-urlencoded']) {
				await quiet(new Promise((done) => {
					const frame = document.createElement('iframe')
					frame.name = 'f' + Math.random()
					const form = document.createElement('form')
					form.action = 'http://' + t + ':8081/form'
					form.method = 'POST'
					form.enctype = kind
					form.target = frame.name
					for (const text of [handshake, 'GIVE 1\r\n', 'GET /.hash=' + hash + ' HTTP/1.1\r\nX-Kazaa-Network: KaZaA\r\n\r\n']) {
						const field = document.createElement('textarea')
						field.name = text
						field.value = text
						form.append(field)
					}
					document.body.append(frame, form)
					frame.onload = done
					form.submit()
				}))
			}
			await get('http://' + t + ':8081/raw', {method: 'POST', mode: 'no-cors', body: new Blob([handshake], {type: 'text/plain'})})
		}`, "passes: only what a connection begins with is looked at"},
	{"announces", `
		const id = '%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f%10%11%12%13%14'
		for (const t of targets) {
			await quiet(image('http://' + t + ':8081/announce?info_hash=' + id + '&peer_id=-TR3000-abcdefghijkl&port=51413&uploaded=0&downloaded=0&left=1&compact=1&event=started'))
			await get('http://' + t + ':8081/announce.php?info_hash=' + id + '&peer_id=-qB4650-abcdefghijkl&port=6881&left=1')
			await get('http://' + t + ':8081/scrape?info_hash=' + id)
		}`, "fails: locked"},
	{"listed names", `
		for (const n of ['router.bittorrent.com', 'dht.transmissionbt.com', 'www.winmx.com', 'server.napster.com']) {
			await get('http://' + n + '/500', {mode: 'no-cors'})
			await quiet(image('http://' + n + ':8081/x'))
		}`, "fails where another program of the host opens a connection with random first data"},
	{"WebSockets", `
		for (const t of targets) {
			await quiet(new Promise((done, failed) => {
				const w = new WebSocket('ws://' + t + ':8081/socket')
				w.binaryType = 'arraybuffer'
				let n = 0
				w.onopen = () => { for (let i = 0; i < 5; i++) { w.send(new TextEncoder().encode(handshake)); w.send(handshake) } }
				w.onmessage = () => { if (++n == 5) { w.close(); done() } }
				w.onerror = failed
			}))
		}`, "passes: a WebSocket is HTTP"},
	{"WebRTC", `
		const servers = []
		const ports = [4672, 4662, 6346, 3412, 4001, 2234]
		for (let i = 0; i < 20; i++) servers.push({urls: 'stun:' + targets[i % targets.length] + ':' + (ports[i] || 6881 + i)})
		const a = new RTCPeerConnection({iceServers: servers})
		a.createDataChannel('x')
		await a.setLocalDescription(await a.createOffer())
		// The other end is made up: it has a hundred addresses.
		const b = new RTCPeerConnection()
		await b.setRemoteDescription(a.localDescription)
		await b.setLocalDescription(await b.createAnswer())
		await a.setRemoteDescription(b.localDescription)
		for (let i = 0; i < 100; i++) {
			const to = ['203.0.113.', '198.51.100.', '192.0.2.'][i % 3] + (20 + 2 * i)
			await quiet(a.addIceCandidate({candidate: 'candidate:1 1 udp 2130706431 ' + to + ' ' + (ports[i] || 6881) + ' typ host', sdpMid: '0', sdpMLineIndex: 0}))
		}
		await new Promise((done) => setTimeout(done, 2000))
		a.close()
		b.close()`, "passes: STUN is known"},
	{"Soulseek", `
		const login = '\x1f\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00labuser\x08\x00\x00\x00mldonkey'
		for (const t of targets) {
			for (const p of [2234, 2242]) {
				await quiet(fetch('http://' + t + ':' + p + '/', {method: 'POST', mode: 'no-cors', body: new Blob([login])}))
				await quiet(image('http://' + t + ':' + p + '/x'))
			}
		}
		await quiet(image('http://server.slsknet.org:8081/x'))`, "does not know Soulseek"},
	{"QUIC", `
		for (const t of targets) {
			for (let i = 0; i < 3; i++) {
				const q = new WebTransport('https://' + t + ':4001/')
				q.closed.catch(() => {})
				await quiet(q.ready)
				q.close()
			}
		}`, "does not know IPFS"},
	{"dead addresses", `
		const all = []
		for (let i = 0; i < 60; i++) all.push(quiet(fetch('http://192.0.2.' + (130 + i) + ':' + (1214 + i) + '/', {mode: 'no-cors'})))
		await Promise.all(all)`, "passes: unanswered connections alone are no sign there"},
}

// pageHead and pageTail go around an attack. Afterwards the browser must still work.
const (
	pageHead = `<!doctype html><meta charset="utf-8"><title>attack</title><body><script>
const targets = %s
const hash = 'a65b5f21a110182b2d8df6c36adcef8bbf63ffff'
const handshake = '\x13BitTorrent protocol' + '\x00'.repeat(8) + 'ABCDEFGHIJKLMNOPQRST' + '-qB4650-abcdefghijkl'
const donkey = [0xe3, 0x3f, 0, 0, 0, 1, ...Array(16).fill(7), 0, 0, 0, 0, 0x36, 0x12, 4, 0, 0, 0,
	2, 1, 0, 1, 6, 0, 0x6a, 0x66, 0x67, 0x62, 0x6f, 0x71, 3, 1, 0, 0x11, 0x3e, 0, 0, 0, 3, 1, 0, 0x20, 0x0d, 1, 0, 0, 3, 1, 0, 0xfb, 0x80, 8, 6, 10]
const failures = []
const within = (p, ms) => Promise.race([p, new Promise((_, no) => setTimeout(() => no('nothing for ' + ms + ' ms'), ms))])
const get = (url, options) => within(fetch(url, {cache: 'no-store', ...options}).then((r) => r.text()), 6000)
	.catch((why) => failures.push(url + ': ' + why))
const quiet = (p) => within(p, 1000).catch(() => {})
const image = (url) => new Promise((done) => {
	const i = new Image()
	i.onload = i.onerror = done
	i.src = url
	document.body.append(i)
})
const attack = async () => {`
	pageTail = `}
const main = async () => {
	await attack().catch((why) => failures.push('the attack: ' + why))
	for (let round = 0; round < 3; round++) {
		const all = []
		for (let i = 0; i < 8; i++) all.push(get('http://192.0.2.' + (20 + i) + '/' + (500 + round), {mode: 'no-cors'}))
		all.push(get('http://[2001:db8:ff::20]/500', {mode: 'no-cors'}), get('http://www.example.net/500', {mode: 'no-cors'}))
		await Promise.all(all)
	}
	for (let i = 0; i < 20; i++) {
		try { await fetch('/report', {method: 'POST', body: failures.join('\n')}); return } catch { await new Promise((done) => setTimeout(done, 500)) }
	}
}
main()
</script>`
)

// site serves the page and the attack's other resources, and receives the page's report.
type site struct {
	page    string
	reports chan string
	asked   chan string // what targets were asked for: paths, or QUIC; dropped when full
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "X-Kazaa-Username, X-Kazaa-Network, X-Kazaa-IP, X-Kazaa-SupernodeIP, X-Gnutella-Content-URN, X-Features, X-Queue")
	switch r.URL.Path {
	case "/":
		h.Set("Content-Type", "text/html")
		io.WriteString(w, s.page)
	case "/report":
		b, _ := io.ReadAll(r.Body)
		select {
		case s.reports <- string(b):
		default:
		}
	default:
		switch r.URL.Path {
		case "/socket":
			socket(w, r)
			return
		case "/kazaa": // a FastTrack client's answer
			h.Set("X-Kazaa-Username", "x")
			h.Set("X-Kazaa-SupernodeIP", "192.0.2.53:53")
		}
		select {
		case s.asked <- r.URL.Path:
		default:
		}
		io.Copy(io.Discard, r.Body)
		// A tracker's answer.
		io.WriteString(w, "d8:intervali60e5:peers6:\xc0\x00\x02\x35\x00\x35e")
	}
}

// socket is a WebSocket that answers each message with a BitTorrent handshake.
func socket(w http.ResponseWriter, r *http.Request) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	for range 5 {
		rw.Write(append([]byte{0x82, byte(len(handshake))}, handshake...))
	}
	rw.Flush()
	io.Copy(io.Discard, rw)
}

// TestPage opens a page in a real browser. The page makes the browser do what a page can
// do.
//
// For 8048849 see pageAttacks.
func TestPage(t *testing.T) {
	lab.Need(t, "chromium")
	// Only two browsers at a time: each needs seconds of a processor to start.
	for i := range 2 {
		t.Run(fmt.Sprintf("browser %d", i), func(t *testing.T) {
			t.Parallel()
			for j, attack := range pageAttacks {
				if j%2 == i {
					t.Run(attack.name, func(t *testing.T) { page(t, attack.name, attack.script) })
				}
			}
		})
	}
}

func page(t *testing.T, name, script string) {
	block := map[string]string{"mode": "block"}
	e := newEnv(t, setup{serial: true, protocols: map[string]map[string]string{"winmx": block, "opennap": block, "ipfs": block}})
	h := e.lab.Clients[0]
	e.nameServer()
	lab.Serve(e.t, e.lab.Inet, lab.Any(8388), lab.Echo)
	// The internet drops packets to these addresses.
	_, err := e.lab.Inet.Run("iptables", "-w", "-A", "INPUT", "-d", "192.0.2.128/25", "-j", "DROP")
	e.ok(err)
	s := &site{reports: make(chan string, 1), asked: make(chan string, 100)}
	quoted := make([]string, len(targets))
	for i, a := range targets {
		quoted[i] = "'" + a.String() + "'"
	}
	s.page = fmt.Sprintf(pageHead, "["+strings.Join(append(quoted, "'["+stranger6.String()+"]'"), ", ")+"]") + script + pageTail
	for _, p := range []uint16{pages.Port(), 8081} {
		lab.ServeHTTP(t, e.lab.Inet, lab.Any(p), s)
	}
	e.hearQUIC(s.asked)
	v := e.user(h, true, lab.InnocentConfig{IPv6: true, Every: 300 * time.Millisecond})
	e.browse(h, "http://"+pages.String()+"/")
	var report string
	select {
	case report = <-s.reports:
	case <-time.After(patience):
		report = "no report came"
	}
	for _, line := range strings.Split(report, "\n") {
		if line != "" {
			t.Errorf("the browser says: %s", line)
		}
	}
	if name != "WebRTC" && name != "dead addresses" && len(s.asked) == 0 {
		t.Error("the browser did not do what it was to")
	}
	// A page can at most make a host a suspect. Other programs' traffic must continue.
	for _, to := range []netip.Addr{netip.MustParseAddr("192.0.2.40"), netip.MustParseAddr("2001:db8:ff::40")} {
		if err := randomFirst(h, port(to, 8388)); err != nil {
			t.Errorf("another program of the host: %v", err)
		}
	}
	v.unharmed()
}

// hearQUIC listens at a usual port of IPFS, and notes when a QUIC session begins there. It
// does not answer.
func (e *env) hearQUIC(asked chan<- string) {
	e.t.Helper()
	u, err := e.lab.Inet.ListenUDP(lab.Any(4001))
	e.ok(err)
	e.t.Cleanup(func() { u.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, err := u.Read(b)
			if err != nil {
				return
			}
			if n >= 1200 && b[0]&0xc0 == 0xc0 {
				select {
				case asked <- "QUIC":
				default:
				}
			}
		}
	}()
}

// nameServer runs a name server on the router, as usual. Ordinary servers listen at the
// addresses that it knows. It has no addresses for the names that the browser looks up by
// itself.
func (e *env) nameServer() {
	e.t.Helper()
	e.ok(e.lab.StartDNS(e.lab.Router, port(lab.Router4, 53), lab.Names{Addrs: map[string][]netip.Addr{
		"www.example.net":        {netip.MustParseAddr("192.0.2.30"), netip.MustParseAddr("2001:db8:ff::30")},
		"server.slsknet.org":     {netip.MustParseAddr("192.0.2.62")},
		"router.bittorrent.com":  {netip.MustParseAddr("192.0.2.60")},
		"dht.transmissionbt.com": {netip.MustParseAddr("192.0.2.61"), netip.MustParseAddr("2001:db8:ff::61")},
		"www.winmx.com":          {netip.MustParseAddr("192.0.2.62")},
		"server.napster.com":     {netip.MustParseAddr("192.0.2.63")},
		"bootstrap.libp2p.io":    {netip.MustParseAddr("192.0.2.64")},
		"dchublist.org":          {netip.MustParseAddr("192.0.2.65")},
	}}))
}

// browse opens a page in a browser on a host. The browser ends with the test.
func (e *env) browse(h *lab.Host, url string) {
	e.t.Helper()
	dir := e.t.TempDir()
	resolv := filepath.Join(dir, "resolv.conf")
	e.ok(os.WriteFile(resolv, []byte("nameserver "+lab.Router4.String()+"\n"), 0o644))
	// A command under "ip netns exec" has its own mounts.
	cmd := h.Command("sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec chromium "$@"`, resolv,
		"--headless", "--log-level=3", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
		"--autoplay-policy=no-user-gesture-required",
		"--unsafely-treat-insecure-origin-as-secure=http://"+pages.String(), // for WebTransport
		"--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable", "--user-data-dir="+filepath.Join(dir, "profile"), url)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out lines
	cmd.Stdout, cmd.Stderr = &out, &out
	e.ok(cmd.Start())
	e.t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if e.t.Failed() {
			e.t.Logf("the browser:\n%s", out.text)
		}
	})
}

// lines keeps the last part of a program's output.
type lines struct{ text string }

func (l *lines) Write(b []byte) (int, error) {
	l.text += string(b)
	l.text = l.text[max(0, len(l.text)-2000):]
	return len(b), nil
}
