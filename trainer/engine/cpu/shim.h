// The C interface of the CPU engine's kernels.
//
// Activations (N, C, H, W) lie in memory as N × C/b × H·W × b floats for a block b of channels: b = 1 is
// NCHW, b = C is NHWC, b = 8 or 16 are oneDNN's blocked layouts. (N, C) matrices are b = C with H·W = 1.
#pragma once
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int n, c, hw, b;
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
// NHWC, which has a name here: a block of 16 is either where there are 16 channels.
enum { NHWC = 0 };
void *conv_new(int n, int c, int h, int w, int o, int k, int stride, int pad, int src_block, int dst_block);
void conv_free(void *conv);
int conv_forward(void *conv, const float *x, const float *w, float *y);
int conv_backward_data(void *conv, const float *w, const float *dy, float *dx);
int conv_backward_weights(void *conv, const float *x, const float *dy, float *dw);

// matrices, row-major: c (m, n) = a·b + beta·c; ta and tb transpose
int gemm(int ta, int tb, long m, long n, long k, const float *a, const float *b, float beta, float *c);

// channels
void channel_stats(layout l, const float *x, double *scratch, float *stats);
// s1 = Σ dy', s2 = Σ dy'·(x − mean), dy' = dy where y is null or positive
void channel_sums(layout l, const float *x, const float *mean, const float *dy, const float *y, double *scratch, float *s1, float *s2);
// y = scale·x + shift (+ r) (, ReLU)
void channel_affine(layout l, const float *x, const float *scale, const float *shift, const float *r, int relu, float *y);
// dx = a·dy' + b·x + c
void channel_backward(layout l, const float *x, const float *dy, const float *y, const float *a, const float *b, const float *c, float *dx);
void pool(layout l, const float *x, float *y);
void pool_grad(layout l, const float *dy, float *dx);
void relayout(layout from, int to_block, const float *x, float *y);

// elementwise
void relu(long n, const float *x, float *y);
void relu_grad(long n, const float *y, const float *dy, float *dx);
void softplus(long n, const float *x, float *y);
void softplus_grad(long n, const float *x, const float *dy, float *dx);
void add(long n, const float *a, const float *b, float *y);
// y = a·x1 + b·x2 + c·x3, x3 may be null
void combine(long n, float a, const float *x1, float b, const float *x2, float c, const float *x3, float *y);
// Σw² and Σ(g + decay·w)²
void norms(long n, const float *w, const float *g, float decay, double *out);
void add_bias(long n, long o, const float *x, const float *b, float *y);

// NT-Xent: u is scratch of rows·d, block scratch of block_rows·rows floats
int ntxent(long rows, long d, float temperature, const float *z, float *u, long block_rows, float *block, double *loss);
int ntxent_grad(long rows, long d, float temperature, float dloss, const float *z, float *u, long block_rows, float *block, float *dz);
int contrastive_accuracy(long rows, long d, const float *z, float *u, long block_rows, float *block, float *accuracy);
#ifdef __cplusplus
}
#endif
