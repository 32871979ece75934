// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// transfers are programs that move files.
var transfers = []pastime{
	{name: "curl, uploads of 1 KiB, 100 KiB and 2 MiB", begin: func(p *programs) (func() error, error) {
		return func() error { return p.uploads("--data-binary @%s", sizes[0], sizes[1], sizes[2]) }, nil
	}},
	{name: "curl, an upload of 30 MiB", begin: func(p *programs) (func() error, error) {
		return func() error { return p.uploads("--data-binary @%s", sizes[3]) }, nil
	}},
	{name: "curl, an upload in chunks", begin: func(p *programs) (func() error, error) {
		return func() error { return p.uploads("-X PUT -T - -H Transfer-Encoding:chunked <%s", sizes[2]) }, nil
	}},
	{name: "curl, a download of 30 MiB", begin: func(p *programs) (func() error, error) {
		return func() error { return p.fetches(fmt.Sprint(server, ":", portWeb), fmt.Sprint(sizes[3])) }, nil
	}},
	{name: "curl, TLS with an address and with a short name", begin: func(p *programs) (func() error, error) {
		return p.script(`c="curl -sSfk --resolve nas:%[2]d:%[1]s https://"; ${c}%[1]s:%[2]d/%[3]s | cmp - %[3]s; ${c}nas:%[2]d/%[3]s | cmp - %[3]s`, server, portWebTLS, small), nil
	}},
	{name: "aria2, a download by four connections", begin: aria2},
	{name: "curl, WebDAV", begin: dav},
	{name: "vsftpd and curl, passive and active FTP", begin: ftp},
	{name: "OpenSSH at port 2222", begin: ssh},
	{name: "git", begin: git},
	{name: "git by HTTP", begin: gitByHTTP},
	{name: "rsync", begin: rsync},
	{name: "ngtcp2, HTTP/3", begin: quic},
	{name: "Syncthing by TCP", begin: syncthing("tcp", 22000)},
	{name: "Syncthing by QUIC", begin: syncthing("quic", 22001)},
	{name: "iperf3 by TCP and UDP", begin: iperf},
}

// uploads sends files to the web server and checks that each arrives complete. with are
// curl's arguments; they contain the file's name.
func (p *programs) uploads(with string, sizes ...int) error {
	for _, size := range sizes {
		err := p.shell(`[ "$(curl -sSf http://%s:%d/upload `+with+`)" = "$(sha256sum <%[3]s | cut -d ' ' -f 1)" ]`, server, portWeb, fmt.Sprint(size))
		if err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
	}
	return nil
}

func aria2(p *programs) (func() error, error) {
	return p.script("aria2c -q --no-conf -x4 -s4 -k1M -o aria$$ http://%s:%d/%s; cmp aria$$ %[3]s; rm aria$$", server, portWeb, middle), nil
}

func dav(p *programs) (func() error, error) {
	return p.script(`c="curl -sSf http://%s:%d/dav/d$$"
$c -X MKCOL
$c/ -X PROPFIND -H 'Depth: 1' | grep -q multistatus
$c/a -T %s
$c/a -X LOCK -H 'Depth: 0' -d '<?xml version="1.0"?><lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>' | grep -q locktoken
$c/a -X PROPFIND | grep -q '>%[3]s<'
$c -X MOVE -H "Destination: http://%[1]s:%[2]d/dav/e$$"
curl -sSf http://%[1]s:%[2]d/dav/e$$/a | cmp - %[3]s`, server, portWeb, small), nil
}

