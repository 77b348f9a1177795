package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

func TestCheckServed(t *testing.T) {
	for name, tc := range map[string]struct {
		code    int
		answer  string
		wantErr string
	}{
		"served":     {http.StatusOK, `{"kind":"APIResourceList","groupVersion":"training.simclr.dev/v1alpha1","resources":[{"name":"simclrruns","kind":"SimCLRRun"}]}`, ""},
		"no CRD":     {http.StatusNotFound, `{}`, "is the chart's CRD installed?"},
		"other kind": {http.StatusOK, `{"kind":"APIResourceList","groupVersion":"training.simclr.dev/v1alpha1","resources":[{"name":"others","kind":"Other"}]}`, "without SimCLRRuns"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/apis/training.simclr.dev/v1alpha1" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tc.code)
				fmt.Fprint(w, tc.answer)
			}))
			defer server.Close()
			wantError(t, checkServed(&rest.Config{Host: server.URL}), tc.wantErr)
		})
	}
}

func TestCheckLeads(t *testing.T) {
	const others = "# TYPE x gauge\nx 1\n"
	for name, tc := range map[string]struct {
		token, answer, wantErr string
	}{
		"leads":           {"right", others + leads + "\n" + others, ""},
		"stands by":       {"right", others + strings.TrimSuffix(leads, "1") + "0\n", "does not lead"},
		"may not read it": {"wrong", "", "403"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer right" {
					w.WriteHeader(http.StatusForbidden)
				}
				fmt.Fprint(w, tc.answer)
			}))
			defer server.Close()
			client, err := metricsClient(&rest.Config{BearerToken: tc.token})
			must(t, err)
			wantError(t, checkLeads(t.Context(), client, server.URL+"/metrics"), tc.wantErr)
		})
	}
}

func TestCheckRefusesOtherArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"--metrics=https://x", "more"}} {
		wantError(t, check(t.Context(), args), "--metrics=URL")
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got %v, want %q", err, want)
	}
}
