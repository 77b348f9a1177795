// Tiles of Winograd's algorithm F(4×4, 3×3) (Lavin and Gray 2016, arXiv 1509.09308, section 4.3), and their transforms. Included
// where AVX-512 is the target, within a namespace of its own.
//
// A tile is 4×4 results, of 6×6 values of x; a value is a vector of 16 channels, as the layout has them. With
// the matrices Bᵀ, G, Aᵀ of the paper, y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A, summed over the channels of x. The gradient
// by x is the convolution with the weights turned round; the one by w is that of the formula itself:
// dw = Gᵀ[Σ (Bᵀ x B) ⊙ (A dy Aᵀ)]G.
#pragma once

typedef float vec __attribute__((vector_size(64)));
enum { LANES = 16, POINTS = 36 };

// Activations are floats or bfloat16; a plane has its values as vectors of either.
struct half16 {
  unsigned short bits[LANES];
};
static inline vec get(const vec *p) { return *p; }
static inline vec get(const half16 *p) {
  return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_load_si256((const __m256i *)p)), 16);
}
// past the cache: the next to read it is batch norm, once all is written
static inline void put(vec *p, vec v) { _mm512_stream_ps((float *)p, (__m512)v); }
static inline void put(half16 *p, vec v) { // rounded to nearest, ties to even; a NaN stays one
  const __m512i u = _mm512_castps_si512((__m512)v), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
  _mm256_stream_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc0))));
}

// The tiles of all images.
struct grid {
  int h, w, columns;
  long in_image, count, plane; // tiles of an image and of all, vectors of an image
  explicit grid(const conv_shape &s)
      : h(s.h), w(s.w), columns((s.w + 3) / 4), in_image((long)(s.h + 3) / 4 * columns), count(s.n * in_image), plane((long)s.h * s.w) {}
};

// Where a tile is.
struct tile {
  long image;
  int y, x; // of its first result
  tile(const grid &g, long i) : image(i / g.in_image), y(i % g.in_image / g.columns * 4), x(i % g.in_image % g.columns * 4) {}
};

// Bᵀ of six values
static inline void transform_input(const vec *d, vec *v, int step) {
  const vec a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
  v[0] = 4 * d[0] - 5 * d[2] + d[4];
  v[step] = a + b;
  v[2 * step] = a - b;
  v[3 * step] = c + e;
  v[4 * step] = c - e;
  v[5 * step] = 4 * d[1] - 5 * d[3] + d[5];
}

// Aᵀ of six values
static inline void transform_output(const vec *m, int step, vec *y, int to) {
  const vec a = m[step] + m[2 * step], b = m[step] - m[2 * step], c = m[3 * step] + m[4 * step], d = m[3 * step] - m[4 * step];
  y[0] = m[0] + a + c;
  y[to] = b + 2 * d;
  y[2 * to] = a + 4 * c;
  y[3 * to] = b + 8 * d + m[5 * step];
}

// A of four values
static inline void transform_gradient(const vec *y, vec *p, int step) {
  const vec a = y[0] + y[2], b = y[1] + y[3], c = y[0] + 4 * y[2], d = 2 * y[1] + 8 * y[3];
  p[0] = y[0];
  p[step] = a + b;
  p[2 * step] = a - b;
  p[3 * step] = c + d;
  p[4 * step] = c - d;
  p[5 * step] = y[3];
}

// Bᵀ x B of a tile of a plane of 16 channels; point i goes to v[i·step]
template <class V> static inline void input_tile(const grid &g, const V *x, tile t, vec *v, int step) {
  const int y0 = t.y - 1, x0 = t.x - 1;
  const V *at = x + (long)y0 * g.w + x0;
  vec half[POINTS];
  const bool interior = y0 >= 0 && x0 >= 0 && y0 + 6 <= g.h && x0 + 6 <= g.w;
  for (int c = 0; c < 6; c++) {
    vec d[6];
    if (interior)
      for (int r = 0; r < 6; r++) d[r] = get(at + r * g.w + c);
    else
      for (int r = 0; r < 6; r++) {
        const bool inside = y0 + r >= 0 && y0 + r < g.h && x0 + c >= 0 && x0 + c < g.w;
        d[r] = inside ? get(at + r * g.w + c) : vec{};
      }
    transform_input(d, half + c, 6);
  }
  for (int r = 0; r < 6; r++) transform_input(half + 6 * r, v + 6 * r * step, step);
}

// A dy Aᵀ of a tile; point i goes to p[i·step]
template <class V> static inline void gradient_tile(const grid &g, const V *dy, tile t, vec *p, int step) {
  vec half[24];
  for (int r = 0; r < 4; r++) {
    vec d[4];
    for (int c = 0; c < 4; c++)
      d[c] = t.y + r < g.h && t.x + c < g.w ? get(dy + (long)(t.y + r) * g.w + t.x + c) : vec{};
    transform_gradient(d, half + r, 4);
  }
  for (int c = 0; c < 6; c++) transform_gradient(half + 4 * c, p + c * step, 6 * step);
}

// Aᵀ m A of a tile whose point i is m[i·step], to where it lies in the result
template <class V> static inline void output_tile(const grid &g, const vec *m, int step, tile t, V *y) {
  vec half[24];
  for (int c = 0; c < 6; c++) transform_output(m + c * step, 6 * step, half + c, 6);
  for (int r = 0; r < std::min(4, g.h - t.y); r++) {
    vec out[4];
    transform_output(half + 6 * r, 1, out, 1);
    V *to = y + (long)(t.y + r) * g.w + t.x;
    for (int c = 0; c < std::min(4, g.w - t.x); c++) put(to + c, out[c]);
  }
}

