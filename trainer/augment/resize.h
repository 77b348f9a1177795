// Resizing, as Pillow's Image.crop followed by Image.resize (Resample.c), but in float: first the columns, straight
// from the bytes, then the rows, where a pixel's channels lie beside each other. Included once for every instruction
// set (see kernels.cpp).

// taps are the source pixels of each of size destination pixels: n of them from first[i] on, with the weights
// weights[k · size + i].
struct taps {
  int n;
  int *first;
  float *weights;
};

static double stretch(span s, int size) { return s.extent > size ? s.extent / size : 1; }

static double support(int filter) { return filter == BICUBIC ? 2 : 1; }

static int tap_count(span s, int size, int filter) {
  const int n = (int)ceil(2 * support(filter) * stretch(s, size)), most = s.last - s.first;
  return n < most ? n : most;
}

// cubic is Keys' kernel with a = −1/2.
static inline double cubic(double x) {
  x = x < 0 ? -x : x;
  const double near = (1.5 * x - 2.5) * x * x + 1, far = (((x - 5) * x + 8) * x - 4) * -0.5;
  return x < 1 ? near : x < 2 ? far : 0;
}

static inline double triangle(double x) {
  x = x < 0 ? -x : x;
  return x < 1 ? 1 - x : 0;
}

// weigh fills taps whose weights add up to scale. raw has (n + 2) · size doubles.
static void weigh(taps t, span s, int size, int filter, double scale, double *raw) {
  const double pitch = s.extent / size, narrow = 1 / stretch(s, size), reach = support(filter) / narrow;
  double *offset = raw + t.n * size, *sum = offset + size;
  for (int i = 0; i < size; i++) {
    const double center = s.origin + (i + 0.5) * pitch;
    int first = (int)(center - reach + 0.5);
    first = first > s.last - t.n ? s.last - t.n : first;
    first = first < s.first ? s.first : first;
    t.first[i] = first;
    offset[i] = first + 0.5 - center;
    sum[i] = 0;
  }
  for (int k = 0; k < t.n; k++) {
    double *w = raw + k * size;
    if (filter == BICUBIC)
      for (int i = 0; i < size; i++) sum[i] += w[i] = cubic((offset[i] + k) * narrow);
    else
      for (int i = 0; i < size; i++) sum[i] += w[i] = triangle((offset[i] + k) * narrow);
  }
  for (int i = 0; i < size; i++) sum[i] = scale / sum[i];
  for (int k = 0; k < t.n; k++)
    for (int i = 0; i < size; i++) t.weights[k * size + i] = (float)(raw[k * size + i] * sum[i]);
}

// down makes N vectors' worth of values of a row of the destination: the weighted sum of n rows of bytes.
template <int N> static inline void down(const unsigned char *src, long stride, int n, const float *weights, int size, float *dst) {
  float sum[N * LANES] = {};
  for (int k = 0; k < n; k++, src += stride, weights += size)
    for (int j = 0; j < N * LANES; j++) sum[j] += *weights * (float)src[j];
  memcpy(dst, sum, sizeof sum);
}

// down_row makes a whole row; what is left at its end is done with some of what comes before it once more.
static void down_row(const unsigned char *src, long stride, int n, const float *weights, int size, int length, float *dst) {
  int j = 0;
  for (; j + 4 * LANES <= length; j += 4 * LANES) down<4>(src + j, stride, n, weights, size, dst + j);
  for (; j + LANES <= length; j += LANES) down<1>(src + j, stride, n, weights, size, dst + j);
  if (j == length) return;
  if (length >= LANES) return down<1>(src + length - LANES, stride, n, weights, size, dst + length - LANES);
  for (; j < length; j++) {
    dst[j] = 0;
    for (int k = 0; k < n; k++) dst[j] += weights[k * size] * (float)src[k * stride + j];
  }
}

