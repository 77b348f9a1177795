package collective

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// wide values of very different sizes, whose sum depends on the order of adding.
func wide(rank, n int) []float32 {
	r := rand.New(rand.NewPCG(uint64(rank), 7))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(math.Ldexp(r.Float64()*2-1, r.IntN(48)-24))
	}
	return v
}

// inRankOrder is their sum.
func inRankOrder(size, n int) []float32 {
	sum := wide(0, n)
	for rank := 1; rank < size; rank++ {
		for i, v := range wide(rank, n) {
			sum[i] += v
		}
	}
	return sum
}

func same(a, b []float32) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d values, want %d", len(a), len(b))
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return fmt.Errorf("value %d of %d is %x, want %x", i, len(a), a[i], b[i])
		}
	}
	return nil
}

// cut a vector into buffers of odd lengths, some of them empty.
func cut(v []float32, seed uint64) [][]float32 {
	r := rand.New(rand.NewPCG(seed, 3))
	var buffers [][]float32
	for len(v) > 0 {
		n := min(r.IntN(1+r.IntN(200_000)), len(v))
		buffers, v = append(buffers, v[:n:n]), v[n:]
	}
	return buffers
}

// Every sum is, in every bit and on every worker, that in the order of ranks, however buffers are cut.
func TestSumsAreInRankOrder(t *testing.T) {
	nothingLeft(t)
	lengths := []int{0, 1, 2, 3, 1001, fewValues, fewValues + 1, segment*3 + 17, 3_000_001}
	if testing.Short() {
		lengths = lengths[:8]
	}
	for _, size := range []int{2, 3, 4} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			noErrors(t, together(t, size, nil, func(g *Group) error {
				for _, n := range lengths {
					want := inRankOrder(size, n)
					for seed := range uint64(3) {
						got := wide(g.Rank(), n)
						buffers := [][]float32{got}
						if seed > 0 {
							buffers = cut(got, seed)
						}
						if err := g.AllReduceSum(t.Context(), buffers...); err != nil {
							return err
						}
						if err := same(got, want); err != nil {
							return fmt.Errorf("%d values in %d buffers: %w", n, len(buffers), err)
						}
					}
				}
				return nil
			}))
		})
	}
}

// The values are such that another order would show.
func TestTheOrderShows(t *testing.T) {
	a, b, c := wide(0, 1000), wide(1, 1000), wide(2, 1000)
	differ := 0
	for i := range a {
		if a[i]+b[i]+c[i] != c[i]+b[i]+a[i] {
			differ++
		}
	}
	if differ < 50 {
		t.Errorf("%d of 1000 sums depend on their order", differ)
	}
}

func TestGatherBroadcastBarrier(t *testing.T) {
	nothingLeft(t)
	for _, size := range []int{2, 3, 4} {
		for _, n := range []int{0, 1, 777, 500_001} {
			noErrors(t, together(t, size, nil, func(g *Group) error {
				local := wide(g.Rank(), n)
				all, err := g.AllGather(t.Context(), local)
				if err != nil {
					return err
				}
				if n > 0 && &all[g.Rank()][0] != &local[0] {
					return errors.New("the own values are a copy")
				}
				for rank, got := range all {
					if err := same(got, wide(rank, n)); err != nil {
						return fmt.Errorf("of rank %d: %w", rank, err)
					}
				}
				if err := g.Barrier(t.Context()); err != nil {
					return err
				}
				want := bytes.Repeat([]byte{1, 2, 3}, n)
				var given []byte
				if g.Rank() == 0 {
					given = want
				}
				if got, err := g.Broadcast(t.Context(), given); err != nil || !bytes.Equal(got, want) {
					return fmt.Errorf("a broadcast of %d bytes gave %d, %w", len(want), len(got), err)
				}
				return nil
			}))
		}
	}
}

func TestVectorPieces(t *testing.T) {
	all := wide(0, 3000)
	v := newVector(cut(all, 9))
	for _, r := range [][2]int{{0, 0}, {0, 1}, {0, 3000}, {17, 1800}, {2999, 3000}, {3000, 3000}} {
		got := make([]float32, r[1]-r[0])
		v.copyTo(got, r[0])
		if err := same(got, all[r[0]:r[1]]); err != nil {
			t.Errorf("%v: %v", r, err)
		}
	}
}
