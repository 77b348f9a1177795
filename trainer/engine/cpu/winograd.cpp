// Winograd's algorithm F(4×4, 3×3) (Lavin and Gray 2016, arXiv 1509.09308, section 4.3) for few channels, where oneDNN's is
// slower than its direct kernels: tiles are transformed in the cache, a few at a time, and never written to memory.
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "shim.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,prefer-vector-width=512")
namespace {
#include "tiles.h"

enum { TILES = 8 }; // that are transformed at once
static inline long groups(const grid &g) { return (g.count + TILES - 1) / TILES; }
static inline int in_group(const grid &g, long group) { return std::min<long>(TILES, g.count - group * TILES); }

// Bᵀ x B of the tiles of a group, of so many blocks of channels, as [point][tile][block]. It gives their number.
template <class V> static inline int input_group(const grid &g, const V *x, long group, int blocks, vec *v) {
  const int tiles = in_group(g, group);
  for (int i = 0; i < tiles; i++) {
    const tile t(g, group * TILES + i);
    for (int b = 0; b < blocks; b++) input_tile(g, x + (t.image * blocks + b) * g.plane, t, v + i * blocks + b, TILES * blocks);
  }
  return tiles;
}

// G w Gᵀ of all pairs of channels, as [point][block of o][c][16 of o]; turned: of the convolution that is the
// gradient by x, whose channels are exchanged
void transform_weights(const conv_shape &s, const float *w, bool turned, float *u) {
  const int in = turned ? s.o : s.c, blocks = (turned ? s.c : s.o) / LANES;
  const long step = (long)blocks * in;
#pragma omp parallel for collapse(2) schedule(static)
  for (int o = 0; o < blocks; o++)
    for (int c = 0; c < in; c++) filter_points(s, w, turned, o, c, (vec *)u + (long)o * in + c, step);
}

// dw = Gᵀ du G of all pairs of channels; du is summed over the threads' parts, in their order
void gather_weights(const conv_shape &s, const float *du, int parts, float *dw) {
  const int blocks = s.o / LANES;
  const long step = (long)blocks * s.c;
#pragma omp parallel for collapse(2) schedule(static)
  for (int o = 0; o < blocks; o++)
    for (int c = 0; c < s.c; c++) {
      const vec *sums = (const vec *)du + (long)o * s.c + c;
      vec points[POINTS];
      for (int i = 0; i < POINTS; i++) {
        points[i] = vec{};
        for (int p = 0; p < parts; p++) points[i] += sums[(p * POINTS + i) * step];
      }
      filter_sums(s, points, o, c, false, dw);
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
    for (long group = 0; group < groups(g); group++) {
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
    for (long group = 0; group < groups(g); group++) {
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
