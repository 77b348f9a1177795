package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestAdoptedImage(t *testing.T) {
	gpu := v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU}
	started := map[v1alpha1.AcceleratorType]string{v1alpha1.CPU: "cpu:1", v1alpha1.NvidiaGPU: "cuda:1"}
	upgraded := map[v1alpha1.AcceleratorType]string{v1alpha1.CPU: "cpu:2", v1alpha1.NvidiaGPU: "cuda:2"}
	for name, tc := range map[string]struct {
		before, after string // template.image
		change        func(*v1alpha1.SimCLRRun)
		want          string
	}{
		"a wrong image is removed":                    {before: "typo", want: "cpu:2"},
		"a wrong image is corrected":                  {before: "typo", after: "mine:1", want: "mine:1"},
		"an image is given":                           {after: "mine:1", want: "mine:1"},
		"another accelerator":                         {change: func(r *v1alpha1.SimCLRRun) { r.Spec.Accelerator = gpu }, want: "cuda:2"},
		"something else, after an operator's upgrade": {change: func(r *v1alpha1.SimCLRRun) { r.Spec.Template.PriorityClassName = "high" }, want: "cpu:1"},
		"something else beside an image of the user's": {before: "mine:1", after: "mine:1",
			change: func(r *v1alpha1.SimCLRRun) { r.Spec.Template.PriorityClassName = "high" }, want: "mine:1"},
	} {
		t.Run(name, func(t *testing.T) {
			run := wrap.MakeRun("ns", "run").UID("uid").Template(v1alpha1.PodTemplate{Image: tc.before}).Obj()
			s := newScope(run, time.Unix(0, 0))
			config, err := (&Reconciler{Images: started}).resolve(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			s.config, s.run.Status.Image = config, config.Status.Image
			s.run.Spec.Template.Image = tc.after
			if tc.change != nil {
				tc.change(s.run)
			}
			adopted, err := (&Reconciler{Images: upgraded}).adopt(s)
			if err != nil {
				t.Fatal(err)
			}
			if adopted.Status.Image != tc.want {
				t.Errorf("image %s, want %s", adopted.Status.Image, tc.want)
			}
		})
	}
}

func TestDevicesOfAWorker(t *testing.T) {
	tpu := func(topology string) v1alpha1.AcceleratorSpec {
		return v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v6e", Topology: topology}
	}
	for name, tc := range map[string]struct {
		accelerator v1alpha1.AcceleratorSpec
		want        *int32
		wantErr     string
	}{
		"CPU":         {accelerator: v1alpha1.AcceleratorSpec{Type: v1alpha1.CPU}},
		"a GPU":       {accelerator: v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU}, want: new(int32(1))},
		"a TPU host":  {accelerator: tpu("2x4"), want: new(int32(8))},
		"four hosts":  {accelerator: tpu("4x4"), want: new(int32(4))},
		"no topology": {accelerator: tpu("0x2"), wantErr: "accelerator.topology"},
	} {
		t.Run(name, func(t *testing.T) {
			run := wrap.MakeRun("ns", "run").UID("uid").Accelerator(tc.accelerator).Obj()
			config, err := (&Reconciler{}).resolve(t.Context(), newScope(run, time.Unix(0, 0)))
			if tc.wantErr != "" {
				if blocked := blocking(err); blocked == nil || blocked.reason != reasonInvalidSpec || !strings.Contains(blocked.message, tc.wantErr) {
					t.Errorf("error %v, want InvalidSpec with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, config.Spec.Accelerator.DevicesPerWorker); diff != "" {
				t.Errorf("devicesPerWorker (-want +got):\n%s", diff)
			}
		})
	}
}
