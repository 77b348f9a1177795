// Winograd's algorithm (tiles.h) for many channels, whose weights are more than the cache holds, and few tiles: what takes the
// time there is writing and reading transformed weights, 4 times as many as there are. Here they are transformed a
// block at a time, multiplied with all tiles at once, and never written to memory. Results do not depend on the number of threads.
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "shim.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,prefer-vector-width=512")
namespace {
#include "tiles.h"

enum {
  WIDE = 2,   // vectors of channels of the result that are made at once
  ROWS = 8,   // tiles that are multiplied at once: their sums fill registers
  DEEP = 4,   // blocks of channels that are summed over at once
  MOST = 256, // tiles that are transformed at once
  PART = 128, // of them, that one thread multiplies
  AHEAD = 4,
  SPACE = DEEP * LANES * WIDE + 1, // vectors between two points
};

// So many tiles that lie one after another, of all that are transformed at once, from the first on; rounded up to whole ROWS, and
// to an odd number: points are so many vectors apart, and would fall into one set of the cache by powers of two.
static inline long rounded(long tiles) { return (tiles + ROWS - 1) / ROWS * ROWS; }
static inline long spaced(long tiles) { return rounded(tiles) + 1; }

// A transform of all blocks of channels of so many tiles, from the first on, as [block][point][tile]; more of them, up to whole ROWS, are 0.
template <class F> static inline void all_tiles(const grid &g, long first, long tiles, int blocks, vec *v, F transform) {
  const long space = spaced(tiles);
#pragma omp for collapse(2) schedule(static)
  for (int b = 0; b < blocks; b++)
    for (long i = 0; i < rounded(tiles); i++) {
      vec *to = v + (long)b * POINTS * space + i;
      if (i < tiles) {
        const tile t(g, first + i);
        transform(t, (t.image * blocks + b) * g.plane, to, space);
      } else
        for (int p = 0; p < POINTS; p++) to[p * space] = vec{};
    }
}

// m += v·u of ROWS tiles: v as [block of channels][tile][16], so many vectors between blocks; u as [channel][WIDE], m as [tile][WIDE]
static inline void multiply(const vec *v, long between, int blocks, const vec *u, vec *m, bool first) {
  vec sum[ROWS][WIDE] = {};
  for (int b = 0; b < blocks; b++) {
    const float *a = (const float *)(v + b * between);
    for (int c = 0; c < LANES; c++, u += WIDE) {
      __builtin_prefetch(a + (ROWS + c) * LANES);
#pragma GCC unroll 8
      for (int t = 0; t < ROWS; t++) {
        const vec x = (vec)_mm512_set1_ps(a[t * LANES + c]);
#pragma GCC unroll 2
        for (int o = 0; o < WIDE; o++) sum[t][o] += x * u[o];
      }
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < ROWS; t++)
#pragma GCC unroll 2
    for (int o = 0; o < WIDE; o++) m[t * WIDE + o] = first ? sum[t][o] : m[t * WIDE + o] + sum[t][o];
}

// The weights of 16 channels of c, and one of o, to the cache: rows of them are too far apart for the processor to see what comes
static inline void ahead(const float *w) {
  for (int i = 0; i < 9; i++) __builtin_prefetch((const char *)w + 64 * i);
}

// What a thread needs for itself.
struct own {
  vec u[POINTS * SPACE]; // [point][channel][WIDE]
  vec m[POINTS * (PART + 1) * WIDE];   // [point][tile][WIDE]
};

// The result's channels of one block of WIDE vectors, of the tiles from lo to hi of those that are transformed in v
template <class V>
static inline void one_block(const conv_shape &s, const grid &g, bool turned, int block, const float *w, const vec *v, long first, long lo, long hi,
                             long space, own *my, V *y) {
  const int from = (turned ? s.o : s.c) / LANES, to = (turned ? s.c : s.o) / LANES;
  const long apart = spaced(hi - lo) * WIDE;
  for (int b = 0; b < from; b += DEEP) {
    const int deep = std::min<int>(DEEP, from - b);
    for (int c = 0; c < deep * LANES; c++)
      for (int o = 0; o < WIDE; o++) {
        if (turned) ahead(w + ((long)(b * LANES + c + AHEAD) * s.c + (block * WIDE + o) * LANES) * 9);
        filter_points(s, w, turned, block * WIDE + o, b * LANES + c, my->u + c * WIDE + o, SPACE);
      }
    for (int p = 0; p < POINTS; p++)
      for (long t = lo; t < hi; t += ROWS)
        multiply(v + ((long)b * POINTS + p) * space + t, POINTS * space, deep, my->u + p * SPACE, my->m + p * apart + (t - lo) * WIDE, b == 0);
  }
  for (long t = lo; t < hi; t++)
    for (int o = 0; o < WIDE; o++) {
      const tile at(g, first + t);
      output_tile(g, my->m + (t - lo) * WIDE + o, apart, at, y + (at.image * to + block * WIDE + o) * g.plane);
    }
}

// y of x, or where it is turned x of y
template <class V> void convolve(const conv_shape &s, bool turned, const V *x, const float *w, V *y, vec *v, own *room) {
  const grid g(s);
  const int from = (turned ? s.o : s.c) / LANES, blocks = (turned ? s.c : s.o) / LANES / WIDE;
  for (long first = 0; first < g.count; first += MOST) {
    const long tiles = std::min<long>(MOST, g.count - first), space = spaced(tiles);
#pragma omp parallel
    {
      all_tiles(g, first, tiles, from, v, [&](tile t, long plane, vec *to, long step) { input_tile(g, x + plane, t, to, step); });
#pragma omp for collapse(2) schedule(static)
      for (long lo = 0; lo < tiles; lo += PART)
        for (int b = 0; b < blocks; b++)
          one_block(s, g, turned, b, w, v, first, lo, std::min<long>(lo + PART, tiles), space, room + omp_get_thread_num(), y);
    }
  }
}

// du += vᵀ·p of some tiles: of ROWS channels of x, [tile][16], and WIDE vectors of y, so many between them, as [channel][WIDE]
static inline void outer(const float *v, const vec *p, long between, long tiles, vec *du) {
  vec sum[ROWS][WIDE] = {};
  for (long t = 0; t < tiles; t++, v += LANES, p++)
#pragma GCC unroll 8
    for (int c = 0; c < ROWS; c++) {
      const vec x = (vec)_mm512_set1_ps(v[c]);
#pragma GCC unroll 2
      for (int o = 0; o < WIDE; o++) sum[c][o] += x * p[o * between];
    }
#pragma GCC unroll 8
  for (int c = 0; c < ROWS; c++)
#pragma GCC unroll 2
    for (int o = 0; o < WIDE; o++) du[c * WIDE + o] = sum[c][o];
}

// dw of x and dy: of MOST tiles after another
template <class V> void correlate(const conv_shape &s, const V *x, const V *dy, float *dw, vec *v, own *room) {
  const grid g(s);
  const int from = s.c / LANES, to = s.o / LANES;
  for (long first = 0; first < g.count; first += MOST) {
    const long tiles = std::min<long>(MOST, g.count - first), space = spaced(tiles);
    vec *p = v + (long)from * POINTS * space;
#pragma omp parallel
    {
      all_tiles(g, first, tiles, from, v, [&](tile t, long plane, vec *at, long step) { input_tile(g, x + plane, t, at, step); });
      all_tiles(g, first, tiles, to, p, [&](tile t, long plane, vec *at, long step) { gradient_tile(g, dy + plane, t, at, step); });
      vec *du = room[omp_get_thread_num()].u; // [point][channel][WIDE]
#pragma omp for collapse(2) schedule(static)
      for (int o = 0; o < to / WIDE; o++)
        for (int b = 0; b < from; b++) {
          for (int i = 0; i < POINTS; i++)
            for (int c = 0; c < LANES; c += ROWS)
              outer((const float *)(v + ((long)b * POINTS + i) * space) + c, p + ((long)o * WIDE * POINTS + i) * space, POINTS * space, tiles,
                    du + (i * LANES + c) * WIDE);
          for (int c = 0; c < LANES; c++)
            for (int k = 0; k < WIDE; k++) {
              vec points[POINTS];
              for (int i = 0; i < POINTS; i++) points[i] = du[(i * LANES + c) * WIDE + k];
              filter_sums(s, points, o * WIDE + k, b * LANES + c, first > 0, dw);
            }
        }
    }
  }
}

template <class V> void run(const conv_shape &s, int direction, V *x, const float *w, V *y, float *dw, float *scratch) {
  own *room = (own *)scratch;
  vec *v = (vec *)(room + omp_get_max_threads());
  switch (direction) {
  case FORWARD: return convolve(s, false, x, w, y, v, room);
  case BACKWARD_DATA: return convolve(s, true, y, w, x, v, room);
  default: correlate(s, x, y, dw, v, room);
  }
}
} // namespace

extern "C" {
void winograd_wide_room(conv_shape s, int direction, long *scratch) {
  const int blocks = (direction == FORWARD ? s.c : direction == BACKWARD_DATA ? s.o : s.c + s.o) / LANES;
  *scratch = sizeof(own) * omp_get_max_threads() + sizeof(vec) * blocks * POINTS * spaced(std::min<long>(MOST, grid(s).count));
}

void winograd_wide_run(conv_shape s, int direction, const void *x, const float *w, const void *y, float *dw, void *scratch) {
  const auto go = [&](auto *type) {
    typedef decltype(type) P;
    run(s, direction, (P)x, w, (P)y, dw, (float *)scratch);
  };
  if (s.half) go((half16 *)0);
  else go((vec *)0);
}
}
#pragma GCC pop_options
