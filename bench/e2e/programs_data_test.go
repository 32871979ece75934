// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
)

// databases are programs that ask a server for data.
var databases = []pastime{
	{name: "Redis", begin: redis},
	{name: "MariaDB, a dump and a long session", begin: mariaDB},
	{name: "SNMP, versions 2c and 3", begin: snmp},
}

func redis(p *programs) (func() error, error) {
	err := p.serveAt(6379, "redis-server", "--bind", server, "--port", "6379", "--save", "", "--protected-mode", "no", "--dir", p.dir)
	if err != nil {
		return nil, err
	}
	return p.script(`c="redis-cli -h %s"; $c -x set k <%s | grep -q OK; $c --raw get k | head -c %[2]s | cmp - %[2]s; $c ping | grep -q PONG`, server, small), nil
}

// mariaDB is MySQL's protocol without TLS. Each use copies a table of 3 MB by a dump, and
// asks some hundred questions in one connection.
func mariaDB(p *programs) (func() error, error) {
	data, temporary := p.file("mariadb"), p.file("mariadb.tmp") // a server removes what others have in its temporary folder
	if err := os.Mkdir(temporary, 0o755); err != nil {
		return nil, err
	}
	if out, err := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, "--tmpdir="+temporary, "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mariadb-install-db: %w: %s", err, out)
	}
	first := p.write("mariadb.sql", `CREATE USER a@'%' IDENTIFIED BY 'secret';
GRANT ALL ON *.* TO a@'%';
CREATE DATABASE x;
USE x;
CREATE TABLE t (n INT PRIMARY KEY, s VARCHAR(1000));
INSERT INTO t SELECT seq, REPEAT(MD5(seq), 30) FROM seq_1_to_3000;
`)
	err := p.serveAt(3306, "mariadbd", "--no-defaults", "--user=root", "--datadir="+data, "--tmpdir="+temporary, "--socket="+p.file("mariadb.sock"), "--pid-file="+p.file("mariadb.pid"),
		"--bind-address="+server, "--port=3306", "--skip-name-resolve", "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0", "--init-file="+first)
	if err != nil {
		return nil, err
	}
	return p.script(`with="--no-defaults -h %s -u a -psecret"
c="mariadb $with"
$c -e "DROP DATABASE IF EXISTS y; CREATE DATABASE y"
mariadb-dump $with x | $c y
[ "$($c -NB -e "CHECKSUM TABLE x.t" | cut -f 2)" = "$($c -NB -e "CHECKSUM TABLE y.t" | cut -f 2)" ]
[ "$($c -NB -e "SELECT COUNT(*) FROM y.t")" = 3000 ]
i=0
while [ $i -lt 300 ]; do
	i=$((i + 1))
	echo "SELECT MD5($i) = LEFT(s, 32) FROM x.t WHERE n = $i;"
	[ $((i %% 30)) != 0 ] || sleep .1
done | $c -NB -n | grep -c '^1$' | grep -qx 300`, server), nil
}

// snmp uses version 2c, which is clear, and version 3, which is encrypted.
func snmp(p *programs) (func() error, error) {
	if err := os.Mkdir(p.file("snmp"), 0o755); err != nil {
		return nil, err
	}
	conf := p.write("snmpd.conf", fmt.Sprintf("agentaddress udp:%s:161\nrocommunity public\ncreateUser joe SHA secretsecret AES secretsecret\nrouser joe priv\n", server))
	r, err := p.run(p.lab.Inet.Namespace, []string{"SNMP_PERSISTENT_DIR=" + p.file("snmp")}, "snmpd", "-f", "-C", "-c", conf, "-Lo", "-p", p.file("snmpd.pid"))
	if err == nil {
		err = says(r, "NET-SNMP version")
	}
	if err != nil {
		return nil, err
	}
	return p.script(`export SNMPCONFPATH=/nowhere MIBS=
for how in "-v2c -c public" "-v3 -l authPriv -u joe -a SHA -A secretsecret -x AES -X secretsecret"; do
	for part in 1 2; do snmpwalk -On -r9 -t5 $how %s .1.3.6.1.2.1.$part; done >s$$
	[ $(wc -l <s$$) -gt 50 ] || { tail -n 3 s$$; exit 1; }
done`, server), nil
}
