package dataset

import (
	"math/rand/v2"

	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// What random numbers are for: streams of different purposes never coincide.
const (
	forShuffle = 0x5348554646 // any numbers
	forLabels  = 0x4c4142454c
	forShards  = 0x534841524453
)

// Source is the random source of one purpose: equal keys give equal numbers, on every platform and in any
// order of calls. The keys are hashed (splitmix64), so that neighbouring keys give unrelated streams.
func Source(keys ...uint64) *rand.PCG {
	a, b := Hash(keys...)
	return rand.NewPCG(a, b)
}

// Hash of keys, to seed a PCG with.
func Hash(keys ...uint64) (uint64, uint64) {
	a, b := uint64(0x243f6a8885a308d3), uint64(0x13198a2e03707344) // digits of π
	for _, k := range keys {
		a = splitmix(a ^ k)
		b = splitmix(b + a)
	}
	return a, b
}

func splitmix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Shuffled is the order of n images in an epoch, which depends on nothing but seed and epoch.
func Shuffled(n int, seed, epoch uint64) []int {
	return rand.New(Source(forShuffle, seed, epoch)).Perm(n)
}

// LabelFraction chooses a share of each class, plan.LabelCount of it: at least one. With the same seed a
// smaller fraction's images are among a larger one's (1% within 10%). indices are in the set's order;
// counts are the images chosen of each class.
func LabelFraction(d Dataset, fraction float64, seed uint64) (indices, counts []int) {
	byClass := make([][]int, len(d.Classes()))
	for i := range d.Len() {
		byClass[d.Label(i)] = append(byClass[d.Label(i)], i)
	}
	chosen := make([]bool, d.Len())
	counts = make([]int, len(byClass))
	for c, members := range byClass {
		counts[c] = plan.LabelCount(len(members), fraction)
		// A prefix of one permutation for every fraction: so they are nested.
		for _, k := range rand.New(Source(forLabels, seed, uint64(c))).Perm(len(members))[:counts[c]] {
			chosen[members[k]] = true
		}
	}
	for i, yes := range chosen {
		if yes {
			indices = append(indices, i)
		}
	}
	return indices, counts
}
