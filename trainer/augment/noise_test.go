package augment

import "testing"

// Threefry's known answers (Random123's kat_vectors, threefry2x32 20).
func TestThreefry(t *testing.T) {
	for _, tc := range []struct {
		key           noiseKey
		counter, want [2]uint32
	}{
		{noiseKey{0, 0}, [2]uint32{0, 0}, [2]uint32{0x6b200159, 0x99ba4efe}},
		{noiseKey{0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff}, [2]uint32{0x1cb996fc, 0xbb002be7}},
		{noiseKey{0x13198a2e, 0x03707344}, [2]uint32{0x243f6a88, 0x85a308d3}, [2]uint32{0xc4923a9c, 0x483df7a0}},
	} {
		if a, b := threefry(tc.key, tc.counter); a != tc.want[0] || b != tc.want[1] {
			t.Errorf("key %x, counter %x: %x %x, want %x", tc.key, tc.counter, a, b, tc.want)
		}
	}
}
