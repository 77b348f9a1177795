package stage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// The images of all splits together are a quarter of the memory.
func TestImageMemory(t *testing.T) {
	all := availableMemory() / 4
	for name, tc := range map[string]struct {
		change     func(s *v1alpha1.SimCLRRunSpec)
		splits     int64
		neighbours int
	}{
		"no labels": {func(s *v1alpha1.SimCLRRunSpec) {
			s.KNN.Mode, s.LinearEvaluation.Mode = v1alpha1.Disabled, v1alpha1.Disabled
		}, 1, 0},
		"labels":             {func(*v1alpha1.SimCLRRunSpec) {}, 2, 0},
		"other data":         {evaluatedElsewhere, 3, 0},
		"three workers here": {func(*v1alpha1.SimCLRRunSpec) {}, 6, 2},
	} {
		t.Run(name, func(t *testing.T) {
			run := resolved(t, tc.change)
			if got := imageMemory(&run.Spec, tc.neighbours); got == 0 || got != all/tc.splits {
				t.Errorf("%d bytes, want a part of %d of %d", got, tc.splits, all)
			}
		})
	}
}

func evaluatedElsewhere(s *v1alpha1.SimCLRRunSpec) {
	s.Evaluation = &v1alpha1.EvaluationSpec{Dataset: v1alpha1.DatasetSpec{URI: "pvc://labelled/", Format: v1alpha1.FormatImageFolder}}
}

// Messages name the field or flag of the data that is bad.
func TestDataErrorsNameTheirField(t *testing.T) {
	run := resolved(t, evaluatedElsewhere)
	good := t.TempDir()
	idx := []byte{0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7} // an image of one pixel
	if err := os.WriteFile(filepath.Join(good, "train-images-idx3-ubyte"), idx, 0o666); err != nil {
		t.Fatal(err)
	}
	for want, from := range map[string]Sources{
		"--dataset: the directory /none":             {Directory: "/none"},
		"--evaluation-dataset: the directory /none":  {Directory: good, EvaluationDirectory: "/none"},
		"spec.evaluation.dataset.uri pvc://labelled": {Directory: good},
	} {
		_, err := openData(t.Context(), &run.Spec, from, 1, report.New("r", "pretrain", 1, 0))
		if contract.ExitCode(err) != contract.ExitUserError || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a user error that says %q", err, want)
		}
	}
}

// A run on an accelerator whose views do not fit the host's memory does not begin, and is told which batch does; what the step needs
// is its devices' to have.
func TestTheHostHasRoomForViews(t *testing.T) {
	t.Setenv(contract.EnvPlugin, xlatest.QuickPlugin(t))
	limit, old := filepath.Join(t.TempDir(), "memory.max"), limitFiles
	defer func() { limitFiles = old }()
	limitFiles = []string{limit}
	images := folder(t)
	for name, tc := range map[string]struct {
		bytes string
		want  string
	}{
		"too little": {"20000", "of the host's memory"},
		"enough":     {"2000000", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(limit, []byte(tc.bytes+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			o, hash := optionsOf(t, onGPUs(t, 1, 1, v1alpha1.AugmentationsHost), v1alpha1.StagePretrain)
			o.Data.Directory = images
			r, err := open(t.Context(), o, hash, collective.Single{})
			defer r.close()
			if tc.want == "" && err != nil || tc.want != "" && (contract.ExitCode(err) != contract.ExitUserError || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v", err)
			}
		})
	}
}
