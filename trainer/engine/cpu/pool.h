// Pooling by windows, in any layout; included once for every instruction set, after channels.h, whose tasks
// and types it has (see simd.cpp).

static inline int windows(int length, const pooling &o) { return (length + o.before + o.after - o.size) / o.stride + 1; }

// first and end of the values of a window that lie within the border
struct span {
  int first, end;
  span(int at, int length, const pooling &o)
      : first(std::max(0, at * o.stride - o.before)), end(std::min(length, at * o.stride - o.before + o.size)) {}
};

// where a task's values begin in an activation of as many channels and another size of image
static inline long base_of(const task &t, layout l, long hw) { return ((long)t.n * (l.c / l.b) + t.c / l.b) * hw * l.b + t.c % l.b; }

// NaN is larger than any number: divergence must show in the loss
static inline bool larger(float v, float than) { return v > than || (v != v && than == than); }

void max_pool(layout l, pooling o, const void *x, void *y) {
  const int oh = windows(o.h, o), ow = windows(o.w, o);
  typed(l.half, [&](auto *type) {
    const auto *in = (decltype(type))x;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      auto *out = (decltype(type))y + base_of(t, l, (long)oh * ow);
      for (int r = 0; r < oh; r++)
        for (int c = 0; c < ow; c++, out += l.b) {
          const span rows(r, o.h, o), columns(c, o.w, o);
          float m[16];
          for (int j = 0; j < lanes; j++) m[j] = -INFINITY;
          for (int a = rows.first; a < rows.end; a++) {
            const auto *p = in + t.base + ((long)a * o.w + columns.first) * l.b;
            for (int b = columns.first; b < columns.end; b++, p += l.b)
#pragma omp simd
              for (int j = 0; j < lanes; j++) {
                const float v = get(p[j]);
                m[j] = v > m[j] || v != v ? v : m[j];
              }
          }
          for (int j = 0; j < lanes; j++) put(out[j], m[j]);
        }
    });
  });
}

void max_pool_grad(layout l, pooling o, const void *x, const void *dy, void *dx) {
  const int oh = windows(o.h, o), ow = windows(o.w, o);
  typed(l.half, [&](auto *type) {
    const auto *in = (decltype(type))x;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      auto *to = (decltype(type))dx + t.base;
      for (long i = 0; i < l.hw; i++)
        for (int j = 0; j < lanes; j++) put(to[i * l.b + j], 0);
      const auto *d = (decltype(type))dy + base_of(t, l, (long)oh * ow);
      for (int r = 0; r < oh; r++)
        for (int c = 0; c < ow; c++, d += l.b) {
          const span rows(r, o.h, o), columns(c, o.w, o);
          // the largest value's place in the image, the first of equal ones
          float m[16];
          int at[16];
          for (int j = 0; j < lanes; j++) m[j] = -INFINITY, at[j] = rows.first * o.w + columns.first;
          for (int a = rows.first; a < rows.end; a++)
            for (int b = columns.first; b < columns.end; b++) {
              const int place = a * o.w + b;
              const auto *p = in + t.base + (long)place * l.b;
#pragma omp simd
              for (int j = 0; j < lanes; j++) {
                const float v = get(p[j]);
                const bool more = larger(v, m[j]);
                m[j] = more ? v : m[j];
                at[j] = more ? place : at[j];
              }
            }
          for (int a = rows.first; a < rows.end; a++)
            for (int b = columns.first; b < columns.end; b++) {
              const int place = a * o.w + b;
              auto *g = to + (long)place * l.b;
#pragma omp simd
              for (int j = 0; j < lanes; j++) {
                const float v = get(d[j]);
                put(g[j], get(g[j]) + (at[j] == place ? v : 0));
              }
            }
        }
    });
  });
}

// what a window's sum is divided by
static inline float divisor(const span &rows, const span &columns, const pooling &o, int count_zeros) {
  return count_zeros ? o.size * o.size : (rows.end - rows.first) * (columns.end - columns.first);
}

void average_pool(layout l, pooling o, int count_zeros, const void *x, void *y) {
  const int oh = windows(o.h, o), ow = windows(o.w, o);
  typed(l.half, [&](auto *type) {
    const auto *in = (decltype(type))x;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      auto *out = (decltype(type))y + base_of(t, l, (long)oh * ow);
      for (int r = 0; r < oh; r++)
        for (int c = 0; c < ow; c++, out += l.b) {
          const span rows(r, o.h, o), columns(c, o.w, o);
          const float by = divisor(rows, columns, o, count_zeros);
          float m[16] = {0};
          for (int a = rows.first; a < rows.end; a++) {
            const auto *p = in + t.base + ((long)a * o.w + columns.first) * l.b;
            for (int b = columns.first; b < columns.end; b++, p += l.b)
#pragma omp simd
              for (int j = 0; j < lanes; j++) m[j] += get(p[j]);
          }
          for (int j = 0; j < lanes; j++) put(out[j], m[j] / by);
        }
    });
  });
}

// the windows that a value lies in
static inline span windows_of(int at, int length, const pooling &o) {
  span s(0, 0, o);
  const int from = at + o.before - o.size + 1;
  s.first = from <= 0 ? 0 : (from + o.stride - 1) / o.stride;
  s.end = std::min(windows(length, o), (at + o.before) / o.stride + 1);
  return s;
}

void average_pool_grad(layout l, pooling o, int count_zeros, const void *dy, void *dx) {
  const int oh = windows(o.h, o), ow = windows(o.w, o);
  typed(l.half, [&](auto *type) {
    const auto *in = (decltype(type))dy;
    for_tasks(tasks(l), [&](const task &t, auto lanes) {
      const auto *d = in + base_of(t, l, (long)oh * ow);
      auto *to = (decltype(type))dx + t.base;
      for (int h = 0; h < o.h; h++)
        for (int w = 0; w < o.w; w++, to += l.b) {
          const span rows = windows_of(h, o.h, o), columns = windows_of(w, o.w, o);
          float g[16] = {0};
          for (int r = rows.first; r < rows.end; r++)
            for (int c = columns.first; c < columns.end; c++) {
              const float by = divisor(span(r, o.h, o), span(c, o.w, o), o, count_zeros);
              const auto *p = d + ((long)r * ow + c) * l.b;
#pragma omp simd
              for (int j = 0; j < lanes; j++) g[j] += get(p[j]) / by;
            }
          for (int j = 0; j < lanes; j++) put(to[j], g[j]);
        }
    });
  });
}
