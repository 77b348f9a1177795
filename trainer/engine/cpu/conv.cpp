// Convolution on oneDNN: primitives are made once, on the thread that runs them, with scratch memory of
// our own (oneDNN's belongs to threads). Activations have the layout that the caller names; weights take
// the layout the kernel likes best and are reordered from and to OIHW.
#include <dnnl.hpp>
#include <omp.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "shim.h"

using namespace dnnl;
using tag = memory::format_tag;

namespace {
thread_local std::string error_text;
thread_local bool error_of_memory;

int failed(const std::string &what, bool of_memory) {
  error_text = what;
  error_of_memory = of_memory;
  return 1;
}

engine &cpu() {
  static engine e(engine::kind::cpu, 0);
  return e;
}
stream &queue() {
  static stream s(cpu());
  return s;
}

template <class F> int guarded(F f) {
  try {
    f();
    return 0;
  } catch (const error &e) {
    return failed(e.what(), e.status == dnnl_out_of_memory);
  } catch (const std::bad_alloc &e) {
    return failed(e.what(), true);
  } catch (const std::exception &e) {
    return failed(e.what(), false);
  }
}

tag activation_tag(int block) {
  if (block == 16) return tag::nChw16c;
  if (block == 8) return tag::nChw8c;
  return block == NHWC ? tag::nhwc : tag::nchw;
}

memory::desc activation(int n, int c, int h, int w, int block) {
  return {{n, c, h, w}, memory::data_type::f32, activation_tag(block)};
}

memory borrowed(const memory::desc &d, const float *p) { return memory(d, cpu(), const_cast<float *>(p)); }

struct Conv {
  memory::desc src, dst, plain, any;
  memory::dims strides, padding;
  convolution_forward::primitive_desc fpd;
  convolution_forward fwd;
  convolution_backward_data::primitive_desc dpd;
  convolution_backward_data bwd_data;
  convolution_backward_weights::primitive_desc wpd;
  convolution_backward_weights bwd_weights;
  bool has_data = false, has_weights = false;
  memory weights, scratch;
  primitive_attr attr;

  Conv(int n, int c, int h, int w, int o, int k, int stride, int pad, int sb, int db)
      : src(activation(n, c, h, w, sb)),
        dst(activation(n, o, (h + 2 * pad - k) / stride + 1, (w + 2 * pad - k) / stride + 1, db)),
        plain({o, c, k, k}, memory::data_type::f32, tag::oihw), any({o, c, k, k}, memory::data_type::f32, tag::any),
        strides{stride, stride}, padding{pad, pad} {
    attr.set_scratchpad_mode(scratchpad_mode::user);
    convolution_forward::desc d(prop_kind::forward_training, algorithm::convolution_direct, src, any, dst, strides, padding, padding);
    fpd = {d, attr, cpu()};
    fwd = convolution_forward(fpd);
  }

  // weights in the layout d, from OIHW
  memory &reordered(const memory::desc &d, const float *w) {
    if (!weights || weights.get_desc() != d) weights = memory(d, cpu());
    auto from = borrowed(plain, w);
    reorder(from, weights).execute(queue(), from, weights);
    return weights;
  }

  memory &scratchpad(const memory::desc &d) {
    if (!scratch || scratch.get_desc().get_size() < d.get_size()) scratch = memory(d, cpu());
    return scratch;
  }

  void forward(const float *x, const float *w, float *y) {
    auto &ws = reordered(fpd.weights_desc(), w);
    fwd.execute(queue(), {{DNNL_ARG_SRC, borrowed(src, x)}, {DNNL_ARG_WEIGHTS, ws}, {DNNL_ARG_DST, borrowed(dst, y)},
                          {DNNL_ARG_SCRATCHPAD, scratchpad(fpd.scratchpad_desc())}});
    queue().wait();
  }

