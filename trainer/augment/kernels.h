// The C interface of the kernels that make views.
//
// An image is RGB, 8 bits a channel, row by row. A view is three planes (red, green, blue) of size · size
// floats in [0,1]. Levels of instruction sets differ in speed only: every value is the same, to the last bit.
#pragma once
#ifdef __cplusplus
extern "C" {
#endif

enum level { BASELINE, AVX2, AVX512 };
int best_level(void); // that this machine has

// A part of one axis of an image that is resized: from origin on, extent long, in pixels, of which [first, last)
// are looked at.
typedef struct {
  double origin, extent;
  int first, last;
} span;

enum filter { BICUBIC, BILINEAR };

// resize a part of an image whose rows are stride bytes apart, antialiased, mirrored where flip is set. scratch
// has resize_scratch floats.
long resize_scratch(span x, span y, int size, int filter);
void resize(int level, const unsigned char *pix, long stride, span x, span y, int size, int filter, int flip, float *scratch, float *dst);

// One operation on the colours of n pixels.
enum operation { BRIGHTNESS, CONTRAST, SATURATION, HUE, GREY };
typedef struct {
  int operation;
  float factor; // of HUE the sixths of a turn, from 0 to 6; of GREY nothing
} step;
void color(int level, float *planes, long n, const step *steps, int count);

// blur convolves the three planes with a symmetric kernel, kernel[0] its centre, in both directions, with zeros
// around. scratch has blur_scratch floats.
long blur_scratch(int size, int radius);
void blur(int level, float *planes, int size, const float *kernel, int radius, float *scratch);

#ifdef __cplusplus
}
#endif
