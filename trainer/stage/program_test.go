package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/host"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
	"github.com/simclr-operator/simclr-operator/trainer/pretrain"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// onGPUs is a run of two epochs, of two steps each, and kNN after each, by workers with so many devices.
func onGPUs(t *testing.T, workers, devices int32, place v1alpha1.AugmentationsPlace) *v1alpha1.SimCLRRun {
	t.Helper()
	run := epochs(t, 2, 0, 1)
	run.UID = "uid"
	run.Spec.Accelerator = v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, DevicesPerWorker: new(devices), Augmentations: place}
	if workers > 1 {
		run.Spec.Workers = new(workers)
	}
	return run
}

// twin is a worker of two, with a plugin that stands in for its pod's.
func twin(o Options, rank int, coordinator string, so [2]string) Options {
	c := collective.Config{Rank: rank, Size: 2, Coordinator: coordinator, Listen: "127.0.0.1:0", Key: make([]byte, 32), Times: collective.Times{Wait: time.Minute}}
	if rank == 0 {
		c.Listen = coordinator
	}
	o.Workers, o.Tracker = &c, report.New(o.Run.Name, o.Stage, o.Attempt, rank)
	o.accelerated = func(x *xla.Options) { x.Plugin = so[rank] }
	return o
}

// after calls f when a message is logged.
type after struct {
	slog.Handler
	message string
	f       func(slog.Record)
}

func (a after) Enabled(context.Context, slog.Level) bool { return true }

func (a after) Handle(_ context.Context, r slog.Record) error {
	if r.Message == a.message {
		a.f(r)
	}
	return nil
}

// rankLog notes z's effective rank after each epoch.
func rankLog(ranks chan<- any) *slog.Logger {
	return slog.New(after{slog.DiscardHandler, "epoch", func(r slog.Record) {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "zEffectiveRank" {
				ranks <- a.Value.Any()
			}
			return true
		})
	}})
}

// Two workers with two devices each are one program, and make the encoder that one worker with four makes, bit by bit: also where they
// are stopped after an epoch and go on from worker 0's checkpoint, with views of the host or of the devices, and with worker 0 evaluating
// alone in between; both see everybody's z. A plugin stands in for those of two pods (xlatest.Twins).
func TestTwoWorkersAreOneProgram(t *testing.T) {
	for _, place := range []v1alpha1.AugmentationsPlace{v1alpha1.AugmentationsHost, v1alpha1.AugmentationsAccelerator} {
		t.Run(string(place), func(t *testing.T) {
			t.Setenv(contract.EnvPlugin, xlatest.QuickPlugin(t))
			images := folder(t)
			one, _ := optionsOf(t, onGPUs(t, 1, 4, place), v1alpha1.StagePretrain)
			one.Data.Directory = images
			one.accelerated = func(x *xla.Options) { x.Client = map[string]any{"cpu_device_count": int64(4)} }
			ranks := make(chan any, 2)
			one.Log = rankLog(ranks)
			want, err := Run(t.Context(), one)
			if err != nil || want.EncoderSHA256 == "" {
				t.Fatalf("one worker: %+v, %v", want, err)
			}
			two, _ := optionsOf(t, onGPUs(t, 2, 2, place), v1alpha1.StagePretrain)
			two.Data.Directory = images
			so := xlatest.Twins(t)
			cause := contract.Errorf(contract.ExitTerminate, "Terminated", "stopped")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			two.Log = slog.New(after{slog.DiscardHandler, "epoch", func(slog.Record) { cancel(cause) }})
			for rank, err := range bothRun(ctx, two, so, host.FreeAddress(t), nil) {
				if contract.ExitCode(err) != contract.ExitTerminate {
					t.Fatalf("worker %d is stopped with %v", rank, err)
				}
			}
			<-ranks
			rank := <-ranks // after the second epoch
			two.Log, two.Attempt = rankLog(ranks), 2
			var got contract.TerminationMessage
			for rank, err := range bothRun(t.Context(), two, so, host.FreeAddress(t), &got) {
				if err != nil {
					t.Fatalf("worker %d: %v", rank, err)
				}
			}
			for range 2 {
				if got := <-ranks; got != rank {
					t.Errorf("a worker has z's effective rank as %v, one worker as %v", got, rank)
				}
			}
			if got.ResumedFrom == nil || *got.ResumedFrom != 2 {
				t.Errorf("it began with step %v, not with 2", got.ResumedFrom)
			}
			if got.EncoderSHA256 != want.EncoderSHA256 || got.Results.PretrainingLoss != want.Results.PretrainingLoss || got.Results.KNNTop1 != want.Results.KNNTop1 {
				t.Errorf("encoder %s, results %+v; one worker made %s, %+v", got.EncoderSHA256, got.Results, want.EncoderSHA256, want.Results)
			}
		})
	}
}

