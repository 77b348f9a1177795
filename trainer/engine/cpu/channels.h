// Kernels that treat each channel of an activation by itself; included once for every instruction set
// (see simd.cpp). A task is one image's up to 16 neighbouring channels ("lanes") of one block. What is
// added up over images is kept for each image first and then added in their order, so that results do
// not depend on how tasks fall to threads. An activation's values are float or bfloat16 (half), all
// arithmetic is float.

struct half {
  unsigned short bits;
};
static inline float get(float v) { return v; }
static inline float get(half v) {
  const unsigned u = (unsigned)v.bits << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}
static inline void put(float &to, float v) { to = v; }
static inline void put(half &to, float v) { // rounded to nearest, ties to even; a NaN stays one
  unsigned u;
  memcpy(&u, &v, 4);
  const unsigned rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  to.bits = v != v ? 0x7fc0 : rounded;
}

// f with a null pointer of the type that the values have
template <class F> static inline void typed(int is_half, F f) {
  if (is_half) f((half *)0);
  else f((float *)0);
}

template <class F> static inline void each(long n, F f) {
#pragma omp parallel for simd schedule(static)
  for (long i = 0; i < n; i++) f(i);
}

struct tasks {
  layout l;
  int groups; // of lanes in a block
  long count;
  tasks(layout l) : l(l), groups((l.b + 15) / 16), count((long)l.n * (l.c / l.b) * groups) {}
};

struct task {
  long base;     // of the first value
  int n, c, lanes; // image, first channel
  task(const tasks &t, long i) {
    const int g = i % t.groups;
    const long block = i / t.groups;
    const int blocks = t.l.c / t.l.b;
    n = block / blocks;
    c = block % blocks * t.l.b + g * 16;
    lanes = std::min(16, t.l.b - g * 16);
    base = block * t.l.hw * t.l.b + g * 16;
  }
};

// runs f for every task, with the number of lanes known to the compiler where it is 8 or 16
template <class F> static inline void for_tasks(const tasks &t, F f) {
#pragma omp parallel for schedule(static)
  for (long i = 0; i < t.count; i++) {
    const task k(t, i);
    if (k.lanes == 16) f(k, std::integral_constant<int, 16>());
    else if (k.lanes == 8) f(k, std::integral_constant<int, 8>());
    else f(k, k.lanes);
  }
}

// adds up each channel's n pairs of sums, which lie at scratch[(n·c + channel)·2]
template <class F> static inline void reduce(layout l, const double *scratch, F f) {
#pragma omp parallel for schedule(static)
  for (int c = 0; c < l.c; c++) {
    double a = 0, b = 0;
    for (int n = 0; n < l.n; n++) {
      const double *s = scratch + ((long)n * l.c + c) * 2;
      a += s[0];
      b += s[1];
    }
    f(c, a, b);
  }
}

// f(channel, mean, biased variance)
template <class T, class F> static void stats_of(layout l, const T *x, double *scratch, F f) {
  // sums of x − k and of its square, k being the channel's first value: no cancellation where the mean is
  // far from zero
  const auto first = [&](int c) { return get(x[(long)(c / l.b) * l.hw * l.b + c % l.b]); };
  for_tasks(tasks(l), [&](const task &t, auto lanes) {
    float k[16], a[16] = {0}, b[16] = {0};
    for (int j = 0; j < lanes; j++) k[j] = first(t.c + j);
    const T *p = x + t.base;
    for (int i = 0; i < l.hw; i++, p += l.b)
#pragma omp simd
      for (int j = 0; j < lanes; j++) {
        const float d = get(p[j]) - k[j];
        a[j] += d;
        b[j] += d * d;
      }
    double *s = scratch + ((long)t.n * l.c + t.c) * 2;
    for (int j = 0; j < lanes; j++) s[2 * j] = a[j], s[2 * j + 1] = b[j];
  });
  const double m = (double)l.n * l.hw;
  reduce(l, scratch, [&](int c, double a, double b) {
    const double mean = a / m, var = b / m - mean * mean;
    f(c, first(c) + mean, var > 0 ? var : 0);
  });
}

void channel_stats(layout l, const void *x, double *scratch, float *stats) {
  typed(l.half, [&](auto *t) {
    stats_of(l, (decltype(t))x, scratch, [=](int c, double mean, double var) { stats[c] = mean, stats[l.c + c] = var; });
  });
}

void channel_moments(layout l, const void *x, double *scratch, double *stats) {
  typed(l.half, [&](auto *t) {
    stats_of(l, (decltype(t))x, scratch, [=](int c, double mean, double var) { stats[c] = mean, stats[l.c + c] = var; });
  });
}

// The gradient behind a ReLU. Which of its results are positive is known from them (y), or from x, of
// which they are scale·x + shift. How is known to the compiler, or its loops would not become vector code.
enum mask { NONE, RESULT, AFFINE };
template <mask how, class T> struct masked {
  const T *x, *dy, *y;
  const float *scale, *shift;
  float a[16], b[16];
  void channels(int c, int lanes) {
    if constexpr (how == AFFINE)
      for (int j = 0; j < lanes; j++) a[j] = scale[c + j], b[j] = shift[c + j];
  }
  float operator()(long i, int j) const {
    const float d = get(dy[i]);
    if constexpr (how == RESULT) return get(y[i]) > 0 ? d : 0;
    if constexpr (how == AFFINE) return a[j] * get(x[i]) + b[j] > 0 ? d : 0;
    return d;
  }
};

