// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// tunnel is a virtual private network between the host and a server.
type tunnel struct {
	name string
	// begin starts the server, and up starts the client. The host then reaches the server
	// at tunnelled(net, 1).
	begin func(p *programs, net int) (up func() (*lab.Process, error), err error)
}

// tunnelled is an address in a tunnel's network. who is 1 for the server and 2 for the
// host.
func tunnelled(net, who int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 8, byte(net), byte(who)})
}

// tunnelNets are the networks of all tunnels.
const tunnelNets = "10.8.0.0/16"

// vpns are all tunnels under test.
var vpns = []tunnel{
	{"OpenVPN, UDP, port 1194", openVPN("udp4", besideAddrs[0], 1194, tlsAuth)},
	{"OpenVPN, UDP, port 443, tls-crypt", openVPN("udp4", besideAddrs[0], 443, tlsCrypt)},
	{"OpenVPN, UDP, port 31194, tls-crypt", openVPN("udp4", besideAddrs[0], 31194, tlsCrypt)},
	{"OpenVPN, UDP, port 11195, IPv6", openVPN("udp6", besideAddrs[1], 11195, tlsCrypt)},
	{"OpenVPN, UDP, port 11196, static key", openVPN("udp4", besideAddrs[0], 11196, staticKey)},
	{"OpenVPN, TCP, port 1194", openVPN("tcp4", besideAddrs[0], 1194, tlsAuth)},
	{"OpenVPN, TCP, port 443, tls-crypt", openVPN("tcp4", besideAddrs[0], 443, tlsCrypt)},
	{"OpenVPN, TCP, port 31194, tls-crypt", openVPN("tcp4", besideAddrs[0], 31194, tlsCrypt)},
	{"OpenVPN, TCP, port 11196, static key", openVPN("tcp4", besideAddrs[0], 11196, staticKey)},
	{"WireGuard, port 51820", wireGuard(51820, netip.AddrPortFrom(besideAddrs[0], 51820))},
	{"WireGuard, port 2408, IPv6", wireGuard(2408, netip.AddrPortFrom(besideAddrs[1], 2408))},
	{"WireGuard with reserved bytes, as WARP", warp},
	{"fastd", fastd},
	{"tinc", tinc},
}

// tunnels are the vpns as pastimes: each use starts the tunnel and fetches a file through
// it.
var tunnels = func() []pastime {
	var all []pastime
	for i, v := range vpns {
		all = append(all, pastime{name: v.name, begin: func(p *programs) (func() error, error) {
			up, err := v.begin(p, i)
			return func() error {
				r, err := up()
				if err != nil {
					return err
				}
				defer r.Stop()
				if err := p.reaches(r, i); err != nil {
					return err
				}
				return p.fetches(inTunnel(i).at, middle)
			}, err
		}})
	}
	return append(all, pastime{name: "xl2tpd, L2TP", begin: l2tp})
}()

// inTunnel is the route through a tunnel.
func inTunnel(net int) route { return route{at: fmt.Sprint(tunnelled(net, 1), ":", portWeb)} }

// reaches waits until the host reaches the server through a tunnel.
func (p *programs) reaches(r *lab.Process, net int) error {
	web := netip.AddrPortFrom(tunnelled(net, 1), portWeb)
	return r.Until("a connection through the tunnel", p.patience, func() bool { return p.host.Connects(web, time.Second) })
}

// secured is a way to secure OpenVPN. It determines what the packets look like.
type secured int

const (
	tlsAuth   secured = iota // control packets have an authentication header
	tlsCrypt                 // control packets are encrypted behind that header
	staticKey                // all packets look random
)

// openVPN is a tunnel over a transport, with a server at an address and port.
func openVPN(proto string, on netip.Addr, port int, by secured) func(*programs, int) (func() (*lab.Process, error), error) {
	return func(p *programs, net int) (func() (*lab.Process, error), error) {
		at := on.String()
		common := []string{"--dev", fmt.Sprint("ovpn", net), "--dev-type", "tun", "--verb", "3"}
		common = append(common, "--ping", "1", "--ping-restart", "20")
		key := p.file(fmt.Sprintf("openvpn%d.key", net))
		kind := "secret"
		if by == tlsCrypt {
			kind = "tls-crypt"
		}
		if out, err := exec.Command("openvpn", "--genkey", kind, key).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("openvpn: %w: %s", err, out)
		}
		serving := append([]string{"--local", at, "--port", fmt.Sprint(port)}, common...)
		using := append([]string{"--remote", at, fmt.Sprint(port), "--nobind", "--connect-retry", "1"}, common...)
		a, b := tunnelled(net, 1).String(), tunnelled(net, 2).String()
		if by == staticKey {
			serving = append(serving, "--secret", key, "--cipher", "AES-256-CBC", "--ifconfig", a, b, "--float")
			using = append(using, "--secret", key, "--cipher", "AES-256-CBC", "--ifconfig", b, a)
		} else {
			keys := []string{"--ca", p.file("cert.pem"), "--cert", p.file("cert.pem"), "--key", p.file("key.pem")}
			keys = append(keys, "--"+[]string{"tls-auth", "tls-crypt"}[by], key)
			serving = append(append(serving, keys...), "--server", tunnelled(net, 0).String(), "255.255.255.0", "--topology", "subnet", "--dh", "none", "--duplicate-cn")
			using = append(append(using, keys...), "--client")
		}
		server, client := proto, proto
		if strings.HasPrefix(proto, "tcp") {
			server, client = "tcp"+proto[3:]+"-server", "tcp"+proto[3:]+"-client"
		}
		// up does not wait for the server: with a static key it is ready only when a
		// client comes.
		_, err := p.serve("openvpn", append(serving, "--proto", server)...)
		return func() (*lab.Process, error) {
			return p.run(p.host.Namespace, nil, "openvpn", append(using, "--proto", client)...)
		}, err
	}
}

