// Convolution on oneDNN: primitives are made once, on the thread that runs them, with scratch memory of
// the caller's (oneDNN's belongs to threads). Activations have the layout and type that the caller names;
// weights take those that the kernel likes best and are reordered from and to float OIHW.
#include <dnnl.hpp>
#include <omp.h>
#include <sys/mman.h>

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

memory::desc activation(int n, int c, int h, int w, int block, int half) {
  return {{n, c, h, w}, half ? memory::data_type::bf16 : memory::data_type::f32, activation_tag(block)};
}

memory borrowed(const memory::desc &d, const void *p) { return memory(d, cpu(), const_cast<void *>(p)); }

// One direction of a convolution: its primitive, and the layout it likes weights in.
struct Pass {
  bool ready = false;
  primitive kernel;
  memory::desc weights, scratch;
  reorder move; // weights from OIHW, or their gradient to it

  template <class Description> void take(const Description &d, const memory::desc &w) {
    kernel = primitive(d);
    weights = w;
    scratch = d.scratchpad_desc();
    ready = true;
  }
};

struct Conv {
  conv_shape s;
  memory::desc src, dst, plain, any, any_gradient;
  memory::dims strides, padding;
  Pass passes[3];
  primitive_attr attr;

  explicit Conv(conv_shape s)
      : s(s), src(activation(s.n, s.c, s.h, s.w, s.src_block, s.half)),
        dst(activation(s.n, s.o, (s.h + 2 * s.pad - s.k) / s.stride + 1, (s.w + 2 * s.pad - s.k) / s.stride + 1, s.dst_block, s.half)),
        plain({s.o, s.c, s.k, s.k}, memory::data_type::f32, tag::oihw),
        any({s.o, s.c, s.k, s.k}, s.half ? memory::data_type::bf16 : memory::data_type::f32, tag::any),
        any_gradient({s.o, s.c, s.k, s.k}, memory::data_type::f32, tag::any), strides{s.stride, s.stride}, padding{s.pad, s.pad} {
    attr.set_scratchpad_mode(scratchpad_mode::user);
  }

  convolution_forward::primitive_desc forward_description(algorithm how) {
    return {{prop_kind::forward_training, how, src, any, dst, strides, padding, padding}, attr, cpu()};
  }

  void make(Pass &p, int pass, algorithm how) {
    const auto hint = forward_description(how);
    if (pass == FORWARD) {
      p.take(hint, hint.weights_desc());
      p.move = reorder({cpu(), plain, cpu(), p.weights});
    } else if (pass == BACKWARD_DATA) {
      const convolution_backward_data::primitive_desc d({how, src, any, dst, strides, padding, padding}, attr, cpu(), hint);
      p.take(d, d.weights_desc());
      p.move = reorder({cpu(), plain, cpu(), p.weights});
    } else {
      const convolution_backward_weights::primitive_desc d({how, src, any_gradient, dst, strides, padding, padding}, attr, cpu(), hint);
      p.take(d, d.diff_weights_desc());
      p.move = reorder({cpu(), p.weights, cpu(), plain});
    }
  }

  // Winograd where it is asked for and oneDNN has it, else the direct algorithm
  Pass &prepare(int pass) {
    Pass &p = passes[pass];
    if (p.ready) return p;
    if (s.winograd) {
      try {
        make(p, pass, algorithm::convolution_winograd);
        return p;
      } catch (const error &e) {
        if (e.status != dnnl_unimplemented) throw;
      }
    }
    make(p, pass, algorithm::convolution_direct);
    return p;
  }

  void run(int pass, const void *x, const float *w, const void *y, float *dw, void *weights, void *scratch) {
    Pass &p = prepare(pass);
    auto inner = borrowed(p.weights, weights), pad = borrowed(p.scratch, scratch);
    auto outer = borrowed(plain, pass == BACKWARD_WEIGHTS ? dw : w);
    if (pass != BACKWARD_WEIGHTS) p.move.execute(queue(), outer, inner);
    switch (pass) {
    case FORWARD:
      p.kernel.execute(queue(), {{DNNL_ARG_SRC, borrowed(src, x)}, {DNNL_ARG_WEIGHTS, inner}, {DNNL_ARG_DST, borrowed(dst, y)}, {DNNL_ARG_SCRATCHPAD, pad}});
      break;
    case BACKWARD_DATA:
      p.kernel.execute(queue(), {{DNNL_ARG_DIFF_DST, borrowed(dst, y)}, {DNNL_ARG_WEIGHTS, inner}, {DNNL_ARG_DIFF_SRC, borrowed(src, x)}, {DNNL_ARG_SCRATCHPAD, pad}});
      break;
    default:
      p.kernel.execute(queue(), {{DNNL_ARG_SRC, borrowed(src, x)}, {DNNL_ARG_DIFF_DST, borrowed(dst, y)}, {DNNL_ARG_DIFF_WEIGHTS, inner}, {DNNL_ARG_SCRATCHPAD, pad}});
      p.move.execute(queue(), inner, outer);
    }
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
  const long huge = 2 << 20, page = bytes < huge ? 4096 : huge;
  const long size = (bytes + page - 1) / page * page; // aligned_alloc wants a multiple
  void *p = aligned_alloc(page, size);
  if (!p) return p;
  if (page == huge) madvise(p, size, MADV_HUGEPAGE);
  memset(p, 0, size);
  return p;
}
void free_aligned(void *p) { free(p); }

void *conv_new(conv_shape s) {
  Conv *p = nullptr;
  guarded([&] { p = new Conv(s); });
  return p;
}
void conv_free(void *p) { delete static_cast<Conv *>(p); }
int conv_prepare(void *p, int pass, long *weights, long *scratch) {
  return guarded([&] {
    const Pass &q = static_cast<Conv *>(p)->prepare(pass);
    *weights = q.weights.get_size();
    *scratch = q.scratch.get_size();
  });
}
int conv_run(void *p, int pass, const void *x, const float *w, const void *y, float *dw, void *weights, void *scratch) {
  return guarded([&] { static_cast<Conv *>(p)->run(pass, x, w, y, dw, weights, scratch); });
}

int gemm(int ta, int tb, long m, long n, long k, const float *a, const float *b, float beta, float *c) {
  const auto s = dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1.f, a, ta ? m : k, b, tb ? k : n, beta, c, n);
  return s == dnnl_success ? 0 : failed("dnnl_sgemm failed with status " + std::to_string(s), s == dnnl_out_of_memory);
}
}
