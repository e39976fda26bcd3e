//===- Peer.cpp - the same work in oneDNN ---------------------------------===//
#include "Peer.h"

#include <dnnl.hpp>
#include <memory>

using namespace dnnl;
using Type = memory::data_type;
using Tag = memory::format_tag;

namespace tilewright::bench {
namespace {

engine &cpu() {
  static engine one(engine::kind::cpu, 0);
  return one;
}

memory filled(const memory::desc &desc) {
  memory result(desc, cpu());
  auto *values = static_cast<float *>(result.get_data_handle());
  for (size_t i = 0; i < desc.get_size() / sizeof(float); ++i)
    values[i] = float(i % 7) - 3;
  return result;
}

template <class Primitive>
Execution execution(Primitive primitive, const memory::desc &left, const memory::desc &right,
                    const memory::desc &result) {
  return
      [=, stream = std::make_shared<stream>(cpu()), a = filled(left), b = filled(right), c = filled(result)] {
        primitive.execute(*stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
        stream->wait();
      };
}

Execution product(const memory::desc &a, const memory::desc &b, const memory::desc &c) {
  const matmul::primitive_desc primitive(matmul::desc(a, b, c), cpu());
  return execution(matmul(primitive), primitive.src_desc(), primitive.weights_desc(), primitive.dst_desc());
}

} // namespace

Execution peerOf(const MatrixProduct &p) {
  return product({{p.m, p.k}, Type::f32, Tag::ab}, {{p.k, p.n}, Type::f32, Tag::any},
                 {{p.m, p.n}, Type::f32, Tag::ab});
}

Execution peerOf(const Convolution &c) {
  const int64_t out = c.outputSize(), high = (out - 1) * c.stride + c.taps - c.size - c.pad;
  const memory::dims weights =
      c.groups > 1 ? memory::dims{c.groups, c.outputs / c.groups, c.channels / c.groups, c.taps, c.taps}
                   : memory::dims{c.outputs, c.channels, c.taps, c.taps};
  const convolution_forward::primitive_desc primitive(
      {prop_kind::forward_inference,
       algorithm::convolution_direct,
       {{c.images, c.channels, c.size, c.size}, Type::f32, Tag::any},
       {weights, Type::f32, Tag::any},
       {{c.images, c.outputs, out, out}, Type::f32, Tag::any},
       {c.stride, c.stride},
       {c.pad, c.pad},
       {high, high}},
      cpu());
  return execution(convolution_forward(primitive), primitive.src_desc(), primitive.weights_desc(),
                   primitive.dst_desc());
}

Execution peerOf(const Attention &a) {
  const int64_t row = a.heads * a.size;
  const memory::dims heads{a.sequence * row, a.size, row, 1}, transposed{a.sequence * row, a.size, 1, row};
  const memory::dims squares{a.heads * a.sequence * a.sequence, a.sequence * a.sequence, a.sequence, 1};
  const memory::dims wide{a.batch, a.heads, a.sequence, a.size}, tall{a.batch, a.heads, a.size, a.sequence},
      square{a.batch, a.heads, a.sequence, a.sequence};
  const memory::desc rows(wide, Type::f32, heads), scores(square, Type::f32, squares);
  return a.scores ? product(rows, {tall, Type::f32, transposed}, scores) : product(scores, rows, rows);
}

} // namespace tilewright::bench
