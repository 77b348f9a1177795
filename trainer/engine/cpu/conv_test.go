package cpu

import "testing"

// Pairs of layouts that oneDNN has no fast kernel for are hundreds of times slower, and give no error.
func TestLayoutsOfConvolutions(t *testing.T) {
	l := &lowering{x: &executable{e: &Engine{}}}
	for c := range 65 {
		for o := range 65 {
			if c == 0 || o == 0 {
				continue
			}
			k := convKey{n: 2, c: c, h: 8, w: 8, o: o, k: 3, stride: 1, pad: 1}
			a, b := l.forms(&k, 0)
			src, dst := a.block, b.block
			nhwc := src == c && dst == o && k.src == k.dst
			image := src == 1 && c <= 3 && dst == preferred(o) && o%8 == 0
			blocked := src == dst && c%src == 0 && o%dst == 0 && (src == 8 || src == 16)
			if !nhwc && !image && !blocked {
				t.Errorf("%d to %d channels: layouts %d and %d", c, o, src, dst)
			}
		}
	}
}
