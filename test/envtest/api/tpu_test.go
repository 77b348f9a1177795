package api_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
)

// topologies of GKE's TPU slices, of one host and of several
// (https://cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus).
var topologies = map[string][]string{
	"v3":  {"2x2", "4x4", "4x8"},
	"v4":  {"2x2x1", "2x2x2", "2x2x4"},
	"v5e": {"1x1", "2x2", "2x4", "4x4", "4x8"},
	"v5p": {"2x2x1", "2x2x2", "2x4x4"},
	"v6e": {"1x1", "2x2", "2x4", "4x4", "4x8"},
}

// TestTPUs compares the places that know the hosts of TPU slices: the rules on topology, devicesPerWorker and
// batchSize accept what the operator places, each host's chips on one worker, and nothing else.
func TestTPUs(t *testing.T) {
	generations := runSchema().Properties["spec"].Properties["accelerator"].Properties["generation"].Enum
	if len(generations) != len(topologies) {
		t.Errorf("%d generations in the schema, %d here", len(generations), len(topologies))
	}
	for generation, slices := range topologies {
		for _, topology := range slices {
			t.Run(generation+"/"+topology, func(t *testing.T) { tryTPU(t, generation, topology) })
		}
	}
}

func tryTPU(t *testing.T, generation, topology string) {
	chips := 1
	for side := range strings.SplitSeq(topology, "x") {
		n, err := strconv.Atoi(side)
		if err != nil {
			t.Fatal(err)
		}
		chips *= n
	}
	slice := fmt.Sprintf("accelerator: {type: TPU, generation: %s, topology: %s", generation, topology)
	run := patched(t, minimal, in(slice+"}"))
	if err := create(run); err != nil {
		t.Fatalf("refused: %v", err)
	}
	perHost, hosts := placed(t, run.Object)
	if perHost*hosts != chips {
		t.Errorf("the operator gives it %d workers with %d chips, the slice has %d", hosts, perHost, chips)
	}
	for spec, accepted := range map[string]bool{
		fmt.Sprintf("%s, devicesPerWorker: %d}", slice, perHost):          true,
		fmt.Sprintf("%s, devicesPerWorker: %d}", slice, 2*perHost):        false,
		fmt.Sprintf("%s}, batchSize: %d", slice, 6*chips):                 true,
		fmt.Sprintf("%s}, batchSize: %d", slice, 6*chips+max(1, chips/2)): chips == 1,
	} {
		if err := create(patched(t, minimal, in(spec))); (err == nil) != accepted {
			t.Errorf("%s gave %v; want it accepted: %v", spec, err, accepted)
		}
	}
}

// placed is how many chips the operator gives each of a run's workers, and how many of those there are.
func placed(t *testing.T, object map[string]any) (chips, workers int) {
	t.Helper()
	var run v1alpha1.SimCLRRun
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, &run); err != nil {
		t.Fatal(err)
	}
	run.UID = "uid"
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, jobset.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	byRun := func(o client.Object) []string { return []string{o.GetLabels()[controllers.LabelRun]} } // as the manager's cache has it
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(&run).WithStatusSubresource(&run).
		WithIndex(&batchv1.Job{}, "run", byRun).WithIndex(&corev1.Pod{}, "run", byRun).WithIndex(&corev1.ConfigMap{}, "run", byRun).Build()
	reconciler := &controllers.Reconciler{
		Client: api, APIReader: api, Recorder: events.NewFakeRecorder(100), Clock: clock.RealClock{},
		Poller: controllers.NewPoller(time.Second, clock.RealClock{}),
		Images: map[v1alpha1.AcceleratorType]string{v1alpha1.TPU: "image"},
	}
	key := client.ObjectKeyFromObject(&run)
	if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
		t.Fatal(err)
	}
	if err := api.Get(t.Context(), key, &run); err != nil {
		t.Fatal(err)
	}
	var stored corev1.ConfigMap
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: run.Namespace, Name: controllers.ConfigMapName(run.Name, run.Status.ConfigHash)}, &stored); err != nil {
		t.Fatalf("%v: %s", err, run.Status.Message)
	}
	var fixed v1alpha1.SimCLRRun
	if err := yaml.Unmarshal([]byte(stored.Data["run.yaml"]), &fixed); err != nil {
		t.Fatal(err)
	}
	return int(*fixed.Spec.Accelerator.DevicesPerWorker), int(run.Status.Workers)
}
