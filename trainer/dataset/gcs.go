package dataset

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"

	"cloud.google.com/go/storage"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// googleCredentialsKey is the Secret's key, and file, of Google Cloud credentials.
const googleCredentialsKey = "credentials.json"

// openGCS opens gs://BUCKET/PREFIX. STORAGE_EMULATOR_HOST, as of Google's own tools, names another server.
func openGCS(ctx context.Context, spec v1alpha1.DatasetSpec, o Options) (source, error) {
	name, prefix, err := splitBucket(spec.URI, o.Field)
	if err != nil {
		return nil, err
	}
	r := newRemote(trimSlash(spec.URI), o)
	client, err := googleClient(ctx, spec, o, r)
	if err != nil {
		return nil, err
	}
	blobs, err := gcsblob.OpenBucket(ctx, client, name, nil)
	if err != nil {
		return nil, contract.UserErrorf("InvalidURI", "%s.uri %s: %w", o.Field, spec.URI, err)
	}
	var api *storage.Client
	if blobs.As(&api) {
		api.SetRetry(storage.WithPolicy(storage.RetryNever)) // try does, for all stores alike
	}
	return &bucket{r, blobs, prefix}, nil
}

// googleClient with the Secret's credentials, or those that Google's tools find; where there are none, requests are
// anonymous: public buckets need no more.
func googleClient(ctx context.Context, spec v1alpha1.DatasetSpec, o Options, r *remote) (*gcp.HTTPClient, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transportOptions(nil)(transport)
	anonymous := gcp.NewAnonymousHTTPClient(transport)
	if os.Getenv("STORAGE_EMULATOR_HOST") != "" {
		r.denied = "correct the bucket's permissions"
		return anonymous, nil
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &anonymous.Client) // of tokens
	var found *google.Credentials
	if spec.Credentials != nil && o.Secrets != "" {
		var err error
		if found, err = secretGoogle(ctx, o); err != nil {
			return nil, err
		}
		r.denied = "correct the Secret that " + o.Field + ".credentials names, or give its account the role Storage Object Viewer"
	} else {
		found, _ = google.FindDefaultCredentials(ctx, storage.ScopeReadOnly) // an error: there are none
		if found == nil {
			r.denied = "no credentials were found: set " + o.Field + ".credentials, or, with no cluster, GOOGLE_APPLICATION_CREDENTIALS"
			return anonymous, nil
		}
		r.denied = "correct the credentials of the environment, or give their account the role Storage Object Viewer"
	}
	return gcp.NewHTTPClient(transport, found.TokenSource)
}

// secretGoogle are the credentials of a Secret: a key of a service account, or of a user.
func secretGoogle(ctx context.Context, o Options) (*google.Credentials, error) {
	data, err := secretValue(o, googleCredentialsKey)
	if err != nil {
		return nil, err
	}
	var kind struct {
		Type       google.CredentialsType
		PrivateKey string `json:"private_key"`
	}
	if err := json.Unmarshal([]byte(data), &kind); err != nil || (kind.Type != google.ServiceAccount && kind.Type != google.AuthorizedUser) {
		return nil, invalidSecret(o, "its %s has no key of a service account; make it of the file that Google Cloud gives for a key", googleCredentialsKey)
	}
	if kind.Type == google.ServiceAccount && !isPrivateKey(kind.PrivateKey) { // the library would say so with each request
		return nil, invalidSecret(o, "the private_key of its %s is none; make it of the whole file that Google Cloud gives for a key", googleCredentialsKey)
	}
	found, err := google.CredentialsFromJSONWithType(ctx, []byte(data), kind.Type, storage.ScopeReadOnly)
	if err != nil {
		return nil, invalidSecret(o, "its %s: %w", googleCredentialsKey, err)
	}
	return found, nil
}

// isPrivateKey in PEM.
func isPrivateKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	_, errPKCS8 := x509.ParsePKCS8PrivateKey(block.Bytes)
	_, errPKCS1 := x509.ParsePKCS1PrivateKey(block.Bytes)
	return errPKCS8 == nil || errPKCS1 == nil
}
