// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"crypto/rand"
	"crypto/sha1"
	"math/big"
)

// The group of message stream encryption (MSE): its prime has 768 bits.
var msePrime, _ = new(big.Int).SetString("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"+
	"020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563", 16)

const mseKeySize = 96

// mseKey returns a public key of MSE and its secret.
func mseKey() (key []byte, secret *big.Int) {
	b := make([]byte, 20)
	rand.Read(b)
	secret = new(big.Int).SetBytes(b)
	return new(big.Int).Exp(big.NewInt(2), secret, msePrime).FillBytes(make([]byte, mseKeySize)), secret
}

// mseProof is what the side that opened the connection sends after it received the other
// side's key.
func mseProof(other []byte, secret *big.Int) []byte {
	s := new(big.Int).Exp(new(big.Int).SetBytes(other), secret, msePrime).FillBytes(make([]byte, mseKeySize))
	sum := sha1.Sum(append([]byte("req1"), s...))
	return sum[:]
}
