package controllers

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestNetworkPolicy(t *testing.T) {
	r := &Reconciler{Neighbours: Neighbours{
		ManagerNamespace: "simclr-system", ManagerLabels: map[string]string{"app.kubernetes.io/name": "simclr-operator"},
		MonitoringNamespaces: []string{"monitoring", "observability"},
	}}
	const head = `
podSelector: {matchLabels: {training.simclr.dev/run: run}}
policyTypes: [Ingress]
ingress:
`
	const tail = `
- ports: [{protocol: TCP, port: 8080}]
  from:
  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: simclr-system}}
    podSelector: {matchLabels: {app.kubernetes.io/name: simclr-operator}}
  - namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [monitoring, observability]}]}
`
	const collectives = `- {from: [{podSelector: {matchLabels: {training.simclr.dev/run: run}}}], ports: [{protocol: TCP, port: 7070}]}`
	const every = `- {from: [{podSelector: {matchLabels: {training.simclr.dev/run: run}}}]}`
	gpu := v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU}
	slice := func(topology string) v1alpha1.AcceleratorSpec {
		return v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v6e", Topology: topology}
	}
	for name, tc := range map[string]struct {
		run   *wrap.RunWrapper
		among string
	}{
		"a CPU":                     {wrap.MakeRun("ns", "run"), collectives},
		"several CPUs":              {wrap.MakeRun("ns", "run").Workers(4), collectives},
		"a worker with GPUs":        {wrap.MakeRun("ns", "run").Accelerator(gpu), collectives},
		"several workers with GPUs": {wrap.MakeRun("ns", "run").Accelerator(gpu).Workers(2), every},
		"an encoder taken over":     {wrap.MakeRun("ns", "run").Accelerator(gpu).Workers(2).FromURI("pvc://c/encoder"), collectives},
		"a host of TPUs":            {wrap.MakeRun("ns", "run").Accelerator(slice("2x4")), collectives},
		"a TPU slice of four hosts": {wrap.MakeRun("ns", "run").Accelerator(slice("4x4")), every},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(r.policySpec("run", scopeOf(t, tc.run).acceleratorGroup()))
			if err != nil {
				t.Fatal(err)
			}
			var got, wanted any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(head+tc.among+tail), &wanted); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNetworkPolicyIsAppliedOnlyWhenDifferent(t *testing.T) {
	var applied []byte
	r, api, _ := newTestReconciler(t, interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) (err error) {
			applied, err = json.Marshal(o)
			return err
		},
		Apply: func(_ context.Context, _ client.WithWatch, o runtime.ApplyConfiguration, _ ...client.ApplyOption) (err error) {
			applied, err = json.Marshal(o)
			return err
		},
	})
	r.Neighbours = Neighbours{ManagerNamespace: "simclr-system", ManagerLabels: map[string]string{"a": "b"}}
	s := newScope(wrap.MakeRun("ns", "run").UID("uid").Obj(), r.Clock.Now())
	s.config = scopeOf(t, wrap.MakeRun("ns", "run")).config
	network := func() (policy networkingv1.NetworkPolicy) {
		t.Helper()
		applied = nil
		if err := r.network(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if applied != nil {
			if err := json.Unmarshal(applied, &policy); err != nil {
				t.Fatal(err)
			}
		}
		return policy
	}
	made := network()
	if made.Name != "run-trainers" || !controlledBy(&made, s.run) {
		t.Fatalf("applied %s", applied)
	}
	if err := api.Create(t.Context(), &made); err != nil {
		t.Fatal(err)
	}
	if again := network(); again.Name != "" {
		t.Errorf("applied %+v, which is there", again)
	}
	r.Neighbours.MonitoringNamespaces = []string{"monitoring"} // the manager was started otherwise
	if changed := network(); changed.Name == "" || len(changed.Spec.Ingress[1].From) != 2 {
		t.Errorf("applied %+v, want it with the monitoring namespace", changed)
	}
	s.run.UID = "another"
	if network(); applied != nil || s.unready == nil {
		t.Errorf("applied %s, unready %v: it belongs to a deleted run of this name", applied, s.unready)
	}
}
