// The C interface of the CPU engine's kernels.
//
// Activations (N, C, H, W) lie in memory as N × C/b × H·W × b values for a block b of channels: b = 1 is
// NCHW, b = C is NHWC, b = 8 or 16 are oneDNN's blocked layouts. (N, C) matrices are b = C with H·W = 1.
// Values are float, or bfloat16 where half is not 0; pointers to either are void.
#pragma once
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int n, c, hw, b, half;
} layout;

// engine
const char *last_error(void);
int out_of_memory(void);             // is what the last error was
int engine_init(int threads);        // on the thread that will run everything
int preferred_block(int channels);   // layout that oneDNN computes with
const char *isa_name(void);
const char *dnnl_version_name(void);
void *alloc_aligned(long bytes);     // zeroed, or null
void free_aligned(void *p);

// convolution; every function returns 0 or sets last_error. Activations are NCHW (1), blocked (8, 16) or
// NHWC, which has a name here: a block of 16 is either where there are 16 channels. half: they are bfloat16
// and the products too, summed in float. Weights (w) and their gradient (dw) are float OIHW; y is the
// convolution's result or its gradient, x what it reads or that's gradient.
enum { NHWC = 0 };
enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS };
typedef struct {
  int n, c, h, w, o, k, stride, pad, src_block, dst_block, half, winograd;
} conv_shape;
void *conv_new(conv_shape);
void conv_free(void *conv);
// bytes that a pass needs for weights in its own layout, and for scratch
int conv_prepare(void *conv, int pass, long *weights, long *scratch);
int conv_run(void *conv, int pass, const void *x, const float *w, const void *y, float *dw, void *weights, void *scratch);

// 3×3 convolutions of stride 1 and pad 1 between blocks of 16 channels by Winograd's algorithm; as conv_prepare and
// conv_run
void winograd_room(conv_shape s, int direction, long *weights, long *scratch);
void winograd_run(conv_shape s, int direction, const void *x, const float *w, const void *y, float *dw, void *weights, void *scratch);
// the same where there are many channels, in blocks of 32, and few tiles
void winograd_wide_room(conv_shape s, int direction, long *scratch);
void winograd_wide_run(conv_shape s, int direction, const void *x, const float *w, const void *y, float *dw, void *scratch);

// matrices, row-major: c (m, n) = a·b + beta·c; ta and tb transpose
int gemm(int ta, int tb, long m, long n, long k, const float *a, const float *b, float beta, float *c);

// channels
void channel_stats(layout l, const void *x, double *scratch, float *stats);
void channel_moments(layout l, const void *x, double *scratch, double *stats); // as channel_stats
// dy, 0 where a ReLU's result is not positive: it is y, or where y is null scale·x + shift; no ReLU where
// both are null
typedef struct {
  const void *dy, *y;
  const float *scale, *shift;
} gradient;
// s1 = Σ dy, s2 = Σ dy·(x − mean)
void channel_sums(layout l, const void *x, const float *mean, gradient dy, double *scratch, float *s1, float *s2);
// dx = a·dy + b·x + c
void channel_backward(layout l, const void *x, gradient dy, const float *a, const float *b, const float *c, void *dx);
// y = scale·x + shift (+ r) (, ReLU)
void channel_affine(layout l, const void *x, const float *scale, const float *shift, const void *r, int relu, void *y);
void pool(layout l, const void *x, float *y);
void pool_grad(layout l, const float *dy, void *dx);
// windows of size × size values, of an image of h × w values with so many rows and columns of padding before and after
typedef struct {
  int h, w, size, stride, before, after;
} pooling;
void max_pool(layout l, pooling o, const void *x, void *y);
void max_pool_grad(layout l, pooling o, const void *x, const void *dy, void *dx);
// means; padding counts as zeros, or not at all. l is the image's layout
void average_pool(layout l, pooling o, int count_zeros, const void *x, void *y);
void average_pool_grad(layout l, pooling o, int count_zeros, const void *dy, void *dx);
void relayout(layout from, int to_block, int to_half, const void *x, void *y);

// elementwise
void relu(long n, int is_half, const void *x, void *y);
// dx = dy (+ more) where y is positive, else 0
void relu_grad(long n, int is_half, const void *y, const void *dy, const void *more, void *dx);
void softplus(long n, const float *x, float *y);
void softplus_grad(long n, const float *x, const float *dy, float *dx);
void add(long n, int is_half, const void *a, const void *b, void *y);
// y = a·x1 + b·x2 + c·x3, x3 may be null
void combine(long n, float a, const float *x1, float b, const float *x2, float c, const float *x3, float *y);
// Σw² and Σ(g + decay·w)²
void norms(long n, const float *w, const float *g, float decay, double *out);
void add_bias(long n, long o, const float *x, const float *b, float *y);

// two streams of c channels each, one after the other
void sum_streams(long n, long c, const float *x, float *y);
void repeat_streams(long n, long c, const float *x, float *y);
void stream_softmax(long n, long c, const float *x, float *y);
void stream_softmax_grad(long n, long c, const float *y, const float *dy, float *dx);
// l is one stream's layout, x and dx have both, a and da a value for each of their channels
void mix_streams(layout l, const void *x, const float *a, void *y);
// dx = a·dy + more/(H·W); more has a value for each channel too, or is null
void mix_streams_grad_input(layout l, const float *a, const float *more, const void *dy, void *dx);
void mix_streams_grad_weight(layout l, const void *x, const void *dy, float *da);

// NT-Xent of z: the loss, the contrastive accuracy in [0, 1], and, where dz is not null, dloss times the gradient. u is
// scratch of rows·d, block of block_rows·rows floats.
int ntxent(long rows, long d, float temperature, const float *z, float *u, long block_rows, float *block, double *loss,
           double *accuracy, float dloss, float *dz);
void softmax_rows(long rows, long first, long count, float temperature, float *block, double *losses, int *right);
#ifdef __cplusplus
}
#endif
