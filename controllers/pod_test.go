package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// scopeOf is a run's, whose configuration is fixed.
func scopeOf(t *testing.T, w *wrap.RunWrapper, claims ...string) *scope {
	t.Helper()
	resolved, err := v1alpha1.Resolve(w.UID("uid").Obj())
	if err != nil {
		t.Fatal(err)
	}
	config, err := fixed(resolved, "image:1", 1)
	if err != nil {
		t.Fatal(err)
	}
	s := &scope{run: w.Obj(), config: config, claims: claims}
	s.run.Status.ConfigHash, s.run.Status.OutputClaim, s.run.Status.ContractVersion = "0123456789abcdef", "out", 1
	return s
}

// attemptFor makes the second attempt at a run's pretrain stage.
func attemptFor(t *testing.T, w *wrap.RunWrapper, l ledger, claims ...string) *attempt {
	t.Helper()
	return attemptAt(t, w, "pretrain", l, claims...)
}

// attemptAt makes the second attempt at a stage.
func attemptAt(t *testing.T, w *wrap.RunWrapper, stage string, l ledger, claims ...string) *attempt {
	t.Helper()
	r := &Reconciler{DatasetMirror: "http://mirror", Client: fake.NewClientBuilder().Build()}
	r.jobSets.Store(true)
	a, err := r.workload(t.Context(), scopeOf(t, w, claims...), stage, 2, l)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func jobFor(t *testing.T, w *wrap.RunWrapper, l ledger, claims ...string) *batchv1.Job {
	t.Helper()
	return attemptFor(t, w, l, claims...).job
}

func TestEnvironment(t *testing.T) {
	job := jobFor(t, wrap.MakeRun("ns", "run").Template(v1alpha1.PodTemplate{Env: []corev1.EnvVar{
		{Name: "SIMCLR_OUTPUT", Value: "/elsewhere"}, {Name: "OMP_NUM_THREADS", Value: "1"}, {Name: "MINE", Value: "x"},
	}}), ledger{})
	got := map[string]string{}
	for _, e := range job.Spec.Template.Spec.Containers[0].Env {
		got[e.Name] = e.Value
	}
	want := map[string]string{
		"SIMCLR_ATTEMPT": "2", "SIMCLR_THREADS": "2", "SIMCLR_DEADLINE": "1800", "SIMCLR_OUTPUT": "/output/uid", "SIMCLR_DATASET_MIRROR": "http://mirror",
		"OMP_DYNAMIC": "false", "OMP_NUM_THREADS": "1", "MINE": "x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestMounts(t *testing.T) {
	job := jobFor(t, wrap.MakeRun("ns", "run"), ledger{}, "data", "out")
	got := map[string]bool{}
	for _, m := range job.Spec.Template.Spec.Containers[0].VolumeMounts {
		got[m.MountPath] = m.ReadOnly
	}
	want := map[string]bool{"/etc/simclr": true, "/tmp": false, "/output": false, "/data/data": true, "/data/out": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mounts, read-only (-want +got):\n%s", diff)
	}
	claims := map[string]bool{}
	for _, v := range job.Spec.Template.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			claims[v.PersistentVolumeClaim.ClaimName] = v.PersistentVolumeClaim.ReadOnly
		}
	}
	if diff := cmp.Diff(map[string]bool{"out": false, "data": true}, claims); diff != "" {
		t.Errorf("claims, read-only (-want +got):\n%s", diff)
	}
}

func TestTemplateOfAnAccelerator(t *testing.T) {
	job := jobFor(t, wrap.MakeRun("ns", "run").
		Accelerator(v1alpha1.AcceleratorSpec{Type: "NvidiaGPU", Product: "NVIDIA-H200"}).
		Template(v1alpha1.PodTemplate{
			Labels:             map[string]string{"team": "a", LabelRun: "forged"},
			NodeSelector:       map[string]string{"zone": "b"},
			Tolerations:        []corev1.Toleration{{Key: "spot"}},
			ServiceAccountName: "sa", PriorityClassName: "high",
			Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
					{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "x", Operator: "Exists"}}},
					{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "y", Operator: "Exists"}}},
				}},
			}},
		}), ledger{avoid: []string{"broken"}})
	pod := job.Spec.Template
	if diff := cmp.Diff(map[string]string{"zone": "b", "nvidia.com/gpu.product": "NVIDIA-H200"}, pod.Spec.NodeSelector); diff != "" {
		t.Errorf("node selector (-want +got):\n%s", diff)
	}
	if len(pod.Spec.Tolerations) != 2 || pod.Spec.Tolerations[0].Key != "nvidia.com/gpu" {
		t.Errorf("tolerations %+v", pod.Spec.Tolerations)
	}
	if pod.Labels["team"] != "a" || pod.Labels[LabelRun] != "run" {
		t.Errorf("labels %v: the user's come, the operator's stay", pod.Labels)
	}
	for _, term := range pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		if len(term.MatchFields) != 1 || term.MatchFields[0].Values[0] != "broken" {
			t.Errorf("term %+v does not avoid the node", term)
		}
	}
	r := pod.Spec.Containers[0].Resources
	if gpus := r.Limits["nvidia.com/gpu"]; gpus.Value() != 1 || r.Limits.Cpu().Value() != 4 || r.Requests.Memory().String() != "8Gi" {
		t.Errorf("resources %+v", r)
	}
}

func TestThreads(t *testing.T) {
	for name, tc := range map[string]struct {
		requests, limits string
		want             int32
	}{
		"default":            {"", "", 2},
		"the limit":          {"1", "8", 8},
		"rounded":            {"", "2500m", 3},
		"at least one":       {"", "100m", 1},
		"no limit: requests": {"4", "", 4},
	} {
		t.Run(name, func(t *testing.T) {
			given := &corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
			if tc.requests != "" {
				given.Requests[corev1.ResourceCPU] = resource.MustParse(tc.requests)
			}
			if tc.limits != "" {
				given.Limits[corev1.ResourceCPU] = resource.MustParse(tc.limits)
			}
			spec := &v1alpha1.SimCLRRunSpec{Template: v1alpha1.PodTemplate{Resources: given}}
			r := containerResources(spec, nil)
			if got := threadsOf(r); got != tc.want {
				t.Errorf("%d threads, want %d", got, tc.want)
			}
			if r.Requests.Memory().IsZero() {
				t.Error("no memory is requested: the pod would be BestEffort in memory")
			}
		})
	}
}
