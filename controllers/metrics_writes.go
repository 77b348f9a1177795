package controllers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// writes are counted where they leave the process, so that events and leases are among them.
var writes = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "simclr_operator_api_writes_total",
	Help: "Writes to the API server, by verb, resource and its answer; code 0: none.",
}, []string{"verb", "resource", "code"})

// CountWrites counts the writes that go through a transport, for rest.Config's Wrap.
func CountWrites(next http.RoundTripper) http.RoundTripper { return countingTransport{next} }

type countingTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	verb, write := verbs[r.Method]
	if !write {
		return response, err
	}
	code := 0
	if response != nil {
		code = response.StatusCode
	}
	if resource := resourceOf(r.URL.Path); resource != "" {
		writes.WithLabelValues(verb, resource, strconv.Itoa(code)).Inc()
	}
	return response, err
}

var verbs = map[string]string{
	http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}

// resourceOf a path of the API server, as RESOURCE or RESOURCE/SUBRESOURCE; "" where it has none. The API server's own package for
// that takes CEL, gRPC and tracing with it.
func resourceOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch { // after /api/VERSION or /apis/GROUP/VERSION
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return ""
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	if len(parts) > 2 {
		return parts[0] + "/" + parts[2]
	}
	return parts[0]
}
