package controllers

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestCapacity(t *testing.T) {
	imageNet := func(product string, devices, batch int32) v1alpha1.SimCLRRunSpec {
		return v1alpha1.SimCLRRunSpec{
			Dataset:     v1alpha1.DatasetSpec{URI: "pvc://data/images", Format: "ImageFolder", ImageSize: new(int32(224))},
			Encoder:     v1alpha1.EncoderSpec{Depth: 50},
			BatchSize:   batch,
			Accelerator: v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: product, DevicesPerWorker: &devices},
			Pretraining: v1alpha1.PretrainingSpec{Precision: v1alpha1.BF16},
		}
	}
	own := imageNet("NVIDIA-H200", 1, 8192)
	own.Template.Image = "ghcr.io/team/trainer:1"
	for name, tc := range map[string]struct {
		spec  v1alpha1.SimCLRRunSpec
		stage string
		want  string // "": it starts
	}{
		"fits":           {imageNet("NVIDIA-H200", 8, 4096), "pretrain", ""},
		"too large":      {imageNet("NVIDIA-H200", 1, 8192), "pretrain", "batchSize 8192: each of 1 devices computes 8,192 images of it at once and needs about "},
		"unknown memory": {imageNet("", 1, 8192), "pretrain", ""},
		"own image":      {own, "pretrain", ""},
		"later stage":    {imageNet("NVIDIA-H200", 1, 8192), "linear-eval", ""},
		"on CPU":         {v1alpha1.SimCLRRunSpec{Dataset: v1alpha1.DatasetSpec{Name: "cifar10"}, BatchSize: 8192}, "pretrain", ""},
	} {
		t.Run(name, func(t *testing.T) {
			resolved, err := v1alpha1.Resolve(&v1alpha1.SimCLRRun{Spec: tc.spec})
			if err != nil {
				t.Fatal(err)
			}
			s := newScope(&v1alpha1.SimCLRRun{}, time.Now())
			s.config = resolved
			err = s.capacity(&v1alpha1.StageStatus{Name: tc.stage})
			if tc.want == "" {
				if c, set := s.wanted[v1alpha1.ConditionResourcesFit]; err != nil || set {
					t.Errorf("got %v, %+v", err, c)
				}
				return
			}
			var blocked *blockedError
			if !errors.As(err, &blocked) || blocked.stalled != metav1.ConditionTrue || blocked.reason != reasonInsufficientDeviceMemory {
				t.Fatalf("got %#v, want a run that waits for a person", err)
			}
			c := s.wanted[v1alpha1.ConditionResourcesFit]
			for _, want := range []string{tc.want, "set pretraining.microBatchSize to at most ", "accelerator.product and devicesPerWorker"} {
				if c.Status != metav1.ConditionFalse || c.Reason != reasonInsufficientDeviceMemory || !strings.Contains(c.Message, want) {
					t.Errorf("ResourcesFit is %s %s %q, want %q", c.Status, c.Reason, c.Message, want)
				}
			}
		})
	}
}
