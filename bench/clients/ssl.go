// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// sslTorrent holds the files of an SSL torrent, libtorrent's extension. The certificate
// of the torrent's authority is in the torrent file. The authority signs the peers'
// certificate, which all peers share here. Peers use TLS, with the torrent's hash as the
// server name.
type sslTorrent struct {
	authority     []byte
	cert, key, dh string
}

func newSSLTorrent(dir string) (*sslTorrent, error) {
	authority, err := lab.SignCertificate(&x509.Certificate{Subject: pkix.Name{CommonName: "a publisher"}, IsCA: true, BasicConstraintsValid: true}, nil)
	if err != nil {
		return nil, err
	}
	peer, err := lab.SignCertificate(&x509.Certificate{Subject: pkix.Name{CommonName: "*"}, DNSNames: []string{"*"}}, authority)
	if err != nil {
		return nil, err
	}
	dh, err := ffdhe2048()
	if err != nil {
		return nil, err
	}
	s := &sslTorrent{
		authority: authority.PEM,
		cert:      filepath.Join(dir, "peer.pem"), key: filepath.Join(dir, "peer.key"), dh: filepath.Join(dir, "dh.pem"),
	}
	return s, errors.Join(
		os.WriteFile(s.cert, peer.PEM, 0o644),
		os.WriteFile(s.key, peer.KeyPEM, 0o644),
		os.WriteFile(s.dh, dh, 0o644),
	)
}

// ffdhe2048 is a well-known Diffie-Hellman group (RFC 7919) in OpenSSL's format.
func ffdhe2048() ([]byte, error) {
	p, ok := new(big.Int).SetString("FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1"+
		"D8B9C583CE2D3695A9E13641146433FBCC939DCE249B3EF97D2FE363630C75D8F681B202AEC4617AD3DF1ED5D5FD6561"+
		"2433F51F5F066ED0856365553DED1AF3B557135E7F57C935984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE735"+
		"30ACCA4F483A797ABC0AB182B324FB61D108A94BB2C8E3FBB96ADAB760D7F4681D4F42A3DE394DF4AE56EDE76372BB19"+
		"0B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F619172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD73"+
		"3BB5FCBC2EC22005C58EF1837D1683B2C6F34A26C1B2EFFA886B423861285C97FFFFFFFFFFFFFFFF", 16)
	if !ok || !p.ProbablyPrime(8) {
		return nil, errors.New("the group's prime is mistyped")
	}
	der, err := asn1.Marshal(struct{ P, G *big.Int }{p, big.NewInt(2)})
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "DH PARAMETERS", Bytes: der}), nil
}