// across makes a pixel of ROWS rows of the destination from columns, pixels of that many rows beside each other. N is
// the number of taps where that is known.
template <int N> static inline vector across(const float *columns, taps t, int size, int i) {
  const int n = N ? N : t.n;
  const float *p = columns + LANES * t.first[i], *w = t.weights + i;
  vector sum = {};
  for (int k = 0; k < n; k++, p += LANES, w += size) sum += *w * load(p);
  return clip(sum); // cubic weights can leave [0,1]
}

// across_rows makes ROWS rows of the first plane, which are at rows, and those of the other two behind it, four pixels
// at a time.
template <int N> static void across_rows(const float *columns, taps t, int size, int flip, float *const *rows) {
  const long plane = (long)size * size;
  for (int i = 0; i < size; i += 4) {
    vector p[4];
    for (int j = 0; j < 4; j++) {
      const int at = i + j < size ? i + j : size - 1;
      p[j] = across<N>(columns, t, size, flip ? size - 1 - at : at);
    }
    // In each lane of four, from pixels of channels to channels of pixels.
    const vector rg01 = SHUFFLE(p[0], p[1], LOW), rg23 = SHUFFLE(p[2], p[3], LOW);
    const vector b01 = SHUFFLE(p[0], p[1], HIGH), b23 = SHUFFLE(p[2], p[3], HIGH);
    const vector channels[3] = {SHUFFLE(rg01, rg23, FIRST), SHUFFLE(rg01, rg23, SECOND), SHUFFLE(b01, b23, FIRST)};
    for (int c = 0; c < 3; c++) {
      float values[LANES];
      memcpy(values, &channels[c], sizeof values);
      for (int r = 0; r < ROWS; r++) {
        float *to = rows[r] + c * plane + i;
        if (i + 4 <= size)
          memcpy(to, values + 4 * r, 4 * sizeof(float));
        else
          memcpy(to, values + 4 * r, (size - i) * sizeof(float));
      }
    }
  }
}

// The scratch memory: the doubles of weigh, weights and first pixels of both axes, a row and the value after its last,
// and ROWS rows whose pixels have four values.
static inline long resize_scratch(span x, span y, int size, int filter) {
  const long nx = tap_count(x, size, filter), ny = tap_count(y, size, filter), width = x.last - x.first;
  return 2 * ((nx > ny ? nx : ny) + 2) * size + (nx + ny + 2) * size + 3 * width + 1 + LANES * width;
}

static void resize(const unsigned char *pix, long stride, span x, span y, int size, int filter, int flip, float *scratch, float *dst) {
  double *raw = (double *)scratch;
  const int nx = tap_count(x, size, filter), ny = tap_count(y, size, filter), width = x.last - x.first;
  float *rest = scratch + 2 * ((nx > ny ? nx : ny) + 2) * size;
  taps tx = {nx, (int *)rest, rest + size};
  rest += (nx + 1) * size;
  taps ty = {ny, (int *)rest, rest + size};
  rest += (ny + 1) * size;
  weigh(tx, x, size, filter, 1, raw);
  weigh(ty, y, size, filter, 1. / 255, raw);
  for (int i = 0; i < size; i++) tx.first[i] -= x.first;
  float *row = rest, *columns = rest + 3 * width + 1;
  row[3 * width] = 0; // is copied with the last pixel
  for (int i = 0; i < size; i += ROWS) {
    float *rows[ROWS];
    for (int r = 0; r < ROWS; r++) {
      const int at = i + r < size ? i + r : size - 1;
      rows[r] = dst + (long)at * size;
      down_row(pix + ty.first[at] * stride + 3 * x.first, stride, ty.n, ty.weights + at, size, 3 * width, row);
      for (int j = 0; j < width; j++) memcpy(columns + LANES * j + 4 * r, row + 3 * j, 4 * sizeof(float));
    }
    if (tx.n == 4)
      across_rows<4>(columns, tx, size, flip, rows);
    else
      across_rows<0>(columns, tx, size, flip, rows);
  }
}