// bothRun runs a stage on both workers, and gives their errors and worker 0's message.
func bothRun(ctx context.Context, o Options, so [2]string, coordinator string, told *contract.TerminationMessage) (errs [2]error) {
	var wg sync.WaitGroup
	for rank := range 2 {
		wg.Go(func() {
			m, err := Run(ctx, twin(o, rank, coordinator, so))
			if errs[rank] = err; rank == 0 && told != nil {
				*told = m
			}
		})
	}
	wg.Wait()
	return errs
}

const (
	envBlocked = "SIMCLR_TEST_BLOCKED"
	lostAt     = "the other is lost at "
)

// A worker whose program waits for another's devices for ever, as that one is lost, ends with the code of that, within the contract's half
// minute: its process does, since nothing can end what is in the plugin.
func TestABlockedProgramEndsWithItsProcess(t *testing.T) {
	if os.Getenv(envBlocked) != "" {
		blocked(t)
		return
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), envBlocked+"=1")
	out, err := c.CombinedOutput()
	ended := time.Now()
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok || e.ExitCode() != contract.ExitPeerLost || !strings.Contains(string(out), "the step begins") || strings.Contains(string(out), "the step is over") {
		t.Errorf("%v: %s", err, out)
	}
	_, after, _ := strings.Cut(string(out), lostAt)
	when, _, _ := strings.Cut(after, "\n")
	lost, err := time.Parse(time.RFC3339Nano, when)
	if took := ended.Sub(lost); err != nil || took > 30*time.Second {
		t.Errorf("it took %v (%v)", took, err)
	}
}

// blocked is a process that is both workers: worker 0 begins a step, worker 1 is lost instead.
func blocked(t *testing.T) {
	so, coordinator := xlatest.Twins(t), host.FreeAddress(t)
	o, _ := optionsOf(t, onGPUs(t, 2, 2, v1alpha1.AugmentationsHost), v1alpha1.StagePretrain)
	t.Setenv(contract.EnvPlugin, so[0])
	o.Abandon = func(err error) { os.Exit(contract.ExitCode(err)) } //nolint:revive // as cmd/trainer does
	work := func(rank int, f func(ctx context.Context, e engine.Engine, w collective.Collective) error) error {
		o := twin(o, rank, coordinator, so)
		_, err := o.together(t.Context(), func(ctx context.Context, w collective.Collective) (*contract.TerminationMessage, error) {
			e, _, err := newEngine(ctx, o, w)
			if err != nil {
				return nil, err
			}
			return nil, f(ctx, e, w)
		})
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		err := work(0, func(ctx context.Context, e engine.Engine, w collective.Collective) error {
			s, err := pretrain.NewStepper(e, pretrain.FromSpec(&o.Run.Spec, 2, 2), w)
			if err := errors.Join(err, w.Barrier(ctx)); err != nil {
				return err
			}
			fmt.Println("the step begins")
			_, err = s.Step(context.WithoutCancel(ctx), pretrain.Whole(engine.NewTensor(4, 3, 8, 8)), 0.1)
			fmt.Println("the step is over")
			return err
		})
		t.Error(err)
	})
	wg.Go(func() {
		_ = work(1, func(ctx context.Context, _ engine.Engine, w collective.Collective) error {
			if err := w.Barrier(ctx); err != nil {
				return err
			}
			time.Sleep(time.Second) // for the other one to be in its step
			fmt.Println(lostAt + time.Now().Format(time.RFC3339Nano))
			return errors.New("it is lost")
		})
	})
	wg.Wait()
}

// A program of all workers that fails on one since another is lost does not blame this one's device, whoever knows of it first.
func TestALostWorkersProgramBlamesNoDevice(t *testing.T) {
	for name, tc := range map[string]struct {
		statistics v1alpha1.BatchNormStatistics
		want       int
	}{"one program": {v1alpha1.BatchNormGlobal, contract.ExitPeerLost}, "a worker's own": {v1alpha1.BatchNormWorker, contract.ExitDevice}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := onGPUs(t, 2, 2, v1alpha1.AugmentationsHost)
			run.Spec.Pretraining.BatchNormStatistics = tc.statistics
			o, _ := optionsOf(t, run, v1alpha1.StagePretrain)
			coordinator := host.FreeAddress(t)
			both := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := twin(o, 0, coordinator, [2]string{}).together(t.Context(), func(context.Context, collective.Collective) (*contract.TerminationMessage, error) {
					<-both
					return nil, contract.Errorf(contract.ExitDevice, "DeviceFailed", "NCCL: remote process exited")
				})
				if contract.ExitCode(err) != tc.want {
					t.Errorf("worker 0 ends with %v", err)
				}
			})
			wg.Go(func() {
				_, _ = twin(o, 1, coordinator, [2]string{}).together(t.Context(), func(context.Context, collective.Collective) (*contract.TerminationMessage, error) {
					close(both)
					time.Sleep(time.Second)
					return nil, errors.New("the disk is full")
				})
			})
			wg.Wait()
		})
	}
}
