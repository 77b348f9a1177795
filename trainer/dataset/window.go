package dataset

import "math/rand/v2"

// windowBytes of images, as they are stored, are shuffled together, where a set of shards is larger. It is fixed: the
// order of an epoch must not depend on a machine's memory. A variable for the tests.
var windowBytes int64 = 512 << 20

// run of images that are stored together, in a shard: from, up to before to.
type run struct {
	from, to int
	bytes    int64
}

// Order of the images in an epoch, which depends on nothing but the files, seed and epoch. Where the images are in shards
// of more bytes than a window, the shards are shuffled, and then the images of as many shards at a time as make a window:
// so they can be read one shard after the other.
func (s *Set) Order(seed, epoch uint64) []int {
	all := int64(0)
	for _, r := range s.runs {
		all += r.bytes
	}
	if all <= windowBytes {
		return Shuffled(s.Len(), seed, epoch)
	}
	random := rand.New(Source(forShards, seed, epoch))
	order, from, bytes := make([]int, 0, s.Len()), 0, int64(0)
	shuffle := func() {
		window := order[from:]
		random.Shuffle(len(window), func(i, j int) { window[i], window[j] = window[j], window[i] })
		from, bytes = len(order), 0
	}
	for _, k := range random.Perm(len(s.runs)) {
		r := s.runs[k]
		if bytes > 0 && bytes+r.bytes > windowBytes {
			shuffle()
		}
		for i := r.from; i < r.to; i++ {
			order = append(order, i)
		}
		bytes += r.bytes
	}
	shuffle()
	return order
}
