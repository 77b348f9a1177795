package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Only who may get the path at the API server reads metrics, of a real one.
func TestOnlyScrapers(t *testing.T) {
	api, config := apiServer(t)
	granted := metav1.ObjectMeta{Name: "scrapes"}
	must(t, api.Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: granted, Rules: []rbacv1.PolicyRule{
		{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}},
	}}))
	bindCluster(t, api, "scrapes", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: system, Name: "scraper"})
	must(t, api.Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reviews"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	}}))
	server, reviews := metricsServer(t, config)
	scraper, stranger := tokenOf(t, api, "scraper"), tokenOf(t, api, "stranger")
	if got := scrape(t, server, http.MethodGet, "/metrics", "Bearer "+scraper); got != http.StatusInternalServerError {
		t.Errorf("%d, want 500 where the manager may not ask", got)
	}
	bindCluster(t, api, "reviews", rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "operator"})
	for name, tc := range map[string]struct {
		method, path, authorization string
		want                        int
	}{
		"who may":             {http.MethodGet, "/metrics", "Bearer " + scraper, http.StatusOK},
		"who may, other path": {http.MethodGet, "/debug/pprof", "Bearer " + scraper, http.StatusForbidden},
		"who may, other verb": {http.MethodPost, "/metrics", "Bearer " + scraper, http.StatusForbidden},
		"who may not":         {http.MethodGet, "/metrics", "Bearer " + stranger, http.StatusForbidden},
		"nobody":              {http.MethodGet, "/metrics", "", http.StatusUnauthorized},
		"an unknown token":    {http.MethodGet, "/metrics", "Bearer x.y.z", http.StatusUnauthorized},
		"a damaged token":     {http.MethodGet, "/metrics", "Bearer " + scraper[:len(scraper)-8], http.StatusUnauthorized},
		"another scheme":      {http.MethodGet, "/metrics", "Basic " + scraper, http.StatusUnauthorized},
		"a token without end": {http.MethodGet, "/metrics", "Bearer " + strings.Repeat("x", 1+maxTokenLength), http.StatusUnauthorized},
	} {
		eventually(t, name, func() bool { // the API server's authorizer has the new binding in a moment
			return scrape(t, server, tc.method, tc.path, tc.authorization) == tc.want
		})
	}
	before := *reviews
	for range 10 {
		scrape(t, server, http.MethodGet, "/metrics", "Bearer "+scraper)
		scrape(t, server, http.MethodGet, "/metrics", "Bearer "+stranger)
	}
	if *reviews != before {
		t.Errorf("the API server is asked again at each scrape: %d questions", *reviews-before)
	}
}

// metricsServer has the filter before it, of a user of the API server, whose questions are counted.
func metricsServer(t *testing.T, config *rest.Config) (*httptest.Server, *int) {
	t.Helper()
	reviews := 0
	asks, err := rest.HTTPClientFor(config)
	must(t, err)
	transport := asks.Transport
	asks.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		reviews++
		return transport.RoundTrip(r)
	})
	filter, err := onlyScrapers(config, asks)
	must(t, err)
	handler, err := filter(logr.Discard(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	must(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server, &reviews
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func scrape(t *testing.T, server *httptest.Server, method, path, authorization string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, http.NoBody)
	must(t, err)
	r.Header.Set("Authorization", authorization)
	response, err := server.Client().Do(r)
	must(t, err)
	must(t, response.Body.Close())
	return response.StatusCode
}

func bindCluster(t *testing.T, api client.Client, role string, to rbacv1.Subject) {
	t.Helper()
	must(t, api.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{to},
	}))
}

// tokenOf a new ServiceAccount.
func tokenOf(t *testing.T, api client.Client, name string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}}
	must(t, api.Create(t.Context(), account))
	request := &authenticationv1.TokenRequest{}
	must(t, api.SubResource("token").Create(t.Context(), account, request))
	return request.Status.Token
}
