package main

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	reviewTime     = 10 * time.Second
	allowedFor     = time.Minute // that the API server's answer is kept
	refusedFor     = 30 * time.Second
	answersAtOnce  = 1024
	bearer         = "Bearer "
	notKnown       = "Unauthorized: /metrics needs the bearer token of who may get the nonResourceURL /metrics"
	notAllowed     = "Forbidden: the bearer token's user may not get the nonResourceURL "
	cannotBeAsked  = "the API server could not be asked who this is"
	maxTokenLength = 16 << 10
)

// scrapers are who may read metrics: those whose bearer token the API server knows (TokenReview) and whom it lets get the path
// (SubjectAccessReview). controller-runtime's filter does the same with the API server's own libraries, whose CEL, gRPC and tracing
// are a fifth of the memory that this process may take.
type scrapers struct {
	tokens  authenticationclient.TokenReviewInterface
	access  authorizationclient.SubjectAccessReviewInterface
	answers *cache.LRUExpireCache // HTTP status by question
}

type question struct {
	token        [sha256.Size]byte
	method, path string
}

// onlyScrapers is a metricsserver.FilterProvider.
func onlyScrapers(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
	authentication, err := authenticationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	authorization, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	s := &scrapers{authentication.TokenReviews(), authorization.SubjectAccessReviews(), cache.NewLRUExpireCache(answersAtOnce)}
	return s.filter, nil
}

func (s *scrapers) filter(log logr.Logger, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch status, err := s.ask(r); {
		case err != nil:
			log.Error(err, cannotBeAsked)
			http.Error(w, cannotBeAsked, http.StatusInternalServerError)
		case status == http.StatusUnauthorized:
			http.Error(w, notKnown, status)
		case status == http.StatusForbidden:
			http.Error(w, notAllowed+r.URL.Path, status)
		default:
			next.ServeHTTP(w, r)
		}
	}), nil
}

// ask who it is, and what they may: 200, 401 or 403.
func (s *scrapers) ask(r *http.Request) (int, error) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), bearer)
	if !found || token == "" || len(token) > maxTokenLength {
		return http.StatusUnauthorized, nil
	}
	q := question{sha256.Sum256([]byte(token)), strings.ToLower(r.Method), r.URL.Path}
	if status, known := s.answers.Get(q); known {
		return status.(int), nil
	}
	ctx, stop := context.WithTimeout(r.Context(), reviewTime)
	defer stop()
	status, err := s.review(ctx, token, q)
	if err != nil {
		return 0, err
	}
	keep := refusedFor
	if status == http.StatusOK {
		keep = allowedFor
	}
	s.answers.Add(q, status, keep)
	return status, nil
}

func (s *scrapers) review(ctx context.Context, token string, q question) (int, error) {
	who, err := s.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return 0, err
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	user, extra := who.Status.User, map[string]authorizationv1.ExtraValue{}
	for key, value := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(value)
	}
	access, err := s.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, Groups: user.Groups, UID: user.UID, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: q.path, Verb: q.method},
	}}, metav1.CreateOptions{})
	if err != nil {
		return 0, err
	}
	if !access.Status.Allowed {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}
