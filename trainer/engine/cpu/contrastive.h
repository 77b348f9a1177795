// NT-Xent's kernels; included once for every instruction set (see simd.cpp).

// e^x for x ≤ 0 within 2 units in the last place (Cephes' expf); below −87 what is left is 1e-38. A NaN stays one.
inline float exponential(float x) {
  x = x < -87.3f ? -87.3f : x;
  const float n = std::floor(x * 1.44269504088896341f + 0.5f);
  const float r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1;
  const unsigned bits = (unsigned)((int)n + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

inline float largest(const float *x, long n) {
  float top = -2; // below every similarity
#pragma omp simd reduction(max : top)
  for (long j = 0; j < n; j++) top = top < x[j] ? x[j] : top;
  return top;
}

// in float over short runs, in double over the runs
inline double exponentials(float *x, long n, float top, float scale) {
  double sum = 0;
  for (long run = 0; run < n; run += 1024) {
    const long end = std::min(n, run + 1024);
    float s = 0;
#pragma omp simd reduction(+ : s)
    for (long j = run; j < end; j++) {
      x[j] = exponential((x[j] - top) * scale);
      s += x[j];
    }
    sum += s;
  }
  return sum;
}

// turns the similarities of anchors first… with all rows into probabilities, 0 for the anchor itself. losses are
// −log of the positives' probabilities; right says of an anchor that is a first view whether of all second views
// its own is the most similar, the first of equal ones.
void softmax_rows(long rows, long first, long count, float temperature, float *block, double *losses, int *right) {
  const float scale = 1 / temperature;
#pragma omp parallel for schedule(static)
  for (long r = 0; r < count; r++) {
    float *p = block + r * rows;
    const long self = first + r, half = rows / 2, positive = (self + half) % rows;
    const float own = p[positive];
    right[r] = self < half && largest(p + half, positive - half) < own && largest(p + positive, rows - positive) <= own;
    p[self] = -2;
    const float top = largest(p, rows);
    p[self] = -1e30f; // its exponential is the least there is
    const double sum = exponentials(p, rows, top, scale);
    p[self] = 0;
    losses[r] = std::log(sum) - (own - top) * scale;
    const float share = 1 / sum;
#pragma omp simd
    for (long j = 0; j < rows; j++) p[j] *= share;
  }
}