// wireGuard is a server at a port and a client that uses it at an address. wireguard-go
// gets its keys through a socket in /run. Each gets its own /run, because the sockets may
// have the same name.
func wireGuard(port uint16, at netip.AddrPort) func(*programs, int) (func() (*lab.Process, error), error) {
	return func(p *programs, net int) (func() (*lab.Process, error), error) {
		theirs, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		ours, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		text := base64.StdEncoding.EncodeToString
		end := func(in *netns.Namespace, who int, key *ecdh.PrivateKey, peer *ecdh.PublicKey, more, of string) (*lab.Process, error) {
			name := fmt.Sprintf("wg%d.%d", net, who)
			conf := p.write(name, fmt.Sprintf("[Interface]\nPrivateKey = %s\n%s\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.8.%d.0/24\n%s\n",
				text(key.Bytes()), more, text(peer.Bytes()), net, of))
			script := fmt.Sprintf(`mount -t tmpfs none /run
wireguard-go -f %[1]s & p=$!
trap 'kill $p' TERM
# wg removes a socket that does not listen yet.
until grep -q ' 00010000 .*/%[1]s.sock' /proc/net/unix; do kill -0 $p; sleep .05; done
wg setconf %[1]s %[2]s
ip addr add %[3]s/24 dev %[1]s
ip link set %[1]s up mtu 1400
wait $p || wait $p || :`, name, conf, tunnelled(net, who))
			return p.run(in, []string{"LOG_LEVEL=error"}, "sh", "-ec", script)
		}
		_, err = end(p.lab.Inet.Namespace, 1, theirs, ours.PublicKey(), fmt.Sprint("ListenPort = ", port), "")
		return func() (*lab.Process, error) {
			return end(p.host.Namespace, 2, ours, theirs.PublicKey(), "", fmt.Sprint("Endpoint = ", at))
		}, err
	}
}

// warp is WireGuard as Cloudflare uses it: the three reserved bytes, 0 in plain
// WireGuard, identify the client.
func warp(p *programs, net int) (func() (*lab.Process, error), error) {
	const port = 2410
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	outside, inside := netip.AddrPortFrom(besideAddrs[0], 2409), netip.AddrPortFrom(local, 2411)
	whose := [3]byte{0x9a, 0x3c, 0x77}
	if err := p.reserved(p.lab.Inet, outside, netip.AddrPortFrom(local, port), [3]byte{}, whose); err != nil {
		return nil, err
	}
	if err := p.reserved(p.host, inside, outside, whose, [3]byte{}); err != nil {
		return nil, err
	}
	return wireGuard(port, inside)(p, net)
}

// reserved forwards WireGuard's datagrams from one address to another and back. It sets
// the reserved bytes in each direction.
func (p *programs) reserved(on *lab.Host, at, to netip.AddrPort, there, back [3]byte) error {
	in, err := on.ListenUDP(at)
	if err != nil {
		return err
	}
	out, err := on.Dial(context.Background(), "udp", netip.AddrPort{}, to)
	if err != nil {
		return err
	}
	p.lab.OnClose(func() { in.Close(); out.Close() })
	var from atomic.Pointer[netip.AddrPort]
	go func() {
		for b := make([]byte, 2048); ; {
			n, whence, err := in.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			from.Store(&whence)
			copy(b[1:4], there[:])
			out.Write(b[:n])
		}
	}()
	go func() {
		for b := make([]byte, 2048); ; {
			n, err := out.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			copy(b[1:4], back[:])
			if whence := from.Load(); whence != nil {
				in.WriteToUDPAddrPort(b[:n], *whence)
			}
		}
	}()
	return nil
}

