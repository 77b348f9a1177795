// Twelve chains of multiply-adds hide the latency of one: 4 cycles, and two a cycle.
#include "peak.h"

#include <immintrin.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { chains = 12, rounds = 8, iterations = 4 << 20 };

static volatile float sink;

__attribute__((target("avx512f"))) static void fma512(void) {
  __m512 acc[chains], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
  for (int i = 0; i < chains; i++) acc[i] = _mm512_set1_ps(i);
  for (long n = 0; n < iterations; n++)
#pragma GCC unroll 12
    for (int i = 0; i < chains; i++) acc[i] = _mm512_fmadd_ps(acc[i], a, b);
  for (int i = 1; i < chains; i++) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  sink = _mm512_reduce_add_ps(acc[0]);
}

__attribute__((target("avx2,fma"))) static void fma256(void) {
  __m256 acc[chains], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
  for (int i = 0; i < chains; i++) acc[i] = _mm256_set1_ps(i);
  for (long n = 0; n < iterations; n++)
#pragma GCC unroll 12
    for (int i = 0; i < chains; i++) acc[i] = _mm256_fmadd_ps(acc[i], a, b);
  for (int i = 1; i < chains; i++) acc[0] = _mm256_add_ps(acc[0], acc[i]);
  sink = acc[0][0];
}

__attribute__((target("avx512f,avx512bf16"))) static void dot512(void) {
  __m512 acc[chains];
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.25f));
  for (int i = 0; i < chains; i++) acc[i] = _mm512_set1_ps(i);
  for (long n = 0; n < iterations; n++)
#pragma GCC unroll 12
    for (int i = 0; i < chains; i++) acc[i] = _mm512_dpbf16_ps(acc[i], a, a);
  for (int i = 1; i < chains; i++) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  sink = _mm512_reduce_add_ps(acc[0]);
}

// best rate of several rounds in which every thread does an amount of work.
static double rate(int threads, double work, void (*f)(void)) {
  double best = 0;
  for (int r = 0; r < rounds; r++) {
    const double start = omp_get_wtime();
#pragma omp parallel num_threads(threads)
    f();
    const double now = threads * work / (omp_get_wtime() - start);
    if (now > best) best = now;
  }
  return best;
}

double fp32_flops(int threads) {
  const double multiplyAdds = 2. * chains * iterations;
  if (__builtin_cpu_supports("avx512f")) return rate(threads, 16 * multiplyAdds, fma512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return rate(threads, 8 * multiplyAdds, fma256);
  return 0;
}

double bf16_flops(int threads) {
  if (!__builtin_cpu_supports("avx512bf16")) return 0;
  return rate(threads, 32 * 2. * chains * iterations, dot512);
}

double read_bytes(int threads) {
  const long n = 1 << 27; // 512 MiB of floats, more than any cache
  float *x = aligned_alloc(64, 4 * n);
  if (!x) return 0;
  memset(x, 0, 4 * n);
  double best = 0;
  for (int r = 0; r < rounds; r++) {
    const double start = omp_get_wtime();
    float sum = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : sum)
    for (long i = 0; i < n; i += 16) {
      float s = 0;
      for (int k = 0; k < 16; k++) s += x[i + k];
      sum += s;
    }
    sink = sum;
    const double now = 4. * n / (omp_get_wtime() - start);
    if (now > best) best = now;
  }
  free(x);
  return best;
}