  void data(const float *w, const float *dy, float *dx) {
    if (!has_data) {
      convolution_backward_data::desc d(algorithm::convolution_direct, src, any, dst, strides, padding, padding);
      dpd = {d, attr, cpu(), fpd};
      bwd_data = convolution_backward_data(dpd);
      has_data = true;
    }
    auto &ws = reordered(dpd.weights_desc(), w);
    bwd_data.execute(queue(), {{DNNL_ARG_DIFF_DST, borrowed(dst, dy)}, {DNNL_ARG_WEIGHTS, ws}, {DNNL_ARG_DIFF_SRC, borrowed(src, dx)},
                               {DNNL_ARG_SCRATCHPAD, scratchpad(dpd.scratchpad_desc())}});
    queue().wait();
  }

  void gradient(const float *x, const float *dy, float *dw) {
    if (!has_weights) {
      convolution_backward_weights::desc d(algorithm::convolution_direct, src, any, dst, strides, padding, padding);
      wpd = {d, attr, cpu(), fpd};
      bwd_weights = convolution_backward_weights(wpd);
      has_weights = true;
    }
    auto to = borrowed(plain, dw);
    if (!weights || weights.get_desc() != wpd.diff_weights_desc()) weights = memory(wpd.diff_weights_desc(), cpu());
    bwd_weights.execute(queue(), {{DNNL_ARG_SRC, borrowed(src, x)}, {DNNL_ARG_DIFF_DST, borrowed(dst, dy)}, {DNNL_ARG_DIFF_WEIGHTS, weights},
                                  {DNNL_ARG_SCRATCHPAD, scratchpad(wpd.scratchpad_desc())}});
    reorder(weights, to).execute(queue(), weights, to);
    queue().wait();
  }
};
} // namespace

extern "C" {
const char *last_error(void) { return error_text.c_str(); }
int out_of_memory(void) { return error_of_memory; }

int engine_init(int threads) {
  return guarded([&] {
    omp_set_dynamic(0);
    omp_set_num_threads(threads);
    queue();
  });
}

const char *isa_name(void) {
  switch (get_effective_cpu_isa()) {
  case cpu_isa::sse41: return "sse4.1";
  case cpu_isa::avx: return "avx";
  case cpu_isa::avx2: return "avx2";
  case cpu_isa::avx512_core: return "avx512_core";
  case cpu_isa::avx512_core_vnni: return "avx512_core_vnni";
  case cpu_isa::avx512_core_bf16: return "avx512_core_bf16";
  default: return get_effective_cpu_isa() > cpu_isa::avx512_core ? "avx512_core+" : "other";
  }
}

const char *dnnl_version_name(void) {
  static const std::string v = std::to_string(version()->major) + "." + std::to_string(version()->minor) + "." + std::to_string(version()->patch);
  return v.c_str();
}

int preferred_block(int channels) {
  static const bool wide = get_effective_cpu_isa() >= cpu_isa::avx512_core;
  if (wide && channels % 16 == 0) return 16;
  return channels % 8 == 0 ? 8 : channels;
}

void *alloc_aligned(long bytes) {
  const long size = (bytes + 4095) / 4096 * 4096; // aligned_alloc wants a multiple; pages suit huge ones
  void *p = aligned_alloc(4096, size);
  if (p) memset(p, 0, size);
  return p;
}
void free_aligned(void *p) { free(p); }

void *conv_new(int n, int c, int h, int w, int o, int k, int stride, int pad, int sb, int db) {
  Conv *p = nullptr;
  guarded([&] { p = new Conv(n, c, h, w, o, k, stride, pad, sb, db); });
  return p;
}
void conv_free(void *p) { delete static_cast<Conv *>(p); }
int conv_forward(void *p, const float *x, const float *w, float *y) { return guarded([&] { static_cast<Conv *>(p)->forward(x, w, y); }); }
int conv_backward_data(void *p, const float *w, const float *dy, float *dx) { return guarded([&] { static_cast<Conv *>(p)->data(w, dy, dx); }); }
int conv_backward_weights(void *p, const float *x, const float *dy, float *dw) { return guarded([&] { static_cast<Conv *>(p)->gradient(x, dy, dw); }); }

int gemm(int ta, int tb, long m, long n, long k, const float *a, const float *b, float beta, float *c) {
  const auto s = dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1.f, a, ta ? m : k, b, tb ? k : n, beta, c, n);
  return s == dnnl_success ? 0 : failed("dnnl_sgemm failed with status " + std::to_string(s), s == dnnl_out_of_memory);
}
}
