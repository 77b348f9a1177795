package dataset

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// maxClasses that numbers in .cls may stand for: a wrong one must not fill memory.
const maxClasses = 1 << 20

// shards of a split and their samples, in the order of the shards' names.
type shards struct {
	from    source
	names   []string
	samples []sample
	shard   []int   // of each sample
	bytes   int64   // of all images decoded
	sizes   []int64 // of shards, up to the end of their last image
}

// openWebDataset reads tar shards, once and from their beginning to their end, for an index of their images: where each
// is, and its label. A sample is an image, KEY.jpg, .jpeg or .png, and its label, KEY.cls, a number or a name, or the field
// label of KEY.json, one after the other. Other members are passed over.
func openWebDataset(ctx context.Context, from source, pattern string, limit int, labels bool, o Options) (*Set, error) {
	names, err := shardsOf(ctx, from, pattern, o)
	if err != nil {
		return nil, err
	}
	w := &shards{from: from, names: names}
	if err := w.read(ctx, labels, o); err != nil {
		return nil, err
	}
	if err := w.unique(); err != nil {
		return nil, err
	}
	numbers, classes, err := w.classes(o)
	if err != nil {
		return nil, err
	}
	keep, err := firstOfEach(numbers, len(classes), limit, o.Field)
	if err != nil {
		return nil, err
	}
	return w.set(ctx, keep, numbers, classes, o)
}

// place of an image in a shard, in bytes.
type place struct {
	shard          int
	offset, length int64
}

// read all shards, some at a time.
func (w *shards) read(ctx context.Context, labels bool, o Options) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	found := make([][]sample, len(w.names))
	var next, sum, done atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex // serialises Progress
	for range min(o.Workers, len(w.names)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(w.names) {
					return
				}
				r := &shardReader{name: w.from.path(w.names[i]), labels: labels, sum: &sum, memory: o.MemoryBytes}
				var err error
				if found[i], err = readShard(ctx, w.from, w.names[i], r); err != nil {
					stop(err)
					return
				}
				mu.Lock()
				o.report("read shards", done.Add(1), int64(len(w.names)))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	w.bytes = sum.Load()
	w.sizes = make([]int64, len(found))
	for i, samples := range found {
		for _, s := range samples {
			w.samples, w.shard = append(w.samples, s), append(w.shard, i)
			w.sizes[i] = max(w.sizes[i], s.offset+s.length)
		}
		found[i] = nil
	}
	return context.Cause(ctx)
}

// unique: a key that comes again is of a shard that is there twice, or of a sample whose members are not together.
func (w *shards) unique() error {
	seen := make(map[string]int, len(w.samples))
	for i, s := range w.samples {
		j, ok := seen[s.key]
		if !ok {
			seen[s.key] = i
			continue
		}
		a, b := w.from.path(w.names[w.shard[j]]), w.from.path(w.names[w.shard[i]])
		if a == b {
			return contract.UserErrorf("DuplicateKey", "%s has the key %s twice; put a sample's members one after the other, and give each sample a key of its own", a, s.key)
		}
		return contract.UserErrorf("DuplicateKey", "the key %s is in %s and in %s; remove one of the shards, or give each sample a key of its own", s.key, a, b)
	}
	return nil
}

