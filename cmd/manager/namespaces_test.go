package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

const system, watched, other = "simclr-system", "watched", "other"

// TestWatchedNamespaces runs the manager as the chart does with watchNamespaces, as a user that has what the
// chart then grants: the role of config/rbac in those namespaces, and leases in its own.
func TestWatchedNamespaces(t *testing.T) {
	api, config := apiServer(t)
	mgr, managed := startManager(t, config)
	ctx := t.Context()
	ignored := wrap.MakeRun(other, "run").Obj()
	must(t, api.Create(ctx, ignored))
	run := wrap.MakeRun(watched, "run").Obj()
	must(t, api.Create(ctx, run))
	var job batchv1.Job
	eventually(t, "a Job", func() bool {
		return api.Get(ctx, client.ObjectKey{Namespace: watched, Name: "run-pretrain-1"}, &job) == nil
	})
	pod := wrap.MakePod(&job, "run-pretrain-1-0-abcde", "node-1").Running("") // without an address there is no progress to wait for
	status := pod.Status
	must(t, api.Create(ctx, pod.Obj()))
	pod.Status = status
	must(t, api.Status().Update(ctx, pod.Obj()))
	eventually(t, "Training", func() bool {
		must(t, api.Get(ctx, client.ObjectKeyFromObject(run), run))
		c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionProgressing)
		return c != nil && c.Reason == "Training"
	})

	must(t, api.Get(ctx, client.ObjectKey{Namespace: system, Name: managed.LeaderElectionID}, &coordinationv1.Lease{}))
	must(t, api.Get(ctx, client.ObjectKeyFromObject(ignored), ignored))
	if len(ignored.Status.Conditions) != 0 {
		t.Errorf("a run in a namespace that is not watched has conditions: %+v", ignored.Status.Conditions)
	}
	checkCache(ctx, t, api, mgr.GetClient())
}

// startManager runs the manager until the test ends.
func startManager(t *testing.T, config *rest.Config) (ctrl.Manager, ctrl.Options) {
	t.Helper()
	o, err := parseOptions([]string{
		"--trainer-image=registry.example/trainer:1", "--namespaces=" + watched, "--leader-elect",
		"--metrics-bind-address=0", "--health-probe-bind-address=0",
	}, func(string) string { return "" })
	must(t, err)
	managed := managerOptions(o)
	managed.LeaderElectionNamespace = system          // in a cluster: the pod's own
	managed.Controller.SkipNameValidation = new(true) // several tests run one
	mgr, err := newManager(config, managed, o)
	must(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-ended)
	})
	return mgr, managed
}

// checkCache finds what belongs to runs in the cache, and nothing else.
func checkCache(ctx context.Context, t *testing.T, api, cached client.Client) {
	t.Helper()
	stranger := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: watched, Name: "stranger"}}
	must(t, api.Create(ctx, stranger))
	marked := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: watched, Name: "marked", Labels: map[string]string{controllers.LabelRun: "x"},
	}}
	must(t, api.Create(ctx, marked))
	var maps corev1.ConfigMapList
	eventually(t, "the marked ConfigMap in the cache", func() bool {
		must(t, cached.List(ctx, &maps))
		return slices.ContainsFunc(maps.Items, func(m corev1.ConfigMap) bool { return m.Name == "marked" })
	})
	for _, m := range maps.Items {
		if m.Labels[controllers.LabelRun] == "" || m.Namespace != watched {
			t.Errorf("ConfigMap %s/%s is in memory", m.Namespace, m.Name)
		}
	}
}

// apiServer gives the tests' client, and the configuration of a user with the manager's permissions.
func apiServer(t *testing.T) (client.Client, *rest.Config) {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: it names the directory of kube-apiserver and etcd (make test sets it)")
	}
	server := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("..", "..", "config", "crd")}, ErrorIfCRDPathMissing: true}
	config, err := server.Start()
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop()) })
	scheme := managerOptions(&options{}).Scheme
	must(t, apiextensionsv1.AddToScheme(scheme))
	api, err := client.New(config, client.Options{Scheme: scheme})
	must(t, err)
	for _, name := range []string{system, watched, other} {
		must(t, api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", "role.yaml"))
	must(t, err)
	var role rbacv1.ClusterRole
	must(t, yaml.Unmarshal(text, &role))
	grant(t, api, watched, slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.Resources, "tokenreviews") || slices.Contains(r.Resources, "subjectaccessreviews")
	}))
	grant(t, api, system, []rbacv1.PolicyRule{
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "update"},
			ResourceNames: []string{"simclr-operator.training.simclr.dev"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	})
	user, err := server.AddUser(envtest.User{Name: "operator"}, nil)
	must(t, err)
	return api, user.Config()
}

func grant(t *testing.T, api client.Client, namespace string, rules []rbacv1.PolicyRule) {
	t.Helper()
	name := metav1.ObjectMeta{Namespace: namespace, Name: "operator"}
	must(t, api.Create(t.Context(), &rbacv1.Role{ObjectMeta: name, Rules: rules}))
	must(t, api.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: name,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "operator"}},
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !check(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for ", what)
		}
	}
}
