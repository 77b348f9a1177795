package controllers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestHostsOfATPUSlice(t *testing.T) {
	slice := func(topology string) *wrap.RunWrapper {
		return wrap.MakeRun("ns", "run").Accelerator(v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v6e", Topology: topology})
	}
	mine := v1alpha1.PodTemplate{Env: []corev1.EnvVar{{Name: "TPU_WORKER_ID", Value: "7"}}}
	const rank = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
	four := make([]string, 4)
	for i := range four {
		four[i] = fmt.Sprintf("run-pretrain-2-w-0-%d.run-pretrain-2", i)
	}
	hosts := strings.Join(four, ",")
	for name, tc := range map[string]struct {
		run   *wrap.RunWrapper
		stage string
		want  map[string]string
	}{
		"four hosts":          {run: slice("4x4"), want: map[string]string{"TPU_WORKER_ID": rank, "TPU_WORKER_HOSTNAMES": hosts}},
		"a user's come first": {run: slice("4x4").Template(mine), want: map[string]string{"TPU_WORKER_ID": "7", "TPU_WORKER_HOSTNAMES": hosts}},
		"another resource": {
			run: wrap.MakeRun("ns", "run").Accelerator(v1alpha1.AcceleratorSpec{
				Type: v1alpha1.TPU, Generation: "v6e", Topology: "4x4", ResourceName: "example.com/tpu"}),
			want: map[string]string{"TPU_WORKER_ID": rank, "TPU_WORKER_HOSTNAMES": hosts},
		},
		"one host":      {run: slice("2x4")},
		"a later stage": {run: slice("4x4").LinearEvaluation(), stage: "linear-eval"},
		"GPUs":          {run: wrap.MakeRun("ns", "run").Workers(4).Accelerator(v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU})},
		"CPUs":          {run: wrap.MakeRun("ns", "run").Workers(4)},
	} {
		t.Run(name, func(t *testing.T) {
			stage := tc.stage
			if stage == "" {
				stage = v1alpha1.StagePretrain
			}
			var got map[string]string
			for _, e := range attemptAt(t, tc.run, stage, ledger{}).template().Spec.Containers[0].Env {
				if !strings.HasPrefix(e.Name, "TPU_") {
					continue
				}
				if got == nil {
					got = map[string]string{}
				}
				if got[e.Name] = e.Value; e.ValueFrom != nil {
					got[e.Name] = e.ValueFrom.FieldRef.FieldPath
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSharedMemory(t *testing.T) {
	gpus := func(devices, workers int32) *wrap.RunWrapper {
		return wrap.MakeRun("ns", "run").LinearEvaluation().Workers(workers).
			Accelerator(v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, DevicesPerWorker: &devices})
	}
	for name, tc := range map[string]struct {
		run   *wrap.RunWrapper
		stage string
		want  bool
	}{
		"one GPU":                     {gpus(1, 1), "pretrain", false},
		"two GPUs of a pod":           {gpus(2, 1), "pretrain", true},
		"one GPU in each of two pods": {gpus(1, 2), "pretrain", true},
		"two GPUs of a later stage":   {gpus(2, 2), "linear-eval", true},
		"one GPU of a later stage":    {gpus(1, 2), "linear-eval", false},
		"several CPUs":                {wrap.MakeRun("ns", "run").Workers(2), "pretrain", false},
		"a TPU slice": {wrap.MakeRun("ns", "run").Accelerator(
			v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v6e", Topology: "4x4"}), "pretrain", false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := attemptAt(t, tc.run, tc.stage, ledger{}).template().Spec
			var volume string
			for _, m := range pod.Containers[0].VolumeMounts {
				if m.MountPath == "/dev/shm" && !m.ReadOnly {
					volume = m.Name
				}
			}
			if (volume != "") != tc.want {
				t.Fatalf("/dev/shm is mounted: %v, want %v", volume != "", tc.want)
			}
			for _, v := range pod.Volumes {
				if v.Name != volume {
					continue
				}
				if v.EmptyDir == nil || v.EmptyDir.Medium != corev1.StorageMediumMemory || v.EmptyDir.SizeLimit.String() != "1Gi" {
					t.Errorf("volume %+v, want 1Gi of memory", v)
				}
			}
		})
	}
}
