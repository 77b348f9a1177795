// The kernels that are not oneDNN's, compiled for each instruction set that matters and chosen at run
// time: nothing is compiled for the machine that builds.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "shim.h"

namespace baseline {
#include "channels.h"
#include "contrastive.h"
#include "elementwise.h"
#include "pool.h"
#include "streams.h"
} // namespace baseline

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include "channels.h"
#include "contrastive.h"
#include "elementwise.h"
#include "pool.h"
#include "streams.h"
} // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,prefer-vector-width=512")
namespace avx512 {
#include "channels.h"
#include "contrastive.h"
#include "elementwise.h"
#include "pool.h"
#include "streams.h"
} // namespace avx512
#pragma GCC pop_options

namespace {
enum { BASELINE, AVX2, AVX512 };
int level() {
  static const int l = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") ? AVX512
                       : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")       ? AVX2
                                                                                               : BASELINE;
  return l;
}
} // namespace

#define DISPATCH(name, params, args)                                                                                   \
  extern "C" void name params {                                                                                        \
    switch (level()) {                                                                                                 \
    case AVX512: return avx512::name args;                                                                             \
    case AVX2: return avx2::name args;                                                                                 \
    default: return baseline::name args;                                                                               \
    }                                                                                                                  \
  }

DISPATCH(relu, (long n, int is_half, const void *x, void *y), (n, is_half, x, y))
DISPATCH(relu_grad, (long n, int is_half, const void *y, const void *dy, const void *more, void *dx), (n, is_half, y, dy, more, dx))
DISPATCH(add, (long n, int is_half, const void *a, const void *b, void *y), (n, is_half, a, b, y))
DISPATCH(combine, (long n, float a, const float *x1, float b, const float *x2, float c, const float *x3, float *y), (n, a, x1, b, x2, c, x3, y))
DISPATCH(norms, (long n, const float *w, const float *g, float decay, double *out), (n, w, g, decay, out))
DISPATCH(add_bias, (long n, long o, const float *x, const float *b, float *y), (n, o, x, b, y))
DISPATCH(softmax_rows, (long rows, long first, long count, float temperature, float *block, double *losses, int *right), (rows, first, count, temperature, block, losses, right))
DISPATCH(channel_stats, (layout l, const void *x, double *scratch, float *stats), (l, x, scratch, stats))
DISPATCH(channel_moments, (layout l, const void *x, double *scratch, double *stats), (l, x, scratch, stats))
DISPATCH(channel_sums, (layout l, const void *x, const float *mean, gradient dy, double *scratch, float *s1, float *s2), (l, x, mean, dy, scratch, s1, s2))
DISPATCH(channel_affine, (layout l, const void *x, const float *scale, const float *shift, const void *r, int relu, void *y), (l, x, scale, shift, r, relu, y))
DISPATCH(channel_backward, (layout l, const void *x, gradient dy, const float *a, const float *b, const float *c, void *dx), (l, x, dy, a, b, c, dx))
DISPATCH(pool, (layout l, const void *x, float *y), (l, x, y))
DISPATCH(pool_grad, (layout l, const float *dy, void *dx), (l, dy, dx))
DISPATCH(max_pool, (layout l, pooling o, const void *x, void *y), (l, o, x, y))
DISPATCH(max_pool_grad, (layout l, pooling o, const void *x, const void *dy, void *dx), (l, o, x, dy, dx))
DISPATCH(average_pool, (layout l, pooling o, int count_zeros, const void *x, void *y), (l, o, count_zeros, x, y))
DISPATCH(average_pool_grad, (layout l, pooling o, int count_zeros, const void *dy, void *dx), (l, o, count_zeros, dy, dx))
DISPATCH(sum_streams, (long n, long c, const float *x, float *y), (n, c, x, y))
DISPATCH(repeat_streams, (long n, long c, const float *x, float *y), (n, c, x, y))
DISPATCH(stream_softmax, (long n, long c, const float *x, float *y), (n, c, x, y))
DISPATCH(stream_softmax_grad, (long n, long c, const float *y, const float *dy, float *dx), (n, c, y, dy, dx))
DISPATCH(mix_streams, (layout l, const void *x, const float *a, void *y), (l, x, a, y))
DISPATCH(mix_streams_grad_input, (layout l, const float *a, const float *more, const void *dy, void *dx), (l, a, more, dy, dx))
DISPATCH(mix_streams_grad_weight, (layout l, const void *x, const void *dy, float *da), (l, x, dy, da))
DISPATCH(relayout, (layout l, int to, int to_half, const void *x, void *y), (l, to, to_half, x, y))

extern "C" {
void softplus(long n, const float *x, float *y) {
#pragma omp parallel for schedule(static)
  for (long i = 0; i < n; i++) y[i] = std::max(x[i], 0.f) + std::log1p(std::exp(-std::fabs(x[i])));
}

void softplus_grad(long n, const float *x, const float *dy, float *dx) {
#pragma omp parallel for schedule(static)
  for (long i = 0; i < n; i++) dx[i] = dy[i] / (1 + std::exp(-x[i]));
}
}