// G of three values. Multiplied with what the compiler would divide by.
static const float sixth = 1.f / 6, twelfth = 1.f / 12, twentyfourth = 1.f / 24;
static inline void transform_filter(const vec *w, int from, vec *u, int step) {
  const vec a = w[0], b = w[from], c = w[2 * from], even = sixth * (a + c), odd = sixth * b, wide = twentyfourth * a + sixth * c;
  u[0] = 0.25f * a;
  u[step] = -even - odd;
  u[2 * step] = odd - even;
  u[3 * step] = wide + twelfth * b;
  u[4 * step] = wide - twelfth * b;
  u[5 * step] = c;
}

// Gᵀ of six values
static inline void transform_sums(const vec *u, int from, vec *w, int step) {
  const vec a = u[from] + u[2 * from], b = u[2 * from] - u[from], d = u[3 * from] + u[4 * from], e = u[3 * from] - u[4 * from];
  w[0] = 0.25f * u[0] - sixth * a + twentyfourth * d;
  w[step] = sixth * b + twelfth * e;
  w[2 * step] = sixth * (d - a) + u[5 * from];
}

// Four vectors whose lanes of four are the rows of 4×4 matrices, transposed in each.
static inline void transpose_lanes(__m512 *v) {
  const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(v[0], v[1])), b = _mm512_castps_pd(_mm512_unpackhi_ps(v[0], v[1]));
  const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(v[2], v[3])), d = _mm512_castps_pd(_mm512_unpackhi_ps(v[2], v[3]));
  v[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
  v[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
  v[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
  v[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
}

// The columns of 16 rows of 9 values, rows being so many floats apart. A gather of each takes several times as long.
static inline void columns_of(const float *w, long apart, vec *columns) {
  __m512 rows[16];
  for (int r = 0; r < 16; r++) rows[r] = _mm512_maskz_loadu_ps(0x1ff, w + r * apart);
  for (int r = 0; r < 16; r += 4) transpose_lanes(rows + r);
  for (int i = 0; i < 4; i++) { // lane l of rows[r + i] is column 4·l + i of rows r to r + 3
    const __m512 even = _mm512_shuffle_f32x4(rows[i], rows[4 + i], 0x88), more = _mm512_shuffle_f32x4(rows[8 + i], rows[12 + i], 0x88);
    const __m512 odd = _mm512_shuffle_f32x4(rows[i], rows[4 + i], 0xdd), rest = _mm512_shuffle_f32x4(rows[8 + i], rows[12 + i], 0xdd);
    columns[i] = (vec)_mm512_shuffle_f32x4(even, more, 0x88);
    columns[4 + i] = (vec)_mm512_shuffle_f32x4(odd, rest, 0x88);
    if (i == 0) columns[8] = (vec)_mm512_shuffle_f32x4(even, more, 0xdd);
  }
}

template <int lane> static inline void put_lane(float *w, long apart, const __m512 *fours) {
  for (int i = 0; i < 4; i++)
    for (int half = 0; half < 2; half++) _mm_storeu_ps(w + (4 * lane + i) * apart + 4 * half, _mm512_extractf32x4_ps(fours[4 * half + i], lane));
}

// The other way round
static inline void put_columns(float *w, long apart, const vec *columns) {
  __m512 fours[8];
  for (int i = 0; i < 8; i++) fours[i] = (__m512)columns[i];
  transpose_lanes(fours);
  transpose_lanes(fours + 4);
  put_lane<0>(w, apart, fours);
  put_lane<1>(w, apart, fours);
  put_lane<2>(w, apart, fours);
  put_lane<3>(w, apart, fours);
  for (int r = 0; r < 16; r++) w[r * apart + 8] = columns[8][r];
}

// G w Gᵀ of 16 channels of o, of a block, and one of c; point i goes to u[i·step]. turned: of the convolution that is the
// gradient by x, whose channels are exchanged
static inline void filter_points(const conv_shape &s, const float *w, bool turned, int block, int c, vec *u, long step) {
  const float *k = turned ? w + ((long)c * s.c + block * LANES) * 9 : w + ((long)block * LANES * s.c + c) * 9;
  vec weights[9], half[18];
  vec columns[9];
  columns_of(k, turned ? 9 : 9L * s.c, columns);
  for (int i = 0; i < 9; i++) weights[turned ? 8 - i : i] = columns[i];
  for (int j = 0; j < 3; j++) transform_filter(weights + j, 3, half + j, 3);
  for (int i = 0; i < 6; i++) {
    vec points[6];
    transform_filter(half + 3 * i, 1, points, 1);
    for (int j = 0; j < 6; j++) u[(6 * i + j) * step] = points[j];
  }
}

// dw = Gᵀ du G of 16 channels of o, of a block, and one of c; more: it is added
static inline void filter_sums(const conv_shape &s, const vec *points, int block, int c, bool more, float *dw) {
  vec half[18], weights[9];
  for (int j = 0; j < 6; j++) transform_sums(points + j, 6, half + j, 6);
  for (int i = 0; i < 3; i++) transform_sums(half + 6 * i, 1, weights + 3 * i, 1);
  float *to = dw + ((long)block * LANES * s.c + c) * 9;
  if (more) {
    vec old[9];
    columns_of(to, 9L * s.c, old);
    for (int i = 0; i < 9; i++) weights[i] += old[i];
  }
  put_columns(to, 9L * s.c, weights);
}
