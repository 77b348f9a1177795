//go:build e2e

// Package permissions compares what the chart grants the manager with what it asked the API server for while test/e2e and
// test/chaos ran: nothing was denied that it should have had, and nothing is granted that it does not use. make test-e2e runs
// it after them.
package permissions

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/test/scenario"
)

const (
	system   = "simclr-system"
	release  = "simclr-operator"
	manager  = "system:serviceaccount:" + system + ":" + release
	auditLog = "/var/lib/simclr-cluster/logs/audit.log"
)

// permission is a verb on a resource, as RBAC has it.
type permission struct{ group, resource, verb string }

const (
	oldServers  = "informers list where the API server streams no initial events, before Kubernetes 1.32"
	eventSeries = "an event that repeats within six minutes becomes a series"
)

// unseen are granted, needed, and perhaps not in an audit log of the tests, with the reason.
var unseen = map[permission]string{
	{"training.simclr.dev", "simclrruns", "delete"}:            "ttlSecondsAfterFinished; test/envtest has it",
	{"training.simclr.dev", "simclrruns/finalizers", "update"}: "OwnerReferencesPermissionEnforcement asks for it where that admission plugin is on (OpenShift)",
	{"training.simclr.dev", "simclrruns", "list"}:              oldServers,
	{"batch", "jobs", "list"}:                                  oldServers,
	{"jobset.x-k8s.io", "jobsets", "list"}:                     oldServers,
	{"", "pods", "list"}:                                       oldServers,
	{"", "configmaps", "list"}:                                 oldServers,
	{"networking.k8s.io", "networkpolicies", "list"}:           oldServers,
	{"networking.k8s.io", "networkpolicies", "patch"}:          "of a run whose NetworkPolicy somebody changed, or whose manager was started otherwise",
	{"", "events", "patch"}:                                    eventSeries,
	{"events.k8s.io", "events", "patch"}:                       eventSeries,
	{"kueue.x-k8s.io", "workloads", "list"}:                    "Kueue's words for a run that is queued; test/kueue has it",
}

func TestMain(m *testing.M) { os.Exit(scenario.Main(m)) }

func TestNothingIsDeniedAndNothingUnusedGranted(t *testing.T) {
	used, denied := asked(t)
	if len(used) == 0 {
		t.Fatalf("%s has nothing of %s: run make test-e2e", auditLog, manager)
	}
	granted := grants(t)
	for p, where := range denied {
		if !granted[p] { // one that starts answers before it has read the roles
			t.Errorf("denied, and not granted by the chart: %+v: %s", p, where)
		}
	}
	for p := range granted {
		if _, explained := unseen[p]; !used[p] && !explained {
			t.Errorf("granted and never used: %+v; take it away, or say why it must be there", p)
		}
	}
	for p := range used {
		if !granted[p] {
			t.Errorf("used and not granted by the chart: %+v", p)
		}
	}
	for p := range unseen {
		if !granted[p] {
			t.Errorf("not granted any more, so there is nothing to explain: %+v", p)
		}
	}
}

// asked is what the manager was allowed and did, and what it was denied, with an example of where.
func asked(t *testing.T) (used map[permission]bool, denied map[permission]string) {
	t.Helper()
	file, err := os.Open(auditLog)
	if err != nil {
		t.Fatalf("%v: make cluster-down, then make test-e2e", err)
	}
	defer file.Close()
	used, denied = map[permission]bool{}, map[permission]string{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct {
			Verb, RequestURI string
			User             struct{ Username string }
			ObjectRef        *struct{ APIGroup, Resource, Subresource string }
			ResponseStatus   struct{ Code int }
			Annotations      map[string]string
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.User.Username != manager || e.ObjectRef == nil {
			continue
		}
		resource := e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			resource += "/" + e.ObjectRef.Subresource
		}
		p := permission{e.ObjectRef.APIGroup, resource, e.Verb}
		if e.ResponseStatus.Code == http.StatusForbidden && e.Annotations["authorization.k8s.io/decision"] == "forbid" {
			denied[p] = e.RequestURI
			continue
		}
		used[p] = true
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return used, denied
}

// grants of the chart's roles for the manager, as they are installed.
func grants(t *testing.T) map[permission]bool {
	t.Helper()
	var cluster rbacv1.ClusterRole
	var leases rbacv1.Role
	for object, key := range map[client.Object]client.ObjectKey{
		&cluster: {Name: release}, &leases: {Namespace: system, Name: release + "-leader-election"},
	} {
		if err := scenario.API.Get(t.Context(), key, object); err != nil {
			t.Fatal(err)
		}
	}
	all := map[permission]bool{}
	for _, rule := range slices.Concat(cluster.Rules, leases.Rules) {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all[permission{group, resource, verb}] = true
				}
			}
		}
	}
	for p := range all {
		if p.verb == "*" || p.resource == "*" || p.group == "*" {
			t.Errorf("a wildcard: %+v", p)
		}
	}
	return all
}