// fastd is a small VPN over UDP.
func fastd(p *programs, net int) (func() (*lab.Process, error), error) {
	var secret, public [2]string
	for i := range secret {
		out, err := exec.Command("fastd", "--generate-key", "--machine-readable").Output()
		if err != nil {
			return nil, fmt.Errorf("fastd: %w", err)
		}
		secret[i] = strings.TrimSpace(string(out))
		show := exec.Command("fastd", "--machine-readable", "--show-key", "-c", "-")
		show.Stdin = strings.NewReader(fmt.Sprintf("secret %q;", secret[i]))
		if out, err = show.Output(); err != nil {
			return nil, fmt.Errorf("fastd: %w", err)
		}
		public[i] = strings.TrimSpace(string(out))
	}
	end := func(in *netns.Namespace, i int, more, remote string) (*lab.Process, error) {
		conf := p.write(fmt.Sprintf("fastd%d", i), fmt.Sprintf(`%s method "salsa2012+umac"; mode tap; interface "fastd"; mtu 1400; secret "%s";
on up "ip addr add %s/24 dev fastd; ip link set fastd up";
peer "a" { key "%s"; %s }
`, more, secret[i], tunnelled(net, 1+i), public[1-i], remote))
		return p.run(in, nil, "fastd", "-c", conf)
	}
	_, err := end(p.lab.Inet.Namespace, 0, "bind "+server+":10000;", "")
	return func() (*lab.Process, error) {
		return end(p.host.Namespace, 1, "", "remote "+server+":10000;")
	}, err
}

// tinc uses TCP and UDP.
func tinc(p *programs, net int) (func() (*lab.Process, error), error) {
	var public [2]string
	names := [2]string{"a", "b"}
	dirs := [2]string{"tinc-a/", "tinc-b/"}
	for i := range names {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		p.write(dirs[i]+"rsa_key.priv", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
		public[i] = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)}))
		up := p.write(dirs[i]+"tinc-up", fmt.Sprintf("#!/bin/sh\nip addr add %s/24 dev $INTERFACE\nip link set $INTERFACE up mtu 1400\n", tunnelled(net, 1+i)))
		if err := os.Chmod(up, 0o755); err != nil {
			return nil, err
		}
	}
	for i, name := range names {
		conf := fmt.Sprintf("Name = %s\nInterface = tinc\nMode = router\n", name)
		if i == 0 {
			conf += "BindToAddress = " + server + "\n"
		} else {
			conf += "ConnectTo = a\nPingInterval = 5\n"
		}
		p.write(dirs[i]+"tinc.conf", conf)
		for j, other := range names {
			host := fmt.Sprintf("Subnet = %s/32\n%s", tunnelled(net, 1+j), public[j])
			if j == 0 {
				host = "Address = " + server + "\n" + host
			}
			p.write(dirs[i]+"hosts/"+other, host)
		}
	}
	end := func(in *netns.Namespace, i int) (*lab.Process, error) {
		return p.run(in, nil, "tincd", "-D", "-c", p.file(dirs[i]), "--pidfile="+p.file(names[i]+".pid"))
	}
	_, err := end(p.lab.Inet.Namespace, 0)
	return func() (*lab.Process, error) { return end(p.host.Namespace, 1) }, err
}

// l2tp is L2TP without IPsec. The kernel may lack PPP, so that a script takes pppd's
// place: on the host it sends frames, which the server's sends back. xl2tpd takes these
// frames from a terminal, ended by 7E, and does not look into them.
func l2tp(p *programs) (func() error, error) {
	end := func(in *netns.Namespace, name, conf, instead string) (*lab.Process, error) {
		conf, instead = p.write(name+".conf", conf), p.write(name+".pppd", "#!/bin/sh\nstty raw -echo\n"+instead)
		if err := os.Chmod(instead, 0o755); err != nil {
			return nil, err
		}
		return p.run(in, nil, "sh", "-ec", fmt.Sprintf("mount --bind %s /usr/sbin/pppd; exec xl2tpd -D -c %s -p %[2]s.pid -C %[2]s.control", instead, conf))
	}
	r, err := end(p.lab.Inet.Namespace, "l2tp-server", fmt.Sprintf("[global]\nlisten-addr = %s\n[lns default]\nip range = 10.9.0.2-10.9.0.9\nlocal ip = 10.9.0.1\n", server), "exec cat")
	if err == nil {
		err = says(r, "Listening on")
	}
	if err != nil {
		return nil, err
	}
	return p.stays(func() (*lab.Process, error) {
		return end(p.host.Namespace, "l2tp", fmt.Sprintf("[lac a]\nlns = %s\nautodial = yes\n", server),
			fmt.Sprintf("(while echo -n '~tunnelled%s~'; do sleep .1; done) &\nexec cat >&2\n", strings.Repeat("0123456789", 30)))
	}, "tunnelled"), nil
}
