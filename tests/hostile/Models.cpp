#include "tests/hostile/Models.h"

#include <algorithm>
#include <functional>

using namespace tilewright::onnxwriter;
using tilewright::onnx::ElementType;

namespace tilewright::hostile {

//===--- Damage ------------------------------------------------------------------------===//

int64_t Damage::number(int64_t value) {
  static constexpr int64_t troublesome[] = {
      0, 1, -1, 2, 3, 7, 64, 65536, INT32_MAX, int64_t(1) << 40, INT64_MAX, INT64_MIN};
  if (!strikes())
    return value;
  if (random() % 2)
    return value + int64_t(random() % 5) - 2;
  return troublesome[random() % std::size(troublesome)];
}

std::string Damage::name(const std::string &value) {
  if (!value.empty())
    names.push_back(value);
  return strikes() ? (names.empty() || random() % 8 == 0 ? "" : names[random() % names.size()]) : value;
}

std::string Damage::op(const std::string &value) {
  static const std::vector<std::string> others = {
      "Add",       "MatMul",    "Conv",  "Reshape", "Gather",     "Concat",          "Softmax",
      "Transpose", "ReduceSum", "Where", "Cast",    "Shape",      "Squeeze",         "Expand",
      "LSTM",      "Slice",     "Pad",   "TopK",    "NonZero",    "ScatterND",       "Resize",
      "MaxPool",   "Identity",  "Range", "Tile",    "SequenceAt", "SplitToSequence", "Optional"};
  return strikes() ? others[random() % others.size()] : value;
}

ElementType Damage::type(ElementType value) { return strikes() ? ElementType(random() % 26) : value; }

std::vector<int64_t> Damage::numbers(std::vector<int64_t> values) {
  for (int64_t &value : values)
    value = number(value);
  if (strikes())
    values.push_back(number(1));
  if (strikes() && !values.empty())
    values.pop_back();
  return values;
}

std::string editBytes(std::string bytes, std::mt19937 &random) {
  auto below = [&](size_t bound) { return bound ? random() % bound : 0; };
  for (size_t edits = 1 + below(8); edits > 0 && !bytes.empty(); --edits) {
    size_t at = below(bytes.size()), length = 1 + below(8);
    switch (below(8)) {
    case 0:
      bytes.insert(at, length, char(random()));
      break;
    case 1:
      bytes.erase(at, length);
      break;
    case 2:
      bytes.insert(below(bytes.size()), bytes.substr(at, 8 * length));
      break;
    case 3:
      if (below(8) == 0)
        bytes.resize(at);
      break;
    default: // lengths stay, so most of these get through the reader
      bytes[at] = below(2) ? char(random()) : char(bytes[at] ^ 1 << below(8));
      break;
    }
  }
  return bytes;
}

//===--- Models ------------------------------------------------------------------------===//

namespace {

/// GraphWriter, with everything through the damage.
class Builder {
public:
  explicit Builder(Damage &d) : d(d) {}
  Builder &input(const std::string &name, ElementType type, Shape shape) {
    for (Dim &dim : shape)
      if (auto *size = std::get_if<int64_t>(&dim.value))
        *size = d.number(*size);
    graph.input(d.name(name), d.type(type), shape);
    return *this;
  }
  /// Float weights 0.5, -0.25, 0.125, ... of the shape before damage.
  Builder &weights(const std::string &name, const std::vector<int64_t> &dims) {
    size_t count = 1;
    for (int64_t size : dims)
      count *= size_t(size);
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i)
      values[i] = (i % 2 ? -1.0f : 1.0f) / float(2 + i % 7);
    graph.initializer(tensorFloatData(d.name(name), ElementType::Float32, d.numbers(dims), values));
    return *this;
  }
  Builder &ints(const std::string &name, std::vector<int64_t> values) {
    values = d.numbers(values);
    graph.initializer(tensorInt64Data(d.name(name), {d.number(int64_t(values.size()))}, values));
    return *this;
  }
  Builder &bytes(const std::string &name, ElementType type, const std::vector<int64_t> &dims,
                 const std::string &values) {
    graph.initializer(tensorRaw(d.name(name), type, d.numbers(dims), values));
    return *this;
  }
  Builder &node(const std::string &op, Names inputs, Names outputs, const Messages &attributes = {}) {
    for (std::string &name : inputs)
      name = d.name(name);
    graph.node(d.op(op), inputs, outputs, attributes);
    return *this;
  }
  Builder &output(const std::string &name) {
    graph.output(name);
    return *this;
  }
  std::string axis(const std::string &name, int64_t value) { return attributeInt(name, d.number(value)); }
  std::string list(const std::string &name, const std::vector<int64_t> &values) {
    return attributeInts(name, d.numbers(values));
  }
  Damage &d;
  GraphWriter graph{"g"};
};

void perceptron(Builder &b) {
  b.input("x", ElementType::Float32, {"N", 8})
      .weights("w", {8, 16})
      .weights("bias", {16})
      .weights("v", {16, 4});
  b.node("MatMul", {"x", "w"}, {"h"}).node("Add", {"h", "bias"}, {"a"}).node("Relu", {"a"}, {"r"});
  b.node("Gemm", {"r", "v"}, {"g"}, {b.axis("transB", 0)})
      .node("Softmax", {"g"}, {"y"}, {b.axis("axis", -1)})
      .output("y");
}

void convolution(Builder &b) {
  b.input("x", ElementType::Float32, {1, 3, 12, 12})
      .weights("w", {4, 3, 3, 3})
      .weights("depthwise", {4, 1, 3, 3});
  b.node("Conv", {"x", "w"}, {"c"},
         {b.list("pads", {1, 1, 1, 1}), b.list("strides", {1, 1}), b.list("kernel_shape", {3, 3})});
  b.node("Conv", {"c", "depthwise"}, {"e"}, {b.axis("group", 4), b.list("dilations", {2, 2})});
  b.node("MaxPool", {"e"}, {"p"},
         {b.list("kernel_shape", {2, 2}), b.list("strides", {2, 2}), b.axis("ceil_mode", 1)});
  b.node("GlobalAveragePool", {"p"}, {"q"}).node("Flatten", {"q"}, {"y"}, {b.axis("axis", 1)}).output("y");
}

void movement(Builder &b) {
  b.input("x", ElementType::Float32, {2, "L", 6})
      .ints("shape", {2, -1, 3})
      .ints("starts", {0})
      .ints("ends", {4})
      .ints("axes", {1});
  b.ints("steps", {1}).ints("pads", {0, 1, 0, 0, 1, 0}).ints("pick", {1, 0, 1}).ints("repeats", {1, 2, 1});
  b.node("Reshape", {"x", "shape"}, {"r"}).node("Slice", {"r", "starts", "ends", "axes", "steps"}, {"s"});
  b.node("Pad", {"s", "pads"}, {"p"}).node("Gather", {"p", "pick"}, {"g"}, {b.axis("axis", 0)});
  b.node("Transpose", {"g"}, {"t"}, {b.list("perm", {1, 0, 2})}).node("Tile", {"t", "repeats"}, {"u"});
  b.node("Concat", {"u", "u"}, {"c"}, {b.axis("axis", 2)})
      .node("Split", {"c"}, {"y", "z"}, {b.axis("axis", 2)})
      .output("y")
      .output("z");
}

void dataDependent(Builder &b) {
  b.input("x", ElementType::Float32, {5, 4})
      .ints("at", {0, 1, 3, 2})
      .ints("two", {2, 2})
      .weights("updates", {2})
      .ints("k", {3});
  b.node("NonZero", {"x"}, {"n"})
      .node("Reshape", {"at", "two"}, {"where"})
      .node("ScatterND", {"x", "where", "updates"}, {"s"});
  b.node("TopK", {"s", "k"}, {"values", "order"}, {b.axis("axis", -1), b.axis("largest", 1)});
  b.node("Shape", {"n"}, {"size"}).node("ConstantOfShape", {"size"}, {"zeros"});
  b.node("GatherElements", {"s", "order"}, {"y"}, {b.axis("axis", 1)}).output("y").output("zeros");
}

void sequences(Builder &b) {
  b.input("x", ElementType::Float32, {3, 4}).ints("last", {-1}).ints("parts", {2, 2});
  b.node("SplitToSequence", {"x", "parts"}, {"s"}, {b.axis("axis", 1)})
      .node("SequenceAt", {"s", "last"}, {"piece"})
      .node("SequenceInsert", {"s", "piece", "last"}, {"t"})
      .node("SequenceErase", {"t"}, {"u"})
      .node("Optional", {"u"}, {"maybe"})
      .node("OptionalGetElement", {"maybe"}, {"v"})
      .node("ConcatFromSequence", {"v"}, {"y"}, {b.axis("axis", 0)})
      .node("SequenceLength", {"v"}, {"n"})
      .output("y")
      .output("n");
}

void control(Builder &b) {
  auto branch = [&](const char *op, const char *result) {
    return GraphWriter(result).node(b.d.op(op), {b.d.name("x")}, {result}).output(result).bytes();
  };
  GraphWriter body("body");
  body.input("i", ElementType::Int64, {})
      .input("going", ElementType::Bool, {})
      .input("state", ElementType::Float32, {3, 4});
  body.node("Identity", {b.d.name("going")}, {"more"})
      .node(b.d.op("Add"), {b.d.name("state"), b.d.name("x")}, {"next"});
  body.node("Identity", {"next"}, {"slice"}).output("more").output("next").output("slice");
  b.input("x", ElementType::Float32, {3, 4}).input("which", ElementType::Bool, {}).ints("trips", {3});
  b.node("If", {"which"}, {"chosen"},
         {attributeGraph("then_branch", branch("Relu", "a")),
          attributeGraph("else_branch", branch("Neg", "c"))});
  b.node("Loop", {"trips", "", "chosen"}, {"last", "all"}, {attributeGraph("body", body)})
      .output("last")
      .output("all");
}

void quantised(Builder &b) {
  b.input("x", ElementType::Float32, {4, 8}).bytes("w", ElementType::Int8, {8, 4}, std::string(32, '\x05'));
  b.bytes("zero", ElementType::Int8, {1}, std::string(1, '\0')).weights("scale", {1}).ints("flat", {4, 8});
  b.node("Reshape", {"x", "flat"}, {"f"}).node("DynamicQuantizeLinear", {"f"}, {"q", "s", "z"});
  b.node("MatMulInteger", {"q", "w", "z", "zero"}, {"sum"}).node("Cast", {"sum"}, {"c"}, {b.axis("to", 1)});
  b.node("Mul", {"c", "s"}, {"m"})
      .node("QuantizeLinear", {"m", "scale"}, {"u"})
      .node("DequantizeLinear", {"u", "scale"}, {"y"})
      .output("y");
}

void recurrent(Builder &b) {
  b.input("x", ElementType::Float32, {"T", 2, 3})
      .weights("w", {1, 16, 3})
      .weights("r", {1, 16, 4})
      .weights("gamma", {4});
  b.node("LSTM", {"x", "w", "r"}, {"all", "h", "c"}, {b.axis("hidden_size", 4)});
  b.node("LayerNormalization", {"h", "gamma"}, {"y"}, {b.axis("axis", -1)}).output("y").output("c");
}

using Build = void (*)(Builder &);
const std::vector<std::pair<std::string, Build>> builders = {
    {"perceptron", perceptron},        {"convolution", convolution}, {"movement", movement},
    {"data dependent", dataDependent}, {"control", control},         {"quantised", quantised},
    {"recurrent", recurrent},          {"sequences", sequences}};

} // namespace

const std::vector<std::string> &modelNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result;
    for (const auto &[name, build] : builders)
      result.push_back(name);
    return result;
  }();
  return names;
}

std::string buildModel(const std::string &name, Damage &damage) {
  Builder builder(damage);
  for (const auto &[known, build] : builders)
    if (known == name)
      build(builder);
  return ModelWriter(builder.graph).opset(17).bytes();
}

} // namespace tilewright::hostile
