package dataset

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Answers of DNS without an address, RFC 1035, section 4.1.1.
const (
	serverFailure = 2
	noSuchName    = 3
)

// dnsAnswers makes all names be asked of a DNS server that answers with a code.
func dnsAnswers(t *testing.T, code byte) {
	t.Helper()
	server, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	old := net.DefaultResolver
	t.Cleanup(func() {
		net.DefaultResolver = old
		_ = server.Close() // ends the loop
	})
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	go func() {
		message := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(message)
			if err != nil {
				return
			}
			message[2] |= 0x80 // is an answer
			message[3] = message[3]&0xf0 | code
			_, _ = server.WriteTo(message[:n], from) // is asked again
		}
	}()
}

// A host that DNS does not know is the user's mistake; a DNS server that fails is an outage.
func TestUnknownHost(t *testing.T) {
	quickly(t, time.Second)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for code, want := range map[byte]string{noSuchName: "DNS knows no host", serverFailure: "storage"} {
		dnsAnswers(t, code)
		for name, spec := range map[string]v1alpha1.DatasetSpec{
			"endpoint": {URI: "s3://bucket/data", Format: v1alpha1.FormatImages, Endpoint: "https://minio.nowhere.example"},
			"region":   {URI: "s3://bucket/data", Format: v1alpha1.FormatImages, Region: "us-eest-1"},
			"gs":       {URI: "gs://bucket/data", Format: v1alpha1.FormatImages},
			"https":    {URI: "https://nowhere.example/data", Format: v1alpha1.FormatIDX},
		} {
			t.Run(want+" "+name, func(t *testing.T) {
				_, err := Open(t.Context(), spec, Options{})
				if want == "storage" {
					wantStorageError(t, err, spec.URI, "gave up")
					return
				}
				wantUserError(t, err, want, spec.URI, "correct spec.dataset: uri, or endpoint and region")
			})
		}
	}
}

// A host that was there has not been misspelt: what DNS says then is an outage.
func TestHostThatIsForgotten(t *testing.T) {
	quickly(t, time.Second)
	r := newRemote("https://host/data", Options{Field: datasetField})
	gone := &net.DNSError{Err: "no such host", Name: "host", IsNotFound: true}
	answers := 0
	do := func() (int, error) {
		if answers++; answers == 1 {
			return 1, nil
		}
		return 0, gone
	}
	if _, err := try(t.Context(), r, "a", do); err != nil {
		t.Fatal(err)
	}
	_, err := try(t.Context(), r, "a", do)
	wantStorageError(t, err, "gave up")
}

// serviceAccount is a key as Google Cloud gives it, of a server of tokens.
func serviceAccount(t *testing.T, private, tokens string) string {
	t.Helper()
	data, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "a@b.example", "private_key_id": "1", "private_key": private, "token_uri": tokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Credentials that Google refuses end a stage at once; a server of tokens that fails is asked again.
func TestGCSCredentials(t *testing.T) {
	quickly(t, time.Second)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	for name, tc := range map[string]struct {
		private string
		code    int
		want    []string // of a user error; none: of the storage
		asked   int64
	}{
		"deleted key":     {good, http.StatusBadRequest, []string{"access is denied", "no token", "400 Bad Request", "Secret that spec.dataset.credentials names"}, 1},
		"deleted account": {good, http.StatusUnauthorized, []string{"access is denied", "spec.dataset.credentials"}, 1},
		"no key":          {"xyz", 0, []string{"spec.dataset.credentials", "private_key"}, 0},
		"no server":       {good, http.StatusServiceUnavailable, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.WriteHeader(tc.code)
			}))
			defer tokens.Close()
			dir := t.TempDir()
			write(t, filepath.Join(dir, contract.DatasetSecrets, contract.CredentialsDir, googleCredentialsKey), []byte(serviceAccount(t, tc.private, tokens.URL)))
			spec := v1alpha1.DatasetSpec{URI: "gs://bucket/data", Format: v1alpha1.FormatImages, Credentials: &v1alpha1.SecretReference{Name: "gcs"}}
			_, err := Open(t.Context(), spec, Options{Secrets: dir})
			if tc.want == nil {
				wantStorageError(t, err, "503")
			} else {
				wantUserError(t, err, tc.want...)
			}
			if n := asked.Load(); n < tc.asked || tc.want != nil && n != tc.asked {
				t.Errorf("asked for a token %d times", n)
			}
			if strings.Contains(err.Error(), tc.private) {
				t.Errorf("the message has the key: %v", err)
			}
		})
	}
}
