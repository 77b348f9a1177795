package stage

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/host"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// A worker whose step takes longer than the others may wait after one is lost is abandoned, in time for the contract's half
// minute; one that heeds its context's end is not.
func TestALongStepIsAbandoned(t *testing.T) {
	lost := errors.New("the disk is full")
	for name, tc := range map[string]struct {
		heeds bool
	}{"a step that goes on": {false}, "a step that ends": {true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, coordinator := resolved(t, func(*v1alpha1.SimCLRRunSpec) {}), host.FreeAddress(t)
			options := func(rank int) Options {
				c := collective.Config{Rank: rank, Size: 2, Coordinator: coordinator, Listen: "127.0.0.1:0", Key: make([]byte, 32)}
				if rank == 0 {
					c.Listen = coordinator
				}
				return Options{Run: run, Stage: v1alpha1.StagePretrain, Workers: &c, Tracker: report.New("r", "pretrain", 1, rank), Log: slog.New(slog.DiscardHandler)}
			}
			abandoned, over := make(chan error, 1), make(chan struct{})
			busy := options(0)
			busy.Abandon = func(err error) { // a process would end here
				abandoned <- err
				close(over)
			}
			var workers sync.WaitGroup
			var failed time.Time
			workers.Go(func() {
				_, err := busy.together(t.Context(), func(ctx context.Context, _ collective.Collective) (*contract.TerminationMessage, error) {
					if tc.heeds {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					<-over // and not when the context ends
					return nil, ctx.Err()
				})
				if contract.ExitCode(err) != contract.ExitPeerLost || !strings.Contains(err.Error(), "worker 1 is lost") {
					t.Errorf("worker 0 ends with %v", err)
				}
			})
			workers.Go(func() {
				_, err := options(1).together(t.Context(), func(context.Context, collective.Collective) (*contract.TerminationMessage, error) {
					failed = time.Now()
					return nil, lost
				})
				if !errors.Is(err, lost) {
					t.Errorf("worker 1 ends with %v", err)
				}
			})
			workers.Wait()
			took := time.Since(failed)
			select {
			case err := <-abandoned:
				if tc.heeds || contract.ExitCode(err) != contract.ExitPeerLost || !strings.Contains(err.Error(), "the disk is full") {
					t.Errorf("abandoned with %v", err)
				}
				if took < abandonTime || took > 20*time.Second {
					t.Errorf("abandoned after %v", took)
				}
			default:
				if !tc.heeds {
					t.Error("it was not abandoned")
				}
			}
		})
	}
}