// f with the gradient that g describes
template <class F> static inline void with_mask(layout l, gradient g, const void *x, F f) {
  typed(l.half, [&](auto *t) {
    typedef decltype(t) P;
    typedef std::remove_pointer_t<P> T;
    const auto X = (const T *)x, DY = (const T *)g.dy, Y = (const T *)g.y;
    if (g.y) f(X, masked<RESULT, T>{X, DY, Y, 0, 0, {}, {}});
    else if (g.scale) f(X, masked<AFFINE, T>{X, DY, 0, g.scale, g.shift, {}, {}});
    else f(X, masked<NONE, T>{X, DY, 0, 0, 0, {}, {}});
  });
}

void channel_sums(layout l, const void *x, const float *mean, gradient g, double *scratch, float *s1, float *s2) {
  with_mask(l, g, x, [&](auto *x, auto dy) {
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      auto d = dy;
      d.channels(t.c, lanes);
      float k[16], a[16] = {0}, b[16] = {0};
      for (int j = 0; j < lanes; j++) k[j] = mean ? mean[t.c + j] : 0;
      long o = t.base;
      for (int i = 0; i < l.hw; i++, o += l.b)
#pragma omp simd
        for (int j = 0; j < lanes; j++) {
          const float v = d(o + j, j);
          a[j] += v;
          b[j] += v * (get(x[o + j]) - k[j]);
        }
      double *s = scratch + ((long)t.n * l.c + t.c) * 2;
      for (int j = 0; j < lanes; j++) s[2 * j] = a[j], s[2 * j + 1] = b[j];
    });
  });
  reduce(l, scratch, [&](int c, double a, double b) { s1[c] = a, s2[c] = b; });
}

void channel_backward(layout l, const void *x, gradient g, const float *a_, const float *b_, const float *c_, void *dx) {
  with_mask(l, g, x, [&](auto *x, auto dy) {
    auto *out = (std::remove_const_t<std::remove_pointer_t<decltype(x)>> *)dx;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      auto d = dy;
      d.channels(t.c, lanes);
      float a[16], b[16], c[16];
      for (int j = 0; j < lanes; j++) a[j] = a_[t.c + j], b[j] = b_[t.c + j], c[j] = c_[t.c + j];
      long o = t.base;
      for (int i = 0; i < l.hw; i++, o += l.b)
#pragma omp simd
        for (int j = 0; j < lanes; j++) put(out[o + j], a[j] * d(o + j, j) + b[j] * get(x[o + j]) + c[j]);
    });
  });
}

void channel_affine(layout l, const void *x, const float *scale, const float *shift, const void *r, int relu, void *y) {
  typed(l.half, [&](auto *t) {
    const auto *in = (decltype(t))x, *add = (decltype(t))r;
    auto *out = (decltype(t))y;
    const float least = relu ? 0 : -INFINITY;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      float a[16], b[16];
      for (int j = 0; j < lanes; j++) a[j] = scale[t.c + j], b[j] = shift[t.c + j];
      long o = t.base;
      const auto pass = [&](auto residual) {
        for (int i = 0; i < l.hw; i++, o += l.b)
#pragma omp simd
          for (int j = 0; j < lanes; j++) {
            float v = a[j] * get(in[o + j]) + b[j];
            if constexpr (residual()) v += get(add[o + j]);
            put(out[o + j], v > least || v != v ? v : least);
          }
      };
      if (add) pass(std::true_type());
      else pass(std::false_type());
    });
  });
}

void pool(layout l, const void *x, float *y) {
  typed(l.half, [&](auto *t) {
    const auto *in = (decltype(t))x;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      float a[16] = {0};
      const auto *p = in + t.base;
      for (int i = 0; i < l.hw; i++, p += l.b)
#pragma omp simd
        for (int j = 0; j < lanes; j++) a[j] += get(p[j]);
      for (int j = 0; j < lanes; j++) y[(long)t.n * l.c + t.c + j] = a[j] / l.hw;
    });
  });
}

void pool_grad(layout l, const float *dy, void *dx) {
  typed(l.half, [&](auto *t) {
    auto *out = (decltype(t))dx;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      float a[16];
      for (int j = 0; j < lanes; j++) a[j] = dy[(long)t.n * l.c + t.c + j] / l.hw;
      auto *p = out + t.base;
      for (int i = 0; i < l.hw; i++, p += l.b)
#pragma omp simd
        for (int j = 0; j < lanes; j++) put(p[j], a[j]);
    });
  });
}

// a value in another block or type
void relayout(layout l, int to, int to_half, const void *x, void *y) {
  const long plane = (long)l.c * l.hw;
  typed(l.half, [&](auto *f) {
    typed(to_half, [&](auto *t) {
      const auto *in = (decltype(f))x;
      auto *out = (decltype(t))y;
      if (to == l.b) {
        each((long)l.n * plane, [=](long i) { put(out[i], get(in[i])); });
        return;
      }
#pragma omp parallel for schedule(static)
      for (int n = 0; n < l.n; n++)
        for (int c = 0; c < l.c; c++)
          for (int i = 0; i < l.hw; i++)
            put(out[n * plane + ((long)(c / to) * l.hw + i) * to + c % to], get(in[n * plane + ((long)(c / l.b) * l.hw + i) * l.b + c % l.b]));
    });
  });
}