// classes and each sample's number among them, -1 without labels. Where all labels are numbers, so are the classes, from
// 0 to the highest; else they are the names, sorted.
func (w *shards) classes(o Options) (numbers []int, classes []string, err error) {
	names, highest, whole := map[string]int{}, 0, true
	for _, s := range w.samples {
		if s.labelled {
			n, err := strconv.Atoi(s.label)
			whole = whole && err == nil && n >= 0
			highest = max(highest, n)
			names[s.label] = 0
		}
	}
	if len(names) == 0 {
		return noLabels(len(w.samples)), nil, nil
	}
	switch {
	case o.Classes != nil:
		classes = o.Classes
	case whole && highest >= maxClasses:
		return nil, nil, contract.UserErrorf("InvalidLabel", "%s: the label %d is above %d; number the classes from 0", w.from.path(""), highest, maxClasses-1)
	case whole:
		classes = numbered(highest + 1)
	default:
		for name := range names {
			classes = append(classes, name)
		}
		slices.Sort(classes)
	}
	number := make(map[string]int, len(classes))
	for i, c := range classes {
		number[c] = i
	}
	for i, s := range w.samples {
		n, ok := number[s.label]
		where := w.from.path(w.names[w.shard[i]])
		switch {
		case !s.labelled:
			return nil, nil, contract.UserErrorf("NoLabel", "%s: the sample %s has no label, and others have one; add %s.cls or a field label in %s.json, or set %s.labels to None", where, s.key, s.key, s.key, o.Field)
		case !ok:
			return nil, nil, contract.UserErrorf("ClassesDiffer", "%s: the sample %s has the label %s, which no training image has; correct it", where, s.key, s.label)
		}
		numbers = append(numbers, n)
	}
	return numbers, classes, nil
}

// set of the samples to keep that are good.
func (w *shards) set(ctx context.Context, keep, numbers []int, classes []string, o Options) (*Set, error) {
	s := &Set{from: w.from, classes: classes, keyed: true, total: len(keep)}
	var images []*Image
	var places []place
	for _, k := range keep {
		m := w.samples[k]
		if m.bad != nil {
			s.skipped = append(s.skipped, Skipped{w.from.path(w.names[w.shard[k]]) + "/" + m.key, m.bad.Error()})
			s.without = append(s.without, m.key)
			continue
		}
		if n := len(places); n == 0 || places[n-1].shard != w.shard[k] {
			s.runs = append(s.runs, run{from: n})
		}
		images, places = append(images, m.image), append(places, place{w.shard[k], m.offset, m.length})
		s.files, s.labels = append(s.files, m.key), append(s.labels, numbers[k])
		last := &s.runs[len(s.runs)-1]
		last.to, last.bytes = len(places), last.bytes+m.length
	}
	if len(places) == 0 || len(s.skipped) > tolerated(s.total) {
		return nil, s.tooMany()
	}
	if w.bytes <= o.MemoryBytes {
		s.image = func(i int) (Image, error) { return *images[i], nil }
		return s, nil
	}
	w.samples, w.shard = nil, nil // with the images that were kept
	s.single = func(i int) (Image, error) {
		p := places[i]
		data, err := readAt(ctx, w.from, w.names[p.shard], p.offset, p.length)
		return w.decoded(data, err, p, s.files[i])
	}
	s.image = s.single
	if cache := w.cache(ctx, o); cache != nil {
		s.image = func(i int) (Image, error) {
			p := places[i]
			data, err := cache.read(w.names[p.shard], w.sizes[p.shard], p.offset, p.length)
			return w.decoded(data, err, p, s.files[i])
		}
	}
	return s, nil
}

// cache of shards, where reading an image by itself costs a request and memory has room for two windows: the one that is
// being left, too. nil: there is none.
func (w *shards) cache(ctx context.Context, o Options) *shardCache {
	if _, local := w.from.(directory); local || 2*(windowBytes+slices.Max(w.sizes)) > o.MemoryBytes {
		return nil
	}
	return &shardCache{from: w.from, ctx: ctx, most: o.MemoryBytes, shards: map[string]*cachedShard{}}
}

// decoded image that was good when the set was opened, of what was read at its place.
func (w *shards) decoded(data []byte, err error, p place, key string) (Image, error) {
	file := w.from.path(w.names[p.shard]) + "/" + key
	if err == nil {
		var m Image
		if m, err = unchecked(data, file); err == nil {
			return m, nil
		}
	}
	if err := accessError(err); err != nil {
		return Image{}, err
	}
	return Image{}, imageChanged(file, err)
}
