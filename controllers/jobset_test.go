package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestJobSetOfSeveralWorkers(t *testing.T) {
	l := ledger{charged: 1, checkpointStep: 7}
	a := attemptFor(t, wrap.MakeRun("ns", "run").Workers(4), l)
	if a.set == nil || a.workers != 4 || a.stage != "pretrain" || a.number != 2 {
		t.Fatalf("attempt %+v, want a JobSet of 4 workers", a)
	}
	if diff := cmp.Diff(l, a.ledger(), cmp.AllowUnexported(ledger{})); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	spec := a.set.Spec
	if a.set.Name != "run-pretrain-2" || spec.Network.Subdomain != "run-pretrain-2" || !*spec.Network.EnableDNSHostnames || !*spec.Network.PublishNotReadyAddresses {
		t.Errorf("name %s, network %+v", a.set.Name, spec.Network)
	}
	if spec.FailurePolicy == nil || spec.FailurePolicy.MaxRestarts != 0 || len(spec.FailurePolicy.Rules) > 0 || len(spec.ReplicatedJobs) != 1 {
		t.Fatalf("failure policy %+v, %d jobs: the budget is the operator's", spec.FailurePolicy, len(spec.ReplicatedJobs))
	}
	rj := spec.ReplicatedJobs[0]
	job := rj.Template.Spec
	if rj.Name != "w" || rj.Replicas != 1 || *job.Parallelism != 4 || *job.Completions != 4 || *job.CompletionMode != batchv1.IndexedCompletion || *job.BackoffLimit != 0 {
		t.Errorf("replicated job %s, %d replicas, %+v", rj.Name, rj.Replicas, job)
	}
	for _, labels := range []map[string]string{a.set.Labels, rj.Template.Labels, job.Template.Labels} {
		if labels[LabelRun] != "run" || labels[LabelAttempt] != "2" {
			t.Errorf("labels %v: the cache would not have it", labels)
		}
	}
	for i, rule := range job.PodFailurePolicy.Rules {
		if rule.Action != batchv1.PodFailurePolicyActionFailJob {
			t.Errorf("rule %d is %s: a lone pod would be made again", i, rule.Action)
		}
	}
	if a.set.Annotations["alpha.jobset.sigs.k8s.io/exclusive-topology"] != "" {
		t.Error("CPU workers may be anywhere")
	}
}

func TestPodOfSeveralWorkers(t *testing.T) {
	group := map[string]bool{"SIMCLR_WORKERS": true, "SIMCLR_RANK": true, "SIMCLR_COORDINATOR": true}
	for name, tc := range map[string]struct {
		run  *wrap.RunWrapper
		want map[string]string
		key  bool
	}{
		"two": {
			run: wrap.MakeRun("ns", "run").Workers(2), key: true,
			want: map[string]string{
				"SIMCLR_WORKERS": "2", "SIMCLR_COORDINATOR": "run-pretrain-2-w-0-0.run-pretrain-2:7070",
				"SIMCLR_RANK": "metadata.annotations['batch.kubernetes.io/job-completion-index']",
			},
		},
		"one":                     {run: wrap.MakeRun("ns", "run").Workers(1)},
		"an encoder taken over":   {run: wrap.MakeRun("ns", "run").Workers(2).FromURI("pvc://c/encoder")},
		"what a user sets is not": {run: wrap.MakeRun("ns", "run").Template(v1alpha1.PodTemplate{Env: []corev1.EnvVar{{Name: "SIMCLR_RANK", Value: "9"}}})},
	} {
		t.Run(name, func(t *testing.T) {
			a := attemptFor(t, tc.run, ledger{})
			pod := a.template().Spec
			var got map[string]string
			for _, e := range pod.Containers[0].Env {
				switch {
				case !group[e.Name]:
					continue
				case got == nil:
					got = map[string]string{}
				}
				got[e.Name] = e.Value
				if e.ValueFrom != nil {
					got[e.Name] = e.ValueFrom.FieldRef.FieldPath
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			key := false
			for _, m := range pod.Containers[0].VolumeMounts {
				key = key || m.MountPath == "/var/run/secrets/simclr/collective" && m.ReadOnly
			}
			if key != tc.key || (a.set != nil) != tc.key {
				t.Errorf("the key is mounted: %v, a JobSet: %v; want %v", key, a.set != nil, tc.key)
			}
		})
	}
}

func TestWorkersOfATPUSlice(t *testing.T) {
	slice := v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v6e", Topology: "4x4"}
	a := attemptFor(t, wrap.MakeRun("ns", "run").Accelerator(slice), ledger{})
	chips := a.template().Spec.Containers[0].Resources.Limits["google.com/tpu"]
	if a.set == nil || a.workers != 4 || chips.Value() != 4 {
		t.Fatalf("%s of %d workers with %s chips, want a JobSet of 4 with 4", a.kind(), a.workers, chips.String())
	}
	if got := a.set.Annotations["alpha.jobset.sigs.k8s.io/exclusive-topology"]; got != "cloud.google.com/gke-nodepool" {
		t.Errorf("exclusive topology %q: two runs could share a slice's node pool", got)
	}
}
