package controllers

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// writes are counted where they leave the process, so that events and leases are among them.
var writes = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "simclr_operator_api_writes_total",
	Help: "Writes to the API server, by verb, resource and its answer; code 0: none.",
}, []string{"verb", "resource", "code"})

// requests are read as the API server reads them.
var requests = request.RequestInfoFactory{
	APIPrefixes:          sets.NewString("api", "apis"),
	GrouplessAPIPrefixes: sets.NewString("api"),
}

// CountWrites counts the writes that go through a transport, for rest.Config's Wrap.
func CountWrites(next http.RoundTripper) http.RoundTripper { return countingTransport{next} }

type countingTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return response, err
	}
	code := 0
	if response != nil {
		code = response.StatusCode
	}
	if info, unreadable := requests.NewRequestInfo(r); unreadable == nil && info.IsResourceRequest {
		resource := info.Resource
		if info.Subresource != "" {
			resource += "/" + info.Subresource
		}
		writes.WithLabelValues(info.Verb, resource, strconv.Itoa(code)).Inc()
	}
	return response, err
}
