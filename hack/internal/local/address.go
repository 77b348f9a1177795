// Package local finds addresses for programs that a benchmark starts.
package local

import "net"

// FreeAddress is an address of this machine alone at which nothing listens now.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
