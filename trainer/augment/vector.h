// Vectors of the instruction set: LANES floats, or the four values of a pixel in each of ROWS rows. Included first, once
// for every instruction set (see kernels.cpp).
enum { LANES = sizeof(vector) / sizeof(float), ROWS = LANES / 4 };

static inline vector load(const float *p) {
  vector v;
  memcpy(&v, p, sizeof v);
  return v;
}

static inline void store(float *p, vector v) { memcpy(p, &v, sizeof v); }

static inline vector clip(vector v) {
  const vector zero = {}, one = zero + 1;
  v = v > zero ? v : zero;
  return v < one ? v : one;
}

// Of two vectors, in each pixel of four values: the first two of both in turn, the last two in turn, the first pairs, and
// the second pairs.
#define LOW(i) i, LANES + i, i + 1, LANES + i + 1
#define HIGH(i) i + 2, LANES + i + 2, i + 3, LANES + i + 3
#define FIRST(i) i, i + 1, LANES + i, LANES + i + 1
#define SECOND(i) i + 2, i + 3, LANES + i + 2, LANES + i + 3
#define SHUFFLE(a, b, pattern) __builtin_shufflevector(a, b, EACH_PIXEL(pattern))
