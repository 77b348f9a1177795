package controllers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestPlace(t *testing.T) {
	type placed struct {
		Resource string
		Count    int64
		Selector map[string]string
		Taint    string
		Hosts    int32
	}
	tpu := func(kind, topology string) map[string]string {
		return map[string]string{
			"cloud.google.com/gke-tpu-accelerator": kind, "cloud.google.com/gke-tpu-topology": topology,
		}
	}
	for name, tc := range map[string]struct {
		spec    v1alpha1.AcceleratorSpec
		want    placed
		wantErr string
	}{
		"CPU": {spec: v1alpha1.AcceleratorSpec{Type: "CPU"}, want: placed{Hosts: 1}},
		"any GPU": {
			spec: v1alpha1.AcceleratorSpec{Type: "NvidiaGPU", DevicesPerWorker: new(int32(1))},
			want: placed{"nvidia.com/gpu", 1, nil, "nvidia.com/gpu", 1},
		},
		"a product of GPU feature discovery": {
			spec: v1alpha1.AcceleratorSpec{Type: "NvidiaGPU", DevicesPerWorker: new(int32(8)), Product: "NVIDIA-H200"},
			want: placed{"nvidia.com/gpu", 8, map[string]string{"nvidia.com/gpu.product": "NVIDIA-H200"}, "nvidia.com/gpu", 1},
		},
		"a product of GKE": {
			spec: v1alpha1.AcceleratorSpec{Type: "NvidiaGPU", DevicesPerWorker: new(int32(1)), Product: "nvidia-l4"},
			want: placed{"nvidia.com/gpu", 1, map[string]string{"cloud.google.com/gke-accelerator": "nvidia-l4"}, "nvidia.com/gpu", 1},
		},
		"another resource and taint": {
			spec: v1alpha1.AcceleratorSpec{Type: "NvidiaGPU", DevicesPerWorker: new(int32(1)), ResourceName: "nvidia.com/mig-1g.5gb", Tolerations: []corev1.Toleration{{Key: "team"}}},
			want: placed{"nvidia.com/mig-1g.5gb", 1, nil, "team", 1},
		},
		"one host of v3": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v3", Topology: "2x2"},
			want: placed{"google.com/tpu", 4, tpu("tpu-v3-device", "2x2"), "google.com/tpu", 1},
		},
		"four hosts of v3": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v3", Topology: "4x4"},
			want: placed{"google.com/tpu", 4, tpu("tpu-v3-slice", "4x4"), "google.com/tpu", 4},
		},
		"one host of v4": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v4", Topology: "2x2x1"},
			want: placed{"google.com/tpu", 4, tpu("tpu-v4-podslice", "2x2x1"), "google.com/tpu", 1},
		},
		"two hosts of v4": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v4", Topology: "2x2x2"},
			want: placed{"google.com/tpu", 4, tpu("tpu-v4-podslice", "2x2x2"), "google.com/tpu", 2},
		},
		"one chip of v5e": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v5e", Topology: "1x1"},
			want: placed{"google.com/tpu", 1, tpu("tpu-v5-lite-podslice", "1x1"), "google.com/tpu", 1},
		},
		"one host of v5e": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v5e", Topology: "2x4"},
			want: placed{"google.com/tpu", 8, tpu("tpu-v5-lite-podslice", "2x4"), "google.com/tpu", 1},
		},
		"four hosts of v5e": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v5e", Topology: "4x4"},
			want: placed{"google.com/tpu", 4, tpu("tpu-v5-lite-podslice", "4x4"), "google.com/tpu", 4},
		},
		"one host of v5p": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v5p", Topology: "2x2x1"},
			want: placed{"google.com/tpu", 4, tpu("tpu-v5p-slice", "2x2x1"), "google.com/tpu", 1},
		},
		"two hosts of v5p": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v5p", Topology: "2x2x2"},
			want: placed{"google.com/tpu", 4, tpu("tpu-v5p-slice", "2x2x2"), "google.com/tpu", 2},
		},
		"half a host of v6e": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v6e", Topology: "2x2"},
			want: placed{"google.com/tpu", 4, tpu("tpu-v6e-slice", "2x2"), "google.com/tpu", 1},
		},
		"one host of v6e": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v6e", Topology: "2x4"},
			want: placed{"google.com/tpu", 8, tpu("tpu-v6e-slice", "2x4"), "google.com/tpu", 1},
		},
		"four hosts of v6e": {
			spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v6e", Topology: "4x4"},
			want: placed{"google.com/tpu", 4, tpu("tpu-v6e-slice", "4x4"), "google.com/tpu", 4},
		},
		"no generation": {spec: v1alpha1.AcceleratorSpec{Type: "TPU"}, wantErr: "accelerator.generation"},
		"no topology":   {spec: v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v4", Topology: "0x2"}, wantErr: "accelerator.topology"},
		"does not divide": {
			spec:    v1alpha1.AcceleratorSpec{Type: "TPU", Generation: "v6e", Topology: "2x2", DevicesPerWorker: new(int32(3))},
			wantErr: "does not divide",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := place(tc.spec)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := placed{Selector: p.nodeSelector, Hosts: p.hosts}
			for resource, count := range p.devices {
				got.Resource, got.Count = string(resource), count.Value()
			}
			for _, toleration := range p.tolerations {
				got.Taint = toleration.Key
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("placement (-want +got):\n%s", diff)
			}
		})
	}
}
