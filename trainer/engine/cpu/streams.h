// Two streams of channels, one after the other; included once for every instruction set, after channels.h, whose
// tasks and types it has (see simd.cpp).

// where value i of one stream, of which an image has so many, lies in the first stream of both
static inline long of_first(long i, long values) { return i + i / values * values; }

void sum_streams(long n, long c, const float *x, float *y) {
  each(n * c, [=](long i) {
    const float *p = x + of_first(i, c);
    y[i] = p[0] + p[c];
  });
}

void repeat_streams(long n, long c, const float *x, float *y) {
  each(n * c, [=](long i) {
    float *p = y + of_first(i, c);
    p[0] = p[c] = x[i];
  });
}

void stream_softmax(long n, long c, const float *x, float *y) {
  each(n * c, [=](long i) {
    const long at = of_first(i, c);
    const float a = x[at], b = x[at + c], top = a > b ? a : b;
    const float p = std::exp(a - top), q = std::exp(b - top);
    y[at] = p / (p + q);
    y[at + c] = q / (p + q);
  });
}

void stream_softmax_grad(long n, long c, const float *y, const float *dy, float *dx) {
  each(n * c, [=](long i) {
    const long at = of_first(i, c);
    const float p = y[at], q = y[at + c], d = p * q * (dy[at] - dy[at + c]);
    dx[at] = d;
    dx[at + c] = -d;
  });
}

// a task's two streams: where their values begin, and their channels
struct pair {
  long first, second, channel;
  pair(const task &t, layout l)
      : first(t.base + (long)t.n * l.c * l.hw), second(first + (long)l.c * l.hw), channel(2L * t.n * l.c + t.c) {}
};

void mix_streams(layout l, const void *x, const float *a, void *y) {
  typed(l.half, [&](auto *type) {
    const auto *in = (decltype(type))x;
    auto *out = (decltype(type))y;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      const pair s(t, l);
      float u[16], v[16];
      for (int j = 0; j < lanes; j++) u[j] = a[s.channel + j], v[j] = a[s.channel + l.c + j];
      for (long i = 0; i < (long)l.hw * l.b; i += l.b)
#pragma omp simd
        for (int j = 0; j < lanes; j++) put(out[t.base + i + j], u[j] * get(in[s.first + i + j]) + v[j] * get(in[s.second + i + j]));
    });
  });
}

void mix_streams_grad_input(layout l, const float *a, const float *more, const void *dy, void *dx) {
  typed(l.half, [&](auto *type) {
    const auto *in = (decltype(type))dy;
    auto *out = (decltype(type))dx;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      const pair s(t, l);
      float u[16], v[16], p[16], q[16];
      for (int j = 0; j < lanes; j++) {
        u[j] = a[s.channel + j], v[j] = a[s.channel + l.c + j];
        p[j] = more ? more[s.channel + j] / l.hw : 0, q[j] = more ? more[s.channel + l.c + j] / l.hw : 0;
      }
      for (long i = 0; i < (long)l.hw * l.b; i += l.b)
#pragma omp simd
        for (int j = 0; j < lanes; j++) {
          const float d = get(in[t.base + i + j]);
          put(out[s.first + i + j], u[j] * d + p[j]);
          put(out[s.second + i + j], v[j] * d + q[j]);
        }
    });
  });
}

void mix_streams_grad_weight(layout l, const void *x, const void *dy, float *da) {
  typed(l.half, [&](auto *type) {
    const auto *in = (decltype(type))x, *gradient = (decltype(type))dy;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      const pair s(t, l);
      float u[16] = {0}, v[16] = {0};
      for (long i = 0; i < (long)l.hw * l.b; i += l.b)
#pragma omp simd
        for (int j = 0; j < lanes; j++) {
          const float d = get(gradient[t.base + i + j]);
          u[j] += d * get(in[s.first + i + j]);
          v[j] += d * get(in[s.second + i + j]);
        }
      for (int j = 0; j < lanes; j++) da[s.channel + j] = u[j], da[s.channel + l.c + j] = v[j];
    });
  });
}
