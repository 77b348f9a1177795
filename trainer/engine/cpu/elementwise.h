// Elementwise kernels; included once for every instruction set (see simd.cpp).

// a NaN stays one: divergence must show in the loss
void relu(long n, int is_half, const void *x, void *y) {
  typed(is_half, [&](auto *t) {
    const auto *in = (decltype(t))x;
    auto *out = (decltype(t))y;
    each(n, [=](long i) {
      const float v = get(in[i]);
      put(out[i], v < 0 ? 0 : v);
    });
  });
}

// loads are unconditional, or the loops would not become vector code
void relu_grad(long n, int is_half, const void *y, const void *dy, const void *more, void *dx) {
  typed(is_half, [&](auto *t) {
    const auto *mask = (decltype(t))y, *a = (decltype(t))dy, *b = (decltype(t))more;
    auto *out = (decltype(t))dx;
    if (b)
      each(n, [=](long i) {
        const float d = get(a[i]) + get(b[i]);
        put(out[i], get(mask[i]) > 0 ? d : 0);
      });
    else
      each(n, [=](long i) {
        const float d = get(a[i]);
        put(out[i], get(mask[i]) > 0 ? d : 0);
      });
  });
}

void add(long n, int is_half, const void *x1, const void *x2, void *y) {
  typed(is_half, [&](auto *t) {
    const auto *a = (decltype(t))x1, *b = (decltype(t))x2;
    auto *out = (decltype(t))y;
    each(n, [=](long i) { put(out[i], get(a[i]) + get(b[i])); });
  });
}

void combine(long n, float a, const float *x1, float b, const float *x2, float c, const float *x3, float *y) {
  if (!x3) {
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < n; i++) y[i] = a * x1[i] + b * x2[i];
    return;
  }
#pragma omp parallel for simd schedule(static)
  for (long i = 0; i < n; i++) y[i] = a * x1[i] + b * x2[i] + c * x3[i];
}

// sums in float over short runs, in double over the runs, always cut the same way: the result does not
// depend on the number of threads
void norms(long n, const float *w, const float *g, float decay, double *out) {
  const long run = 1024, runs = (n + run - 1) / run;
  double ww = 0, gg = 0;
  for (long r = 0; r < runs; r++) {
    float a = 0, b = 0;
    const long end = std::min(n, (r + 1) * run);
#pragma omp simd reduction(+ : a, b)
    for (long i = r * run; i < end; i++) {
      const float d = g[i] + decay * w[i];
      a += w[i] * w[i];
      b += d * d;
    }
    ww += a;
    gg += b;
  }
  out[0] = ww;
  out[1] = gg;
}

void add_bias(long n, long o, const float *x, const float *b, float *y) {
#pragma omp parallel for schedule(static)
  for (long i = 0; i < n; i++)
    for (long k = 0; k < o; k++) y[i * o + k] = x[i * o + k] + b[k];
}