// ftp uses active FTP, where the server connects, and passive FTP, where the host
// connects.
func ftp(p *programs) (func() error, error) {
	for _, d := range []string{"ftp/up", "ftp/empty"} {
		if err := os.MkdirAll(p.file(d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(p.file("ftp/up"), 0o777); err != nil {
		return nil, err
	}
	conf := p.write("vsftpd.conf", fmt.Sprintf(`listen=YES
listen_address=%s
background=NO
anonymous_enable=YES
anon_root=%s
anon_upload_enable=YES
anon_other_write_enable=YES
anon_umask=022
write_enable=YES
pasv_min_port=50000
pasv_max_port=50100
secure_chroot_dir=%s
seccomp_sandbox=NO
`, server, p.file("ftp"), p.file("ftp/empty")))
	if err := p.serveAt(21, "vsftpd", conf); err != nil {
		return nil, err
	}
	return p.script(`c="curl -sSf ftp://%s/up/"
for how in "--ftp-pasv" "--disable-epsv" "--ftp-port -" "--disable-eprt --ftp-port -"; do
	$c$$ $how -T %s || { echo "up: $how"; exit 1; }
	$c$$ $how | cmp - %[2]s || { echo "down: $how"; exit 1; }
	$c $how | grep -q %[2]s || { echo "list: $how"; exit 1; }
	$c -Q "DELE up/$$" >/dev/null
done`, server, middle), nil
}

// ssh sends a file and expects it back.
func ssh(p *programs) (func() error, error) {
	dir := p.file("ssh")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	key, err := p.lab.StartSSHD(dir, "cat", netip.AddrPortFrom(besideAddrs[0], 2222))
	if err != nil {
		return nil, err
	}
	return p.script("ssh -F none -p 2222 -i %s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes root@%s x <%s | cmp - %[3]s",
		key, server, middle), nil
}

// gitEnv are settings that make git independent of the machine's configuration.
func (p *programs) gitEnv() []string {
	return []string{"GIT_CONFIG_GLOBAL=" + p.file("gitconfig"), "GIT_CONFIG_NOSYSTEM=1", "HOME=" + p.dir}
}

// newRepository makes a repository that accepts pushes.
func (p *programs) newRepository(name string) error {
	p.write("gitconfig", "[safe]\ndirectory = *\n[http]\nreceivepack = true\n[user]\nname = a\nemail = a@example.org\n")
	cmd := exec.Command("git", "init", "-q", "--bare", p.file("git/"+name))
	cmd.Env = append(os.Environ(), p.gitEnv()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git init: %w: %s", err, out)
	}
	return nil
}

// clones makes the host clone a repository, push to it, and clone the result.
func (p *programs) clones(url string) func() error {
	return p.script(`export GIT_CONFIG_GLOBAL=%s GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
d=$(mktemp -d)
git clone -q %s $d/a 2>&1
cp %s $d/a/f
head -c 100000 /dev/urandom >$d/a/g
git -C $d/a add .
git -C $d/a commit -q -m x
b=b$(date +%%N)
git -C $d/a push -q origin HEAD:refs/heads/$b
git clone -q -b $b %[2]s $d/b
cmp $d/a/f $d/b/f
cmp $d/a/g $d/b/g
rm -rf $d`, p.file("gitconfig"), url, small)
}

func git(p *programs) (func() error, error) {
	if err := p.newRepository("a.git"); err != nil {
		return nil, err
	}
	_, err := p.run(p.lab.Inet.Namespace, p.gitEnv(), "git", "daemon", "--reuseaddr", "--export-all", "--enable=receive-pack",
		"--listen="+server, "--port=9418", "--base-path="+p.file("git"))
	if err != nil {
		return nil, err
	}
	return p.clones("git://" + server + "/a.git"), nil
}

func gitByHTTP(p *programs) (func() error, error) {
	if err := p.newRepository("b.git"); err != nil {
		return nil, err
	}
	return p.clones(fmt.Sprintf("http://%s:%d/git/b.git", server, portWeb)), nil
}

func rsync(p *programs) (func() error, error) {
	if err := os.MkdirAll(p.file("rsync"), 0o755); err != nil {
		return nil, err
	}
	conf := p.write("rsyncd.conf", fmt.Sprintf("use chroot = no\nuid = 0\ngid = 0\n[x]\npath = %s\nread only = no\n", p.file("rsync")))
	if err := p.serveAt(8730, "rsync", "--daemon", "--no-detach", "--config="+conf, "--address="+server, "--port=8730"); err != nil {
		return nil, err
	}
	return p.script("rsync -a --port=8730 %s %s::x/f$$; rsync -a --port=8730 %[2]s::x/f$$ f$$; cmp f$$ %[1]s; rm f$$", middle, server), nil
}

func quic(p *programs) (func() error, error) {
	// If the path is a number, gtlsserver makes up that many bytes. So the file gets
	// another name.
	if err := os.Link(p.file(middle), p.file("page")); err != nil {
		return nil, err
	}
	_, err := p.serve("gtlsserver", "-q", "-d", p.dir, server, "4433", p.file("key.pem"), p.file("cert.pem"))
	if err != nil {
		return nil, err
	}
	return p.script("mkdir q$$; gtlsclient -q --exit-on-all-streams-close --download=q$$ %s 4433 https://%[1]s:4433/page; cmp q$$/page page; rm -r q$$", server), nil
}

// iperf expects more than half of its UDP data to arrive: a busy machine may lose some of
// it. TCP and UDP have a server each. A server that still ends the run before refuses the
// next one, and sometimes with a reset, as a wall would.
func iperf(p *programs) (func() error, error) {
	for _, port := range []uint16{5201, 5202} {
		if err := p.serveAt(port, "iperf3", "-s", "-B", server, "-p", fmt.Sprint(port)); err != nil {
			return nil, err
		}
	}
	return p.script(`run() {
	while ! iperf3 -c %s "$@" >p$$ 2>&1; do
		grep -q busy p$$ || { cat p$$; exit 1; } # with the run before
		sleep .2
	done
}
run -p 5201 -n 2M
run -p 5202 -u -b 4M -t 1 -l 600 -f k
grep receiver p$$ | grep -q '([0-4]\?[0-9]\(\.[0-9]*\)\?%%)'`, server), nil
}

// syncthing shares a folder between the host and a server, by TCP or QUIC.
func syncthing(scheme string, port int) func(p *programs) (func() error, error) {
	return func(p *programs) (func() error, error) {
		at := fmt.Sprintf("%s://%s:%d", scheme, server, port)
		var ids [2]string
		home := func(i int) string { return p.file(fmt.Sprint(scheme, i)) }
		for i := range ids {
			if out, err := exec.Command("syncthing", "generate", "--home="+home(i), "--no-default-folder", "--skip-port-probing").CombinedOutput(); err != nil {
				return nil, fmt.Errorf("syncthing: %w: %s", err, out)
			}
			id, err := exec.Command("syncthing", "--device-id", "--home="+home(i)).Output()
			if err != nil {
				return nil, fmt.Errorf("syncthing: %w", err)
			}
			ids[i] = strings.TrimSpace(string(id))
			if err := os.MkdirAll(home(i)+"/x/.stfolder", 0o755); err != nil {
				return nil, err
			}
		}
		run := func(in *netns.Namespace, i int, listen, other string) (*lab.Process, error) {
			p.write(fmt.Sprint(scheme, i, "/config.xml"), fmt.Sprintf(`<configuration version="35">
<folder id="x" path="%[1]s/x" type="sendreceive" rescanIntervalS="1" fsWatcherEnabled="false"><device id="%[2]s"/><device id="%[3]s"/></folder>
<device id="%[2]s"><address>dynamic</address></device>
<device id="%[3]s"><address>%[4]s</address></device>
<gui enabled="false"/>
<options><listenAddress>%[5]s</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled><relaysEnabled>false</relaysEnabled>
<reconnectionIntervalS>1</reconnectionIntervalS><startBrowser>false</startBrowser><urAccepted>-1</urAccepted><autoUpgradeIntervalH>0</autoUpgradeIntervalH>
<crashReportingEnabled>false</crashReportingEnabled></options>
</configuration>`, home(i), ids[i], ids[1-i], other, listen))
			return p.run(in, []string{"STNOUPGRADE=1"}, "syncthing", "serve", "--home="+home(i), "--no-browser", "--no-restart")
		}
		if _, err := run(p.lab.Inet.Namespace, 0, at, "dynamic"); err != nil {
			return nil, err
		}
		return func() error {
			r, err := run(p.host.Namespace, 1, fmt.Sprintf("%s://:%d", scheme, port), at)
			if err != nil {
				return err
			}
			defer r.Stop()
			name, content := fmt.Sprint("x/", time.Now().UnixNano()), noise(300_000)
			for from := range ids {
				file := fmt.Sprint(name, from)
				if err := os.WriteFile(home(from)+"/"+file, content, 0o644); err != nil {
					return err
				}
				err := r.Until(fmt.Sprint("the file of ", from), p.patience, func() bool {
					got, _ := os.ReadFile(home(1-from) + "/" + file)
					return bytes.Equal(got, content)
				})
				if err != nil {
					return err
				}
			}
			return nil
		}, nil
	}
}
