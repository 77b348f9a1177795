package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// authority signs the cluster's certificates. Its key lives as long as the cluster.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// An identity is a certificate: of a server when it has hosts, and always of a client.
type identity struct {
	file, commonName, organization string
	hosts                          []string
	kubeconfig                     bool // also written as config/<file>.kubeconfig
}

var identities = []identity{
	{file: "etcd", commonName: "etcd", hosts: []string{"127.0.0.1", "localhost"}},
	{file: "apiserver", commonName: "kube-apiserver", hosts: []string{gateway, firstService, "127.0.0.1", "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + clusterDomain}},
	{file: "apiserver-kubelet", commonName: "kube-apiserver-kubelet", organization: "system:masters"},
	{file: "kubelet-serving", commonName: "system:node:" + nodeName, organization: "system:nodes", hosts: []string{gateway, nodeName}},
	{file: "admin", commonName: "admin", organization: "system:masters", kubeconfig: true},
	{file: "kubelet", commonName: "system:node:" + nodeName, organization: "system:nodes", kubeconfig: true},
	{file: "kube-controller-manager", commonName: "system:kube-controller-manager", kubeconfig: true},
	{file: "kube-scheduler", commonName: "system:kube-scheduler", kubeconfig: true},
	{file: "kube-proxy", commonName: "system:kube-proxy", kubeconfig: true},
}

// writePKI makes the authority, all certificates and kubeconfigs, once in the cluster's life.
func writePKI() error {
	if exists(pki("done")) {
		return nil
	}
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	if err := os.WriteFile(pki("ca.crt"), ca.pem, 0o644); err != nil {
		return err
	}
	accounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := writeKey(pki("service-accounts.key"), accounts); err != nil {
		return err
	}
	for _, id := range identities {
		if err := ca.issue(id); err != nil {
			return err
		}
	}
	return os.WriteFile(pki("done"), nil, 0o644)
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificate("simclr-cluster", "")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = nil
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key, pem: block("CERTIFICATE", der)}, nil
}

// certificate is valid for ten years: a cluster that is down has none.
func certificate(commonName, organization string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	c := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if organization != "" {
		c.Subject.Organization = []string{organization}
	}
	return c
}

func (a *authority) issue(id identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := certificate(id.commonName, id.organization)
	for _, host := range id.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if len(id.hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(pki(id.file+".crt"), block("CERTIFICATE", der), 0o644); err != nil {
		return err
	}
	if err := writeKey(pki(id.file+".key"), key); err != nil {
		return err
	}
	if !id.kubeconfig {
		return nil
	}
	return a.writeKubeconfig(id.file)
}

// writeKubeconfig embeds the certificates, so that the file works wherever it is copied.
func (a *authority) writeKubeconfig(name string) error {
	cert, err := os.ReadFile(pki(name + ".crt"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(pki(name + ".key"))
	if err != nil {
		return err
	}
	c := api.NewConfig()
	c.Clusters["simclr"] = &api.Cluster{Server: apiServerURL, CertificateAuthorityData: a.pem}
	c.AuthInfos[name] = &api.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	c.Contexts["simclr"] = &api.Context{Cluster: "simclr", AuthInfo: name}
	c.CurrentContext = "simclr"
	return clientcmd.WriteToFile(*c, config(name+".kubeconfig"))
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, block("EC PRIVATE KEY", der), 0o600)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
