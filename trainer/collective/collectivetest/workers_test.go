package collectivetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
)

func TestExchanges(t *testing.T) {
	Run(t, 3, func(w collective.Collective) error {
		r := float32(w.Rank())
		for range 10 {
			all, err := w.AllGather(t.Context(), []float32{r, 10 * r})
			if err != nil {
				return err
			}
			if d := cmp.Diff([][]float32{{0, 0}, {1, 10}, {2, 20}}, all); d != "" {
				return errors.New(d)
			}
			sum, other := []float32{r}, []float32{1, -r}
			if err := w.AllReduceSum(t.Context(), sum, other); err != nil {
				return err
			}
			if d := cmp.Diff([][]float32{{3}, {3, -3}}, [][]float32{sum, other}); d != "" {
				return errors.New(d)
			}
			if err := w.Barrier(t.Context()); err != nil {
				return err
			}
			if got, err := w.Broadcast(t.Context(), []byte{byte(w.Rank()), 255}); err != nil || !bytes.Equal(got, []byte{0, 255}) {
				return fmt.Errorf("broadcast %v, %w", got, err)
			}
		}
		return nil
	})
}

func TestSumsOfMemoryThatIsSharedAreRefused(t *testing.T) {
	Run(t, 2, func(w collective.Collective) error {
		b := []float32{1, 2}
		if err := w.AllReduceSum(t.Context(), b, []float32{3}, b); err == nil {
			return errors.New("no error")
		}
		return w.Barrier(t.Context()) // the others saw nothing of it
	})
}

func TestNobodyWaitsForAWorkerThatHasLeft(t *testing.T) {
	errs := Each(3, func(w collective.Collective) error {
		if w.Rank() == 1 {
			return nil
		}
		return w.Barrier(t.Context())
	})
	for _, rank := range []int{0, 2} {
		if lost, ok := errors.AsType[*LostError](errs[rank]); !ok || lost.Rank == rank {
			t.Errorf("worker %d: %v", rank, errs[rank])
		}
	}
}

func TestACancelledWorkerEndsTheOthersExchange(t *testing.T) {
	errs := Each(2, func(w collective.Collective) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if w.Rank() == 0 {
			cancel()
		}
		return w.Barrier(ctx)
	})
	for rank, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("worker %d: %v", rank, fmt.Sprint(err))
		}
	}
}
