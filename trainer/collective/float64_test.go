package collective

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mirrored is a collective of two workers, of which the other has the same values, backwards.
type mirrored struct {
	Single
	err error
}

func (m mirrored) AllGather(_ context.Context, local []float32) ([][]float32, error) {
	var other []float32
	for i := len(local) - 2; i >= 0; i -= 2 { // pairs are one value
		other = append(other, local[i:i+2]...)
	}
	return [][]float32{append([]float32{}, local...), other}, m.err
}

// No bit of a float64 is lost, whatever its halves would be as float32: a signalling NaN, a denormal.
func TestGatherKeepsEveryBit(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), 1.0 / 3, -1e300, math.SmallestNonzeroFloat64, math.Inf(1)}
	for _, bits := range []uint64{0x7ff0_0000_0000_0001, 0x7f80_0001_ff80_0001, 0x0000_0001_0000_0001} {
		values = append(values, math.Float64frombits(bits))
	}
	all, err := (&Within{mirrored{}, t.Context()}).Gather(values)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	var want [2][]uint64
	for i, v := range values {
		want[0] = append(want[0], math.Float64bits(v))
		want[1] = append(want[1], math.Float64bits(values[len(values)-1-i]))
	}
	for rank, theirs := range all {
		var got []uint64
		for _, v := range theirs {
			got = append(got, math.Float64bits(v))
		}
		if d := cmp.Diff(want[rank], got); d != "" {
			t.Errorf("rank %d (-want +got):\n%s", rank, d)
		}
	}
}

func TestGatherPassesErrorsOn(t *testing.T) {
	lost := errors.New("rank 1 is lost")
	if _, err := (&Within{mirrored{err: lost}, t.Context()}).Gather([]float64{1}); !errors.Is(err, lost) {
		t.Errorf("error %v, want the collective's", err)
	}
}
