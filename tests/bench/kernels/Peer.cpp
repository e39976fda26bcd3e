//===- Peer.cpp - the same work in oneDNN ---------------------------------===//
#include "Peer.h"

#include <dnnl.hpp>
#include <memory>
#include <unordered_map>

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

Execution peerOf(const RowKernel &r) {
  const memory::desc desc({r.rows, r.columns}, Type::f32, Tag::ab), row({r.columns}, Type::f32, Tag::a);
  const prop_kind inference = prop_kind::forward_inference;
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, filled(desc)}, {DNNL_ARG_DST, filled(desc)}};
  auto execution = [&](primitive made) -> Execution {
    return [=, stream = std::make_shared<stream>(cpu())] {
      made.execute(*stream, arguments);
      stream->wait();
    };
  };
  auto eltwise = [&](algorithm kind) {
    return execution(eltwise_forward({{inference, kind, desc, 0, 0}, cpu()}));
  };
  switch (r.kind) {
  case RowKernel::Softmax:
    return execution(softmax_v2_forward({{inference, algorithm::softmax_accurate, desc, desc, 1}, cpu()}));
  case RowKernel::LayerNorm:
    arguments.insert({{DNNL_ARG_SCALE, filled(row)}, {DNNL_ARG_SHIFT, filled(row)}});
    return execution(layer_normalization_forward(
        {{inference, desc, 1e-5f, normalization_flags::use_scale | normalization_flags::use_shift}, cpu()}));
  case RowKernel::Gelu:
    return eltwise(algorithm::eltwise_gelu_erf);
  case RowKernel::Tanh:
    return eltwise(algorithm::eltwise_tanh);
  case RowKernel::Add:
    arguments = {
        {DNNL_ARG_SRC_0, filled(desc)}, {DNNL_ARG_SRC_1, filled(desc)}, {DNNL_ARG_DST, filled(desc)}};
    return execution(binary({{algorithm::binary_add, desc, desc, desc}, cpu()}));
  }
  return {};
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
