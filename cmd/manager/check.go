package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

const (
	// checkPatience is how long a manager may take to lead after its start: a lease of one that died is 15 s old at most.
	checkPatience = time.Minute
	checkEvery    = time.Second
	maxMetrics    = 16 << 20
	// leads is the metric of a manager that leads.
	leads = `leader_election_master_status{name="` + leaderElectionID + `"} 1`
)

// check is `manager check`, what `helm test` runs in a pod: it finds the runs' resource at the API server and a
// manager that leads at its metrics.
func check(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("manager check", flag.ContinueOnError)
	metrics := f.String("metrics", "", "URL of a manager's /metrics; required")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *metrics == "" || f.NArg() > 0 {
		return fmt.Errorf("manager check --metrics=URL, and nothing else: %q", args)
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	if err := checkServed(config); err != nil {
		return err
	}
	client, err := metricsClient(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	for {
		err := checkLeads(ctx, client, *metrics)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(checkEvery):
		}
	}
}

// checkServed asks for what every user may know.
func checkServed(config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	list, err := client.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		return fmt.Errorf("the API server does not serve %s: is the chart's CRD installed? %w", v1alpha1.GroupVersion, err)
	}
	for _, r := range list.APIResources {
		if r.Kind == "SimCLRRun" {
			return nil
		}
	}
	return fmt.Errorf("the API server serves %s without SimCLRRuns", v1alpha1.GroupVersion)
}

// metricsClient shows the pod's token. The manager made its certificate for itself, so that there is nothing to verify
// it by. Each question is a connection of its own: of several managers the Service gives it to any.
func metricsClient(config *rest.Config) (*http.Client, error) {
	plain := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}
	through, err := transport.NewBearerAuthWithRefreshRoundTripper(config.BearerToken, config.BearerTokenFile, plain)
	return &http.Client{Timeout: 10 * time.Second, Transport: through}, err
}

func checkLeads(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxMetrics))
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers %s", url, response.Status)
	case !strings.Contains(string(body), "\n"+leads+"\n"):
		return fmt.Errorf("%s: the manager that answers does not lead", url)
	}
	return nil
}
