package dataset

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// The keys of a Secret of AWS credentials, as the environment of the AWS tools has them.
const (
	accessKeyID     = "AWS_ACCESS_KEY_ID"
	secretAccessKey = "AWS_SECRET_ACCESS_KEY"
	sessionToken    = "AWS_SESSION_TOKEN" // optional
)

// sessionRefresh is how often temporary credentials are read again: the kubelet brings a Secret's new values.
const sessionRefresh = 5 * time.Minute

// secretDir is where the operator has mounted what a dataset's field refers to.
func (o Options) secretDir() string {
	if o.Field == evaluationField {
		return filepath.Join(o.Secrets, contract.EvaluationSecrets)
	}
	return filepath.Join(o.Secrets, contract.DatasetSecrets)
}

// secretValue is the value of a key of the dataset's Secret, without white space around it, which files tend to have.
func secretValue(o Options, key string) (string, error) {
	data, err := os.ReadFile(filepath.Join(o.secretDir(), contract.CredentialsDir, key))
	if errors.Is(err, fs.ErrNotExist) {
		return "", invalidSecret(o, "it has no key %s; add it", key)
	}
	if err != nil {
		return "", contract.Errorf(contract.ExitStorage, "DatasetFailed", "%s.credentials: %w", o.Field, err)
	}
	value := strings.TrimSpace(string(data))
	if value == "" {
		return "", invalidSecret(o, "its key %s is empty; set it", key)
	}
	return value, nil
}

func invalidSecret(o Options, format string, args ...any) error {
	return contract.UserErrorf("InvalidCredentials", "%s.credentials: the Secret is not what it should be: "+format, append([]any{o.Field}, args...)...)
}

// secretKeys gives the AWS SDK a Secret's keys.
type secretKeys struct{ o Options }

// Retrieve reads them.
func (s secretKeys) Retrieve(context.Context) (aws.Credentials, error) {
	id, err := secretValue(s.o, accessKeyID)
	if err != nil {
		return aws.Credentials{}, err
	}
	key, err := secretValue(s.o, secretAccessKey)
	if err != nil {
		return aws.Credentials{}, err
	}
	c := aws.Credentials{AccessKeyID: id, SecretAccessKey: key, Source: "Secret"}
	if token, err := secretValue(s.o, sessionToken); err == nil {
		c.SessionToken, c.CanExpire, c.Expires = token, true, time.Now().Add(sessionRefresh)
	}
	return c, nil
}

// caBundle is the system's certificate authorities and those of the flag or of the dataset's caBundle; nil: the system's.
func caBundle(spec v1alpha1.DatasetSpec, o Options) (*x509.CertPool, error) {
	file, what := o.CABundle, "--ca-bundle"
	if spec.CABundle != nil && o.Secrets != "" {
		file, what = filepath.Join(o.secretDir(), contract.CADir, contract.CAFile), o.Field+".caBundle"
	}
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, contract.UserErrorf("InvalidCABundle", "%s: %w; correct it", what, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, contract.UserErrorf("InvalidCABundle", "%s has no certificate; it must have PEM, with BEGIN CERTIFICATE lines", what)
	}
	return pool, nil
}

// connections to keep for the next request: all workers ask one server.
const idleConnections = 64

// transportOptions of the clients of all stores. Limits of time are the callers': a file may take as long as it comes.
func transportOptions(pool *x509.CertPool) func(*http.Transport) {
	return func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = idleConnections, idleConnections
		if pool != nil {
			if t.TLSClientConfig == nil {
				t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			}
			t.TLSClientConfig.RootCAs = pool
		}
	}
}
