// Operations on colours: torchvision's adjust_*, and clipped after each of them. The paper's code differs from
// torchvision in contrast (mean of each channel) and saturation (in HSV). Included once for every instruction set
// (see kernels.cpp).

static inline float clip(float v) {
  v = v > 0 ? v : 0;
  return v < 1 ? v : 1;
}

// luma is the grey of a colour (ITU-R BT.601, as in Pillow and torchvision).
static inline float luma(float r, float g, float b) { return 0.299f * r + 0.587f * g + 0.114f * b; }

// brightness multiplies.
static void brightness(float *r, float *g, float *b, int n, float factor) {
  for (int i = 0; i < n; i++) {
    r[i] = clip(r[i] * factor);
    g[i] = clip(g[i] * factor);
    b[i] = clip(b[i] * factor);
  }
}

// contrast moves away from the mean of the grey image: factor · v + (1 − factor) · mean.
static void contrast(float *r, float *g, float *b, int n, float factor, float mean) {
  const float offset = (1 - factor) * mean;
  for (int i = 0; i < n; i++) {
    r[i] = clip(factor * r[i] + offset);
    g[i] = clip(factor * g[i] + offset);
    b[i] = clip(factor * b[i] + offset);
  }
}

// saturation moves away from grey: factor · v + (1 − factor) · grey.
static void saturation(float *r, float *g, float *b, int n, float factor) {
  for (int i = 0; i < n; i++) {
    const float offset = (1 - factor) * luma(r[i], g[i], b[i]);
    r[i] = clip(factor * r[i] + offset);
    g[i] = clip(factor * g[i] + offset);
    b[i] = clip(factor * b[i] + offset);
  }
}

// hue turns the hue of HSV, by sixths of a turn; value and chroma stay.
static void hue(float *r, float *g, float *b, int n, float turn) {
  for (int i = 0; i < n; i++) {
    const float red = r[i], green = g[i], blue = b[i];
    const float upper = red > green ? red : green, lower = red > green ? green : red;
    const float high = upper > blue ? upper : blue, low = lower < blue ? lower : blue;
    const float chroma = high - low;
    const float difference = high == red ? green - blue : high == green ? blue - red : red - green;
    const float sector = high == red ? 0.f : high == green ? 2.f : 4.f;
    float h = sector + difference / (chroma > 1e-30f ? chroma : 1e-30f) + turn; // −1 to 11; grey has no difference
    h = h < 0 ? h + 6 : h;
    h = h >= 6 ? h - 6 : h;
    r[i] = low + chroma * clip(fabsf(h - 3) - 1);
    g[i] = low + chroma * clip(2 - fabsf(h - 2));
    b[i] = low + chroma * clip(2 - fabsf(h - 4));
  }
}

static void grey(float *r, float *g, float *b, int n) {
  for (int i = 0; i < n; i++) r[i] = g[i] = b[i] = luma(r[i], g[i], b[i]);
}

// grey_sum adds in sixteen sums, whatever the width of the vectors: the result is the same on every machine.
static double grey_sum(const float *r, const float *g, const float *b, int n) {
  float sum[16] = {};
  int i = 0;
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; j++) sum[j] += luma(r[i + j], g[i + j], b[i + j]);
  double total = 0;
  for (; i < n; i++) total += luma(r[i], g[i], b[i]);
  for (int j = 0; j < 16; j++) total += sum[j];
  return total;
}

// pass does count operations piece by piece of the image, so that a pixel comes once from memory for all of them. It
// gives the mean of the grey image after them where that is wanted, else 0.
static float pass(float *planes, long n, const step *steps, int count, float mean, bool wanted) {
  const int piece = 1024; // its planes stay in the first-level cache
  double sum = 0;
  for (long at = 0; at < n; at += piece) {
    const int m = n - at < piece ? (int)(n - at) : piece;
    float *r = planes + at, *g = r + n, *b = g + n;
    for (int i = 0; i < count; i++) switch (steps[i].operation) {
      case BRIGHTNESS: brightness(r, g, b, m, steps[i].factor); break;
      case CONTRAST: contrast(r, g, b, m, steps[i].factor, mean); break;
      case SATURATION: saturation(r, g, b, m, steps[i].factor); break;
      case HUE: hue(r, g, b, m, steps[i].factor); break;
      case GREY: grey(r, g, b, m); break;
      }
    if (wanted) sum += grey_sum(r, g, b, m);
  }
  return (float)(sum / (double)n);
}

static int next_contrast(const step *steps, int from, int count) {
  while (from < count && steps[from].operation != CONTRAST) from++;
  return from;
}

// color does all operations before a contrast in one pass, and then the contrast, which needs the mean of the whole
// image as it is then, with those after it.
static void color(float *planes, long n, const step *steps, int count) {
  int to = next_contrast(steps, 0, count);
  float mean = pass(planes, n, steps, to, 0, to < count);
  while (to < count) {
    const int from = to;
    to = next_contrast(steps, from + 1, count);
    mean = pass(planes, n, steps + from, to - from, mean, to < count);
  }
}
