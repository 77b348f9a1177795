package dataset

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"cloud.google.com/go/storage"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// statusError is an answer of a web server that is not the file.
type statusError struct {
	code   int
	status string
}

func (e *statusError) Error() string { return "the server answered " + e.status }

// HTTPStatusCode as the AWS SDK's errors have it.
func (e *statusError) HTTPStatusCode() int { return e.code }

// statusOf the answer that an error is about; 0: there was none.
func statusOf(err error) int {
	var answered interface{ HTTPStatusCode() int }
	var google *googleapi.Error
	var token *oauth2.RetrieveError // of Google's server of tokens: 400 where a key was deleted
	switch {
	case errors.As(err, &answered):
		return answered.HTTPStatusCode()
	case errors.As(err, &token) && token.Response != nil:
		if code := token.Response.StatusCode; code != http.StatusBadRequest {
			return code
		}
		return http.StatusUnauthorized
	case errors.As(err, &google):
		return google.Code
	case errors.Is(err, storage.ErrObjectNotExist), errors.Is(err, storage.ErrBucketNotExist):
		return http.StatusNotFound
	}
	return 0
}

// retryable by what the AWS SDK knows of S3's error codes, such as RequestTimeout, which comes with the status 400.
var retryable = retry.IsErrorRetryables(retry.DefaultRetryables)

// final is the error where trying again does not help: what the user has to mend, or that there is no such file. nil:
// it may help, as after an outage, or where too much was asked at once.
func (r *remote) final(name string, err error) error {
	path := r.path(name)
	var exit *contract.Error
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &exit):
		return err
	case errors.As(err, &untrusted):
		return contract.UserErrorf("DatasetNotTrusted", "%s: %w; set %s.caBundle to the certificate of the authority that signed the server's, or correct the server's name", path, untrusted, r.field)
	case errors.Is(err, http.ErrSchemeMismatch):
		return contract.UserErrorf("DatasetNotFound", "%s: the server does not speak HTTPS; write http:// in %s", path, r.field)
	case retryable.IsErrorRetryable(err).Bool():
		return nil
	}
	switch code := statusOf(err); {
	case code == http.StatusUnauthorized || code == http.StatusForbidden || deniedCodes[apiCode(err)]:
		return contract.UserErrorf("DatasetNotReadable", "%s: access is denied (%s); %s", path, brief(err), r.denied)
	case apiCode(err) == "NoSuchBucket" || errors.Is(err, storage.ErrBucketNotExist):
		return contract.UserErrorf("DatasetNotFound", "%s: there is no such bucket; correct %s.uri", path, r.field)
	case (code == http.StatusNotFound || code == http.StatusGone) && absentCodes[apiCode(err)]:
		return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	case code == 0 || code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests || code >= 500:
		return nil
	}
	return contract.UserErrorf("DatasetRefused", "%s: the server refuses (%s); correct %s: uri, or credentials, endpoint and region where it has them", path, brief(err), r.field)
}

// noSuchHost is the error where DNS says, since a while, that there is no host of the source's name: it was misspelt, unless it
// has been reached before. A DNS server that fails says something else.
func (r *remote) noSuchHost(name string, err error, since *time.Time) error {
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound || r.reached.Load() {
		*since = time.Time{}
		return nil
	}
	if since.IsZero() {
		*since = time.Now()
	}
	if time.Since(*since) < namePatience {
		return nil
	}
	return contract.UserErrorf("DatasetNotFound", "%s: DNS knows no host %s; correct %s: uri, or endpoint and region where it has them", r.path(name), dns.Name, r.field)
}

// deniedCodes of S3 come with other statuses than 401 and 403, too.
var deniedCodes = map[string]bool{"InvalidAccessKeyId": true, "ExpiredToken": true, "InvalidToken": true, "TokenRefreshRequired": true}

// absentCodes come where there is no such file: S3's, that of a request for the head alone, and none.
var absentCodes = map[string]bool{"NoSuchKey": true, "NotFound": true, "": true}

// apiCode is S3's word for an error; empty: it has none.
func apiCode(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// brief is an answer's code and words, or why there was none, without the SDK's account of its request.
func brief(err error) string {
	var api smithy.APIError
	var google *googleapi.Error
	var token *oauth2.RetrieveError
	var request *url.Error
	switch {
	case errors.As(err, &api) && api.ErrorMessage() != "":
		return fmt.Sprintf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	case errors.As(err, &google) && google.Message != "":
		return fmt.Sprintf("%d: %s", google.Code, google.Message)
	case errors.As(err, &token) && token.Response != nil:
		return fmt.Sprintf("no token for the credentials: %s %s", token.Response.Status, token.ErrorCode)
	case errors.As(err, &request): // there was no answer
		return request.Err.Error()
	}
	return err.Error()
}
