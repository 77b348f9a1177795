// Winograd's algorithm F(4×4, 3×3) (Lavin and Gray 2016, arXiv 1509.09308, section 4.3) for few channels, where oneDNN's is
// slower than its direct kernels: tiles are transformed in the cache, a few at a time, and never written to memory.
//
// A tile is 4×4 results, of 6×6 values of x; a value is a vector of 16 channels, as the layout has them. With
// the matrices Bᵀ, G, Aᵀ of the paper, y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A, summed over the channels of x. The gradient
// by x is the convolution with the weights turned round; the one by w is that of the formula itself:
// dw = Gᵀ[Σ (Bᵀ x B) ⊙ (A dy Aᵀ)]G.
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "shim.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,prefer-vector-width=512")
namespace {
typedef float vec __attribute__((vector_size(64)));
enum { LANES = 16, POINTS = 36, TILES = 8 }; // tiles that are transformed at once

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

// The tiles of all images, in groups.
struct grid {
  int h, w, columns;
  long in_image, count, plane; // tiles of an image and of all, vectors of an image
  explicit grid(const conv_shape &s)
      : h(s.h), w(s.w), columns((s.w + 3) / 4), in_image((long)(s.h + 3) / 4 * columns), count(s.n * in_image), plane((long)s.h * s.w) {}
  long groups() const { return (count + TILES - 1) / TILES; }
  int in_group(long g) const { return std::min<long>(TILES, count - g * TILES); }
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

// Bᵀ x B of the tiles of a group, of so many blocks of channels, as [point][tile][block]. It gives their number.
template <class V> static inline int input_group(const grid &g, const V *x, long group, int blocks, vec *v) {
  const int tiles = g.in_group(group);
  for (int i = 0; i < tiles; i++) {
    const tile t(g, group * TILES + i);
    for (int b = 0; b < blocks; b++) input_tile(g, x + (t.image * blocks + b) * g.plane, t, v + i * blocks + b, TILES * blocks);
  }
  return tiles;
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

// G of three values
static inline void transform_filter(const vec *w, int from, vec *u, int step) {
  const vec a = w[0], b = w[from], c = w[2 * from], even = a + c, wide = a / 24 + c / 6;
  u[0] = a / 4;
  u[step] = -(even + b) / 6;
  u[2 * step] = -(even - b) / 6;
  u[3 * step] = wide + b / 12;
  u[4 * step] = wide - b / 12;
  u[5 * step] = c;
}

// Gᵀ of six values
static inline void transform_sums(const vec *u, int from, vec *w, int step) {
  const vec a = u[from] + u[2 * from], b = u[2 * from] - u[from], d = u[3 * from] + u[4 * from], e = u[3 * from] - u[4 * from];
  w[0] = u[0] / 4 - a / 6 + d / 24;
  w[step] = b / 6 + e / 12;
  w[2 * step] = -a / 6 + d / 6 + u[5 * from];
}

// Where the values of 16 neighbouring channels lie that are so many floats apart.
static inline __m512i lanes(int stride) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_mullo_epi32(lane, _mm512_set1_epi32(stride));
}

// G w Gᵀ of all pairs of channels, as [point][block of o][c][16 of o]; turned: of the convolution that is the
// gradient by x, whose channels are exchanged
void transform_weights(const conv_shape &s, const float *w, bool turned, float *u) {
  const int in = turned ? s.o : s.c, blocks = (turned ? s.c : s.o) / LANES;
  const long step = (long)blocks * in;
#pragma omp parallel for collapse(2) schedule(static)
  for (int o = 0; o < blocks; o++)
    for (int c = 0; c < in; c++) {
      const float *k = turned ? w + ((long)c * s.c + o * LANES) * 9 : w + ((long)o * LANES * s.c + c) * 9;
      const __m512i at = lanes(turned ? 9 : 9 * s.c);
      vec weights[9], half[18];
      for (int i = 0; i < 9; i++) weights[turned ? 8 - i : i] = (vec)_mm512_i32gather_ps(at, k + i, sizeof(float));
      for (int j = 0; j < 3; j++) transform_filter(weights + j, 3, half + j, 3);
      for (int i = 0; i < 6; i++) {
        vec points[6];
        transform_filter(half + 3 * i, 1, points, 1);
        for (int j = 0; j < 6; j++) ((vec *)u)[(6 * i + j) * step + (long)o * in + c] = points[j];
      }
    }
}

// dw = Gᵀ du G of all pairs of channels; du is summed over the threads' parts, in their order
void gather_weights(const conv_shape &s, const float *du, int parts, float *dw) {
  const int blocks = s.o / LANES;
  const long step = (long)blocks * s.c;
#pragma omp parallel for collapse(2) schedule(static)
  for (int o = 0; o < blocks; o++)
    for (int c = 0; c < s.c; c++) {
      const vec *sums = (const vec *)du + (long)o * s.c + c;
      vec points[POINTS], half[18], weights[9];
      for (int i = 0; i < POINTS; i++) {
        points[i] = vec{};
        for (int p = 0; p < parts; p++) points[i] += sums[(p * POINTS + i) * step];
      }
      for (int j = 0; j < 6; j++) transform_sums(points + j, 6, half + j, 6);
      for (int i = 0; i < 3; i++) transform_sums(half + 6 * i, 1, weights + 3 * i, 1);
      for (int i = 0; i < 9; i++) _mm512_i32scatter_ps(dw + ((long)o * LANES * s.c + c) * 9 + i, lanes(9 * s.c), (__m512)weights[i], sizeof(float));
    }
}

// y of x by transformed weights u; room is TILES·POINTS·(in + 16) floats a thread
template <class V> void convolve(const conv_shape &s, int in, int out, const V *x, const float *u, V *y, float *room) {
  const grid g(s);
  const int from = in / LANES, to = out / LANES;
#pragma omp parallel
  {
    vec *v = (vec *)(room + (long)omp_get_thread_num() * TILES * POINTS * (in + LANES)); // [point][tile][in]
    vec *m = v + (long)POINTS * TILES * from;                                          // [point][tile]
#pragma omp for schedule(static)
    for (long group = 0; group < g.groups(); group++) {
      const int tiles = input_group(g, x, group, from, v);
      for (int b = 0; b < to; b++) {
        for (int i = 0; i < POINTS; i++) {
          const float *a = (const float *)(v + (long)i * TILES * from);
          const vec *k = (const vec *)(u + ((long)i * to + b) * in * LANES);
          vec sum[TILES] = {};
          for (int c = 0; c < in; c++)
#pragma GCC unroll 8
            for (int t = 0; t < TILES; t++) sum[t] += a[t * in + c] * k[c];
#pragma GCC unroll 8
          for (int t = 0; t < TILES; t++) m[i * TILES + t] = sum[t];
        }
        for (int i = 0; i < tiles; i++) {
          const tile t(g, group * TILES + i);
          output_tile(g, m + i, TILES, t, y + (t.image * to + b) * g.plane);
        }
      }
    }
  }
}

// the sums over tiles of (Bᵀ x B) ⊙ (A dy Aᵀ), each thread's by itself
template <class V> void correlate(const conv_shape &s, const V *x, const V *dy, float *du, float *room) {
  const grid g(s);
  const long size = (long)POINTS * s.c * s.o;
  const int from = s.c / LANES, to = s.o / LANES;
#pragma omp parallel
  {
    const int id = omp_get_thread_num();
    vec *v = (vec *)(room + (long)id * TILES * POINTS * (s.c + LANES)), *p = v + (long)POINTS * TILES * from;
    float *sums = du + id * size;
    memset(sums, 0, size * sizeof(float));
#pragma omp for schedule(static)
    for (long group = 0; group < g.groups(); group++) {
      const int tiles = input_group(g, x, group, from, v);
      for (int b = 0; b < to; b++) {
        for (int i = 0; i < tiles; i++) {
          const tile t(g, group * TILES + i);
          gradient_tile(g, dy + (t.image * to + b) * g.plane, t, p + i, TILES);
        }
        for (int i = 0; i < POINTS; i++)
          for (int c = 0; c < from; c++) {
            vec *sum = (vec *)sums + ((long)i * to + b) * s.c + c * LANES, part[LANES];
            const float *a = (const float *)(v + (long)i * TILES * from + c);
#pragma GCC unroll 16
            for (int k = 0; k < LANES; k++) part[k] = sum[k];
            for (int t = 0; t < tiles; t++)
#pragma GCC unroll 16
              for (int k = 0; k < LANES; k++) part[k] += a[t * s.c + k] * p[i * TILES + t];
#pragma GCC unroll 16
            for (int k = 0; k < LANES; k++) sum[k] = part[k];
          }
      }
    }
  }
}

template <class V> void run(const conv_shape &s, int direction, V *x, const float *w, V *y, float *dw, float *weights, float *scratch) {
  switch (direction) {
  case FORWARD:
    transform_weights(s, w, false, weights);
    convolve(s, s.c, s.o, x, weights, y, scratch);
    break;
  case BACKWARD_DATA:
    transform_weights(s, w, true, weights);
    convolve(s, s.o, s.c, y, weights, x, scratch);
    break;
  default:
    correlate(s, x, y, weights, scratch);
    gather_weights(s, weights, omp_get_max_threads(), dw);
  }
}
} // namespace

extern "C" {
void winograd_room(conv_shape s, int direction, long *weights, long *scratch) {
  const long threads = omp_get_max_threads(), floats = sizeof(float);
  *weights = floats * POINTS * s.c * s.o * (direction == BACKWARD_WEIGHTS ? threads : 1);
  *scratch = floats * threads * TILES * POINTS * (std::max(s.c, s.o) + LANES);
}

void winograd_run(conv_shape s, int direction, const void *x, const float *w, const void *y, float *dw, void *weights, void *scratch) {
  const auto go = [&](auto *type) {
    typedef decltype(type) P;
    run(s, direction, (P)x, w, (P)y, dw, (float *)weights, (float *)scratch);
  };
  if (s.half) go((half16 *)0);
  else go((vec *)0);
}
}
#pragma GCC pop_options
