//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/test/scenario"
)

const system = "simclr-system" // the operator's namespace

// helm test finds the resource served and the manager leading, as a user who may read its metrics and nothing else.
func TestHelmTest(t *testing.T) {
	scenario.Command(t, "build/tools/bin/helm", "test", "simclr-operator", "--namespace", system, "--timeout", "2m", "--logs")
}

// Uninstalling leaves the CRD, the runs and what the chart's README names; installing again takes them over.
func TestUninstall(t *testing.T) {
	s := start(t, scenario.PretrainOnly, scenario.Suspended(true))
	t.Cleanup(func() { scenario.Command(t, "hack/install.sh", "--set", "progressIntervalSeconds=1") }) // as hack/e2e.sh does
	scenario.Command(t, "build/tools/bin/helm", "uninstall", "simclr-operator", "--namespace", system, "--wait", "--timeout", "2m")
	want := []string{
		"apiservices v1alpha1.training.simclr.dev", // the CRD's
		"configmaps kube-root-ca.crt", "customresourcedefinitions simclrruns.training.simclr.dev",
		"leases simclr-operator.training.simclr.dev", "namespaces simclr-system", "serviceaccounts default",
	}
	var d string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		if d = cmp.Diff(want, left(t)); d == "" || time.Now().After(deadline) {
			break
		}
	}
	if d != "" {
		t.Errorf("after helm uninstall (-want +got):\n%s", d)
	}
	s.Must(scenario.API.Get(t.Context(), client.ObjectKeyFromObject(s.Run), s.Run))
}

// left is what there is in the operator's namespace, and in none with the operator's name, as "resource name".
func left(t *testing.T) []string {
	t.Helper()
	config, err := ctrl.GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	lists, err := discovery.NewDiscoveryClientForConfigOrDie(config).ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, list := range lists {
		for _, r := range list.APIResources {
			group, err := schema.ParseGroupVersion(list.GroupVersion)
			if err != nil || !slices.Contains(r.Verbs, "list") || r.Name == "events" {
				continue
			}
			all = append(all, ours(t, metadata.NewForConfigOrDie(config).Resource(group.WithResource(r.Name)), r)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func ours(t *testing.T, objects metadata.Getter, r metav1.APIResource) []string {
	t.Helper()
	in := metadata.ResourceInterface(objects)
	if r.Namespaced {
		in = objects.Namespace(system)
	}
	list, err := in.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, o := range list.Items {
		if r.Namespaced || strings.Contains(o.Name, "simclr") && o.Name != "simclr-node" { // which is the cluster's
			all = append(all, r.Name+" "+o.Name)
		}
	}
	return all
}
