package augment

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// noiseKey is what a view's noise follows from, so that an accelerator makes the same (Prepare): two whole numbers that a
// float32 holds.
type noiseKey [2]uint32

// keyBits of each half.
const keyBits = 24

func drawKey(rng *rand.Rand) noiseKey {
	return noiseKey{rng.Uint32() >> (32 - keyBits), rng.Uint32() >> (32 - keyBits)}
}

// add noise to every value. Values i and i + ⌈n/2⌉ are a pair of Box & Muller's (1958), of the random numbers with the
// counter i.
func (n Noise) add(planes []float32, key noiseKey) {
	half := (len(planes) + 1) / 2
	for i := range half {
		a, b := threefry(key, [2]uint32{uint32(i), 0})
		radius := n.Sigma * math.Sqrt(-2*math.Log(float64(a>>8+1)/(1<<24)))
		sin, cos := math.Sincos(2 * math.Pi * float64(b>>8) / (1 << 24))
		planes[i] = clip(planes[i] + float32(radius*cos))
		if j := half + i; j < len(planes) {
			planes[j] = clip(planes[j] + float32(radius*sin))
		}
	}
}

func clip(v float32) float32 { return min(max(v, 0), 1) }

// ThreefryRotations are how far the rounds of Threefry-2x32 rotate, eight rounds in turn.
var ThreefryRotations = [8]int{13, 15, 26, 6, 17, 29, 16, 24}

// Rounds of Threefry, and the constant of Skein's key schedule.
const (
	ThreefryRounds = 20
	ThreefryParity = 0x1BD11BDA
)

// threefry is Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): random
// numbers by key and counter, of integer operations that every device has.
func threefry(key noiseKey, counter [2]uint32) (a, b uint32) {
	keys := [3]uint32{key[0], key[1], key[0] ^ key[1] ^ ThreefryParity}
	a, b = counter[0]+keys[0], counter[1]+keys[1]
	for round := range ThreefryRounds {
		a += b
		b = bits.RotateLeft32(b, ThreefryRotations[round%8]) ^ a
		if round%4 == 3 {
			k := uint32(round/4 + 1)
			a, b = a+keys[k%3], b+keys[(k+1)%3]+k
		}
	}
	return a, b
}
