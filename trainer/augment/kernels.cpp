// The kernels, compiled for each instruction set that matters and chosen at run time: nothing is compiled for the
// machine that builds.
#include <math.h>
#include <string.h>

#include "kernels.h"

// Sums are never contracted to fused multiply-adds, which only some instruction sets have: views are the same on
// every machine. The other options change no value that occurs: nothing here reads the floating-point environment,
// and no zero's sign matters.
#pragma GCC optimize("fp-contract=off", "no-trapping-math", "no-math-errno", "no-signed-zeros")

namespace baseline {
typedef float vector __attribute__((vector_size(16)));
#define EACH_PIXEL(pattern) pattern(0)
#include "vector.h"
#include "blur.h"
#include "color.h"
#include "resize.h"
#undef EACH_PIXEL
} // namespace baseline

#pragma GCC push_options
#pragma GCC target("avx2")
namespace avx2 {
typedef float vector __attribute__((vector_size(32)));
#define EACH_PIXEL(pattern) pattern(0), pattern(4)
#include "vector.h"
#include "blur.h"
#include "color.h"
#include "resize.h"
#undef EACH_PIXEL
} // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
namespace avx512 {
typedef float vector __attribute__((vector_size(64)));
#define EACH_PIXEL(pattern) pattern(0), pattern(4), pattern(8), pattern(12)
#include "vector.h"
#include "blur.h"
#include "color.h"
#include "resize.h"
#undef EACH_PIXEL
} // namespace avx512
#pragma GCC pop_options

#define DISPATCH(name, params, args)                                                                                   \
  extern "C" void name params {                                                                                        \
    switch (level) {                                                                                                   \
    case AVX512: return avx512::name args;                                                                             \
    case AVX2: return avx2::name args;                                                                                 \
    default: return baseline::name args;                                                                               \
    }                                                                                                                  \
  }

DISPATCH(resize, (int level, const unsigned char *pix, long stride, span x, span y, int size, int filter, int flip, float *scratch, float *dst),
         (pix, stride, x, y, size, filter, flip, scratch, dst))
DISPATCH(color, (int level, float *planes, long n, const step *steps, int count), (planes, n, steps, count))
DISPATCH(blur, (int level, float *planes, int size, const float *kernel, int radius, float *scratch), (planes, size, kernel, radius, scratch))

extern "C" {
int best_level(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl")
             ? AVX512
         : __builtin_cpu_supports("avx2") ? AVX2
                                          : BASELINE;
}

long resize_scratch(span x, span y, int size, int filter) { return avx512::resize_scratch(x, y, size, filter); }
long blur_scratch(int size, int radius) { return avx512::blur_scratch(size, radius); }
}
