package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestParseOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		args       []string
		env        map[string]string
		wantErr    string
		wantImages map[v1alpha1.AcceleratorType]string
	}{
		"the CPU image serves every accelerator": {
			args:       []string{"--trainer-image=a"},
			wantImages: map[v1alpha1.AcceleratorType]string{"CPU": "a", "NvidiaGPU": "a", "TPU": "a"},
		},
		"environment and flags": {
			args:       []string{"--trainer-image-tpu=t"},
			env:        map[string]string{"SIMCLR_TRAINER_IMAGE": "a", "SIMCLR_TRAINER_IMAGE_CUDA": "c"},
			wantImages: map[v1alpha1.AcceleratorType]string{"CPU": "a", "NvidiaGPU": "c", "TPU": "t"},
		},
		"no image":       {wantErr: "--trainer-image is required"},
		"too often":      {args: []string{"--trainer-image=a", "--progress-interval=1ms"}, wantErr: "less than 1s"},
		"no URL":         {args: []string{"--trainer-image=a", "--dataset-mirror=mirror"}, wantErr: "not an http"},
		"no labels":      {args: []string{"--trainer-image=a", "--manager-namespace=simclr-system"}, wantErr: "--manager-labels"},
		"wrong labels":   {args: []string{"--trainer-image=a", "--manager-labels=x"}, wantErr: "manager-labels"},
		"wrong policy":   {args: []string{"--trainer-image=a", "--trainer-image-pull-policy=Now"}, wantErr: "none of"},
		"stray argument": {args: []string{"--trainer-image=a", "x"}, wantErr: "unknown argument"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parseOptions(tc.args, func(key string) string { return tc.env[key] })
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.wantImages, o.images()); diff != "" {
				t.Errorf("images (-want +got):\n%s", diff)
			}
			if o.progressInterval != 30*time.Second {
				t.Errorf("progress interval %s", o.progressInterval)
			}
		})
	}
}
