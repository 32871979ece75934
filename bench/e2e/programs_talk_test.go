// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"crypto/sha1"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// conversations are programs with which people or programs talk. The first three repeat a
// message until there is an answer.
var conversations = []pastime{
	{name: "telnet", begin: telnet},
	{name: "mosh", begin: mosh},
	{name: "IRC, two of ngircd's users", begin: irc},
	{name: "MQTT, mosquitto", begin: mqtt},
	{name: "logger, syslog by UDP and TCP", begin: syslog},
	{name: "Mumble", begin: mumble},
}

func telnet(p *programs) (func() error, error) {
	if err := p.serveAt(2323, "busybox", "telnetd", "-F", "-b", server+":2323", "-l", "/bin/sh"); err != nil {
		return nil, err
	}
	return p.script(`: >t$$
(while ! grep -q 41x42 t$$; do echo "echo $((1 + 40))x"'$((6 * 7))'; sleep .3; done; echo exit) | busybox telnet %s 2323 >t$$ || :
grep -q 41x42 t$$`, server), nil
}

// mosh starts a session directly. Normally it logs in by SSH first, which has its own
// pastime.
func mosh(p *programs) (func() error, error) {
	return func() error {
		out, err := p.lab.Inet.Command("env", "LC_ALL=C.UTF-8", "SHELL=/bin/sh", "ENV=", "mosh-server", "new", "-i", server, "-p", "60010:60100", "--", "/bin/sh").CombinedOutput()
		var port, key string
		_, at, _ := strings.Cut(string(out), "MOSH CONNECT ")
		if n, _ := fmt.Sscan(at, &port, &key); n != 2 {
			return fmt.Errorf("mosh-server: %w: %s", err, out)
		}
		err = p.shell(`: >m$$
(while ! grep -q 41x42 m$$; do sleep .3; echo "echo $((1 + 40))x"'$((6 * 7))'; done; echo exit) |
MOSH_KEY=%s script -qefc 'stty rows 24 cols 80; exec mosh-client %s %s' m$$ >/dev/null
grep -q 41x42 m$$`, key, server, port)
		return err
	}, nil
}

func irc(p *programs) (func() error, error) {
	conf := p.write("ngircd.conf", fmt.Sprintf("[Global]\nName = irc.example.org\nInfo = a\nListen = %s\nPorts = 6667\nMotdPhrase = a\nServerUID = 0\nServerGID = 0\n"+
		"[Limits]\nMaxConnectionsIP = 0\n[Options]\nIdent = no\nDNS = no\nPAM = no\nIncludeDir = /nowhere\n", server))
	if err := p.serveAt(6667, "ngircd", "-n", "-f", conf); err != nil {
		return nil, err
	}
	return p.script(`: >i$$
heard() { grep -q 'hullo you' i$$; }
(while ! heard; do sleep .3; echo ':j #x'; done) | sic -h %s -p 6667 -n a$$ >i$$ &
(while ! heard; do sleep .4; echo ':j #x'; echo ':m #x hullo you'; done) | sic -h %[1]s -p 6667 -n b$$ >/dev/null || :
heard`, server), nil
}

func mqtt(p *programs) (func() error, error) {
	conf := p.write("mosquitto.conf", fmt.Sprintf("listener 1883 %s\nallow_anonymous true\nuser root\n", server))
	if err := p.serveAt(1883, "mosquitto", "-c", conf); err != nil {
		return nil, err
	}
	return p.script("mosquitto_pub -h %s -t t$$ -r -q 1 -f %s; mosquitto_sub -h %[1]s -t t$$ -C 1 -N | cmp - %[2]s", server, small), nil
}

func syslog(p *programs) (func() error, error) {
	at := netip.AddrPortFrom(besideAddrs[0], 5140)
	var got lab.Output
	u, err := p.lab.Inet.ListenUDP(at)
	if err != nil {
		return nil, err
	}
	p.lab.OnClose(func() { u.Close() })
	go io.Copy(&got, u)
	lab.Serve(p.t, p.lab.Inet, at, func(c net.Conn) { io.Copy(&got, c) })
	return func() error {
		name := fmt.Sprint("a", time.Now().UnixNano())
		for _, by := range []string{"udp", "tcp"} {
			if err := p.shell("logger -n %s -P 5140 --%s %s by %[2]s", server, by, name); err != nil {
				return err
			}
			for end := time.Now().Add(p.patience); !strings.Contains(got.String(), name+" by "+by); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					return fmt.Errorf("the message by %s did not come", by)
				}
			}
		}
		return nil
	}, nil
}

// mumble speaks by TLS, and by UDP that is encrypted in its own way. Its client draws
// nothing and has no sound, and asks by UDP every 5 s whether the server is there. It
// begins without a window if it has a certificate of RSA, and knows the server's.
func mumble(p *programs) (func() error, error) {
	const port = 64738
	conf := p.write("mumble/server.ini", fmt.Sprintf("host=%s\nport=%d\ndatabase=%s\nlogfile=\nuname=root\nbonjour=false\nsslCert=%s\nsslKey=%s\n",
		server, port, p.file("mumble/server.sqlite"), p.file("cert.pem"), p.file("key.pem")))
	s, err := p.serve("murmurd", "-fg", "-ini", conf)
	if err == nil {
		err = p.listens(p.lab.Inet.Namespace, netip.AddrPortFrom(besideAddrs[0], port), s)
	}
	if err != nil {
		return nil, err
	}
	home := p.file("mumble")
	p.write("mumble/Documents/x", "")
	p.write("mumble/.config/Mumble/Mumble.conf", "[General]\nlastupdate=2\n[ui]\nusage=false\ndisablepubliclist=true\n")
	p.write("mumble/.local/share/Mumble/Mumble/x", "")
	known := fmt.Sprintf(`import sqlite3
with sqlite3.connect(".local/share/Mumble/Mumble/mumble.sqlite") as db:
	db.execute("CREATE TABLE cert (id INTEGER PRIMARY KEY AUTOINCREMENT, hostname TEXT, port INTEGER, digest TEXT)")
	db.execute("INSERT INTO cert (hostname, port, digest) VALUES ('%s', %d, '%x')")
`, server, port, sha1.Sum(p.cert.TLS.Certificate[0]))
	if err := p.shell(`cd mumble
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=joe 2>&1
openssl pkcs12 -export -inkey key.pem -in cert.pem -passout pass: -out Documents/MumbleAutomaticCertificateBackup.p12
python3 -c '%s'`,
		strings.ReplaceAll(known, "'", `'\''`)); err != nil {
		return nil, err
	}
	// The host counts the server's answers by UDP.
	if _, err := p.host.Run("iptables", "-w", "-I", "INPUT", "-p", "udp", "--sport", fmt.Sprint(port)); err != nil {
		return nil, err
	}
	heard := func() (n int) {
		out, err := p.host.Run("iptables", "-w", "-nvxL", "INPUT", "1")
		if err == nil {
			fmt.Sscan(out, &n)
		}
		return n
	}
	var r *lab.Process
	return func() (err error) {
		if r == nil {
			env := []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home + "/.config", "XDG_DATA_HOME=" + home + "/.local/share", "QT_QPA_PLATFORM=offscreen"}
			if r, err = p.run(p.host.Namespace, env, "mumble", "-m", fmt.Sprintf("mumble://joe@%s:%d/", server, port)); err != nil {
				return err
			}
		}
		before := heard()
		return r.Until("an answer by UDP", p.patience, func() bool {
			time.Sleep(200 * time.Millisecond)
			return heard() > before
		})
	}, nil
}
