// The blur: one direction after the other, with zeros around, as google-research/simclr's gaussian_blur (padding
// SAME). Included once for every instruction set (see kernels.cpp).

// Rows of scratch memory are whole vectors.
static int row_length(int size) { return (size + LANES - 1) / LANES * LANES; }

// The scratch memory: a row with zeros around it, and a plane with rows of zeros above and below.
static inline long blur_scratch(int size, int radius) {
  return row_length(size) + 2 * radius + (long)(size + 2 * radius) * row_length(size);
}

// convolve N vectors with a symmetric kernel, kernel[0] its centre, whose other weights belong to values that are
// multiples of stride away.
template <int N> static inline void convolve(const float *src, long stride, const float *kernel, int radius, float *dst) {
  vector sum[N];
  for (int j = 0; j < N; j++) sum[j] = kernel[0] * load(src + LANES * j);
  for (int k = 1; k <= radius; k++)
    for (int j = 0; j < N; j++) sum[j] += kernel[k] * (load(src - k * stride + LANES * j) + load(src + k * stride + LANES * j));
  for (int j = 0; j < N; j++) store(dst + LANES * j, clip(sum[j])); // rounding can leave [0,1]
}

// convolve_row rounds the length up to whole vectors.
static void convolve_row(const float *src, long stride, const float *kernel, int radius, int length, float *dst) {
  int j = 0;
  for (; j + 4 * LANES <= length; j += 4 * LANES) convolve<4>(src + j, stride, kernel, radius, dst + j);
  for (; j < length; j += LANES) convolve<1>(src + j, stride, kernel, radius, dst + j);
}

static void blur(float *planes, int size, const float *kernel, int radius, float *scratch) {
  const int length = row_length(size);
  const long margin = (long)radius * length;
  float *padded = scratch, *rows = scratch + length + 2 * radius;
  memset(scratch, 0, sizeof(float) * (length + 2 * radius + margin));
  memset(rows + margin + (long)size * length, 0, sizeof(float) * margin);
  for (int c = 0; c < 3; c++, planes += (long)size * size) {
    for (int y = 0; y < size; y++) {
      memcpy(padded + radius, planes + (long)y * size, sizeof(float) * size);
      convolve_row(padded + radius, 1, kernel, radius, length, rows + margin + (long)y * length);
    }
    for (int y = 0; y < size; y++) {
      convolve_row(rows + margin + (long)y * length, length, kernel, radius, length, padded);
      memcpy(planes + (long)y * size, padded, sizeof(float) * size);
    }
    memset(padded, 0, sizeof(float) * (length + 2 * radius));
  }
}
