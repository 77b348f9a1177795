package stage

import (
	"bytes"
	"context"
	"errors"
	"image"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/evaluate"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
)

// epochs of tiny's two steps each, in micro-batches where micro is not 0, with an evaluation after every so
// many epochs.
func epochs(t *testing.T, n, micro, every int32) *v1alpha1.SimCLRRun {
	t.Helper()
	run := tiny(t)
	p := &run.Spec.Pretraining
	p.Epochs, run.Spec.KNN.EveryEpochs = new(n), new(every)
	if micro > 0 {
		p.MicroBatchSize, p.BatchNormStatistics = new(micro), v1alpha1.BatchNormMicroBatch
	}
	return run
}

// opened is a run's pretrain stage.
func opened(t *testing.T, run *v1alpha1.SimCLRRun, images, engine string) *runner {
	t.Helper()
	o, hash := optionsOf(t, run, v1alpha1.StagePretrain)
	o.Data.Directory, o.Engine = images, engine
	r, err := open(t.Context(), o, hash, collective.Single{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// pretrained is the digest of the encoder that a stage makes.
func pretrained(t *testing.T, r *runner) string {
	t.Helper()
	if _, err := r.dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r.encoderSHA256
}

// Looking at the training changes no bit of it.
func TestEvaluationsChangeNothing(t *testing.T) {
	images := folder(t)
	for name, micro := range map[string]int32{"at once": 0, "micro-batches": 2} {
		without := opened(t, epochs(t, 4, micro, 0), images, "cpu")
		var log bytes.Buffer
		with := opened(t, epochs(t, 4, micro, 1), images, "cpu")
		with.Log = slog.New(slog.NewJSONHandler(&log, nil))
		if a, b := pretrained(t, without), pretrained(t, with); a != b {
			t.Errorf("%s: the encoder is %s with evaluations and %s without", name, b, a)
		}
		if n := bytes.Count(log.Bytes(), []byte(`"msg":"kNN"`)); n != 3 {
			t.Errorf("%s: %d evaluations before the end, want 3\n%s", name, n, &log)
		}
		for _, r := range []*runner{with, without} {
			p := r.Tracker.Progress()
			if p.KNNEpoch != 4 || p.KNNTop1 <= 0 || p.ZEffectiveRank < 1 || p.ZStandardDeviation <= 0 {
				t.Errorf("%s: progress %+v", name, p)
			}
		}
	}
}

// Where all views are one picture z collapses, and the termination message, and so an event of the run, says so.
func TestACollapseIsInTheMessage(t *testing.T) {
	images, same := folder(t), image.NewRGBA(image.Rect(0, 0, 8, 8))
	files, err := filepath.Glob(filepath.Join(images, "*", "*", "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		writePNG(t, file, same)
	}
	run := epochs(t, 2, 0, 0)
	a := run.Spec.Augmentations
	a.RandomResizedCrop.Mode, a.HorizontalFlip.Mode, a.ColorDistortion.Mode = v1alpha1.Disabled, v1alpha1.Disabled, v1alpha1.Disabled
	o, _ := optionsOf(t, run, v1alpha1.StagePretrain)
	o.Data.Directory = images
	m, err := Run(t.Context(), o)
	if err != nil || len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], "step 2: z has collapsed") {
		t.Errorf("warnings %q, %v", m.Warnings, err)
	}
}

// Views that are made twice are those that are kept.
func TestViewsMadeTwiceAreTheSame(t *testing.T) {
	images := folder(t)
	kept, twice := opened(t, epochs(t, 2, 2, 0), images, "cpu"), opened(t, epochs(t, 2, 2, 0), images, "cpu")
	twice.stage.ViewsTwice = true
	if a, b := pretrained(t, kept), pretrained(t, twice); a != b {
		t.Errorf("the encoder is %s with views kept and %s with views made twice", a, b)
	}
}

// Micro-batches go on from a stop as if there had been none, also with views made twice.
func TestMicroBatchesResume(t *testing.T) {
	images := folder(t)
	run := epochs(t, 3, 2, 2)
	want := pretrained(t, opened(t, run, images, "cpu"))
	for _, twice := range []bool{false, true} {
		r := opened(t, run, images, "cpu")
		r.stage.ViewsTwice = twice
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := contract.Errorf(contract.ExitTerminate, "Terminated", "stopped")
		r.Log = slog.New(stopAt{Handler: slog.DiscardHandler, stop: func() { cancel(cause) }})
		if _, err := r.dispatch(ctx); !errors.Is(err, cause) {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(r.Output, contract.EncoderDir)); err == nil {
			t.Fatal("the stage was not stopped")
		}
		if p := r.Tracker.Progress(); p.CheckpointStep != 2 {
			t.Fatalf("stopped at step %d, want 2", p.CheckpointStep)
		}
		if got := pretrained(t, r); got != want {
			t.Errorf("views made twice %v: the encoder is %s after a stop and %s without", twice, got, want)
		}
	}
}

// stopAt stops when an epoch's end is logged.
type stopAt struct {
	slog.Handler
	stop func()
}

func (s stopAt) Enabled(context.Context, slog.Level) bool { return true }

func (s stopAt) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "epoch" {
		s.stop()
	}
	return nil
}

// Evaluations before the end use a part of the images, of every class.
func TestOnlineImages(t *testing.T) {
	run := epochs(t, 2, 0, 1)
	r := opened(t, run, folder(t), "cpu")
	for most, want := range map[int32][2]int{1: {2, 2}, 4: {4, 4}, 5: {6, 4}, 8: {8, 4}, 100: {8, 4}} {
		train, test := r.data.few(r.data.evalTrain, most), r.data.few(r.data.evalTest, most)
		if d := cmp.Diff(want, [2]int{train.Data.Len(), test.Data.Len()}); d != "" {
			t.Errorf("at most %d: %s", most, d)
		}
		for _, images := range []evaluate.Images{train, test} {
			counts := map[int]int{}
			for _, l := range images.Labels() {
				counts[l]++
			}
			if counts[0] != counts[1] || counts[0] == 0 {
				t.Errorf("at most %d: %v images of each class", most, counts)
			}
		}
	}
}

// The loader and the step must be at one: a gradient of other images than the loss would not be seen.
func TestPartsOutOfOrderAreAnError(t *testing.T) {
	r := opened(t, epochs(t, 1, 2, 0), folder(t), "cpu")
	v, err := r.data.views(r.stage, 0, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	at := v.views(loop.Position{})
	if _, err := at(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := at(t.Context(), 2); err == nil {
		t.Error("part 1 was taken for part 2")
	}
}
