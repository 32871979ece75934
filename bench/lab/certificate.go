// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
)

// Certificate is the certificate of a server together with its own authority.
type Certificate struct {
	TLS         tls.Certificate
	Pool        *x509.CertPool
	PEM, KeyPEM []byte
}

// NewCertificate makes a certificate for some names. It is valid for a day.
func NewCertificate(names ...string) (*Certificate, error) {
	return SignCertificate(&x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
	}, nil)
}

// SignCertificate adds a key and a lifetime of a day to a certificate, and signs it with
// the key of by. If by is nil it is self-signed.
func SignCertificate(t *x509.Certificate, by *Certificate) (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t.SerialNumber = big.NewInt(1)
	t.NotBefore, t.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := t, any(key)
	if by != nil {
		parent, signer = by.TLS.Leaf, by.TLS.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &Certificate{
		TLS:    tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		Pool:   x509.NewCertPool(),
		PEM:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}
	c.Pool.AddCert(leaf)
	return c, nil
}
