//===- ReadModelTest.cpp - structure of models, and structural damage -----===//

#include "tests/frontend/reader/ReaderTest.h"

#include <chrono>
#include <fcntl.h>

namespace tilewright::onnx {
namespace {

TEST(ReadModel, ReadsEveryPartOfAModel) {
  GraphWriter graph("net");
  graph.input("x", ElementType::Float32, {"N", 3, "", -1})
      .initializer(tensor<float>("w", {2}, {1, 2}))
      .node("Conv", {"x", "w", ""}, {"c"},
            {attributeInts("pads", {1, -2, 3}), attributeFloat("alpha", 0.5f),
             attributeString("mode", "same"), attributeFloats("scales", {1, 2}),
             attributeStrings("names", {"a", "b"}), attributeInt("group", 7)})
      .value("c", ElementType::Float16, {1})
      .output("c", ElementType::Float32, {"N"});
  Held model = mustRead(ModelWriter(graph).opset(17).opset(3, "ai.onnx.ml").metadata("author", "us"));
  EXPECT_EQ(model->irVersion, 9);
  EXPECT_EQ(model->producerName, "tilewright tests");
  EXPECT_EQ(model->metadata.at(0).value, "us");
  EXPECT_EQ(model->graph.name, "net");
  const TypeInfo &type = model->graph.inputs.at(0).type;
  ASSERT_EQ(type.shape.size(), 4u);
  EXPECT_EQ(type.shape[0].kind, Dimension::Kind::Name);
  EXPECT_EQ(type.shape[0].name, "N");
  EXPECT_EQ(type.shape[1].kind, Dimension::Kind::Value);
  EXPECT_EQ(type.shape[1].value, 3);
  EXPECT_EQ(type.shape[2].kind, Dimension::Kind::Unknown);
  EXPECT_EQ(type.shape[3].kind, Dimension::Kind::Unknown);
  EXPECT_EQ(model->graph.valueInfos.at(0).type.elementType, ElementType::Float16);
  const Node &node = model->graph.nodes.at(0);
  EXPECT_EQ(node.inputs, (std::vector<std::string_view>{"x", "w", ""}));
  EXPECT_EQ(node.attribute("pads")->ints, (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(node.attribute("alpha")->f, 0.5f);
  EXPECT_EQ(node.attribute("mode")->s, "same");
  EXPECT_EQ(node.attribute("scales")->floats, (std::vector<float>{1, 2}));
  EXPECT_EQ(node.attribute("names")->strings, (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(node.attribute("group")->i, 7);
  EXPECT_EQ(node.attribute("absent"), nullptr);
  EXPECT_EQ(model->opsetOf(node), 17);
}

TEST(ReadModel, ReadsPackedAttributeLists) {
  auto packed = attribute("pads", Attribute::Kind::Ints, [](auto &w) {
    std::vector<int64_t> values = {1, -1, 300};
    w.add_packed_int64(8, values.begin(), values.end());
  });
  auto floats = attribute("scales", Attribute::Kind::Floats, [](auto &w) {
    std::vector<float> values = {1.5f, -2};
    w.add_packed_float(7, values.begin(), values.end());
  });
  Held model = mustRead(ModelWriter(GraphWriter().node("Op", {}, {"y"}, {packed, floats})));
  EXPECT_EQ(model->graph.nodes.at(0).attributes.at(0).ints, (std::vector<int64_t>{1, -1, 300}));
  EXPECT_EQ(model->graph.nodes.at(0).attributes.at(1).floats, (std::vector<float>{1.5f, -2}));
}

TEST(ReadModel, ReadsContainerTypes) {
  GraphWriter graph;
  graph.inputOfType("s", sequenceType(tensorType(ElementType::Int64)))
      .inputOfType("o", optionalType(sequenceType(tensorType(ElementType::Float32, {2}))))
      .inputOfType("m", mapType(ElementType::String, tensorType(ElementType::Float32)));
  Held model = mustRead(ModelWriter(graph));
  const auto &inputs = model->graph.inputs;
  EXPECT_EQ(inputs[0].type.kind, TypeInfo::Kind::Sequence);
  EXPECT_FALSE(inputs[0].type.nested.at(0).hasShape);
  EXPECT_EQ(inputs[1].type.kind, TypeInfo::Kind::Optional);
  EXPECT_EQ(inputs[1].type.nested.at(0).nested.at(0).shape.at(0).value, 2);
  EXPECT_EQ(inputs[2].type.kind, TypeInfo::Kind::Map);
  EXPECT_EQ(inputs[2].type.elementType, ElementType::String);
}

TEST(ReadModel, TheDefaultDomainHasTwoNames) {
  GraphWriter graph;
  graph.node("Relu", {"x"}, {"y"}, {}, "ai.onnx");
  Held model = mustRead(ModelWriter(graph).opset(13, "ai.onnx").opset(13));
  EXPECT_EQ(model->opsets.size(), 1u);
  EXPECT_EQ(model->graph.nodes.at(0).domain, "");
  EXPECT_EQ(model->opsetOf(model->graph.nodes[0]), 13);
  EXPECT_EQ(mustRefuse(ModelWriter(graph).opset(13).opset(14, "ai.onnx")).code, 1019);
}

TEST(ReadModel, InfersTheKindOfUntypedAttributes) {
  auto untyped = attribute("axis", Attribute::Kind::Undefined, [](auto &w) { w.add_int64(3, 1); });
  Held model = mustRead(ModelWriter(GraphWriter().node("Softmax", {"x"}, {"y"}, {untyped})));
  EXPECT_EQ(model->graph.nodes.at(0).attributes.at(0).kind, Attribute::Kind::Int);
}

TEST(ReadModel, RefusesInvalidAttributes) {
  using Kind = Attribute::Kind;
  auto refuse = [](const std::string &bytes) {
    Error error = mustRefuse(ModelWriter(GraphWriter().node("Softmax", {"x"}, {"y"}, {bytes})));
    EXPECT_EQ(error.op, "Softmax");
    EXPECT_EQ(error.node, "node_y");
    return error.code;
  };
  EXPECT_EQ(refuse(attribute("", Kind::Int, [](auto &w) { w.add_int64(3, 1); })), 1016) << "no name";
  EXPECT_EQ(refuse(attribute("a", Kind::Undefined, [](auto &) {})), 1016) << "neither type nor value";
  EXPECT_EQ(refuse(attribute("a", Kind::Int, [](auto &w) { w.add_float(2, 1); })), 1016)
      << "type and value disagree";
  EXPECT_EQ(refuse(attribute("a", Kind(77), [](auto &w) { w.add_int64(3, 1); })), 1016) << "unknown type";
  EXPECT_EQ(refuse(attribute("a", Kind::Tensor, [](auto &) {})), 1016) << "a tensor that is not there";
  EXPECT_EQ(refuse(attribute("a", Kind::Int, [](auto &w) { w.add_string(3, "x"); })), 1005)
      << "wrong wire type";
}

TEST(ReadModel, RefusesNestingBeyondTheLimit) {
  auto nested = [](unsigned depth) {
    std::string graph = GraphWriter().bytes();
    for (unsigned i = 1; i < depth; ++i)
      graph = GraphWriter().node("If", {"c"}, {"y"}, {attributeGraph("then_branch", graph)});
    return ModelWriter(graph);
  };
  mustRead(nested(64));
  EXPECT_EQ(mustRefuse(nested(65)).code, 1006);
  std::string type = tensorType(ElementType::Float32);
  for (int i = 0; i < 1000; ++i)
    type = sequenceType(type);
  EXPECT_EQ(mustRefuse(ModelWriter(GraphWriter().inputOfType("x", type))).code, 1006);
}

TEST(ReadModel, BoundsTheMemoryOfHugeStructures) {
  std::string empties; // nodes of two bytes each: the smallest message that asks for the largest struct
  for (int i = 0; i < 100000; ++i)
    empties += std::string("\x0a\x00", 2);
  ReadLimits limits;
  limits.maxStructureBytes = 1 << 20;
  EXPECT_EQ(mustRefuse(ModelWriter(empties), limits).code, 1007);
}

TEST(ReadModel, RefusesWhatIsNotAModel) {
  EXPECT_EQ(mustRefuse("").code, 1003);
  EXPECT_EQ(mustRefuse("version https://git-lfs.github.com/spec/v1\n").code, 1004);
  EXPECT_EQ(mustRefuse("<!DOCTYPE html>").code, 1004);
  EXPECT_EQ(mustRefuse("PK\x03\x04...").code, 1004);
  EXPECT_EQ(mustRefuse("hello world, this is not a model").code, 1005);
  EXPECT_EQ(mustRefuse(std::string(4096, '\0')).code, 1005);
  EXPECT_EQ(mustRefuse(std::string(4096, '\xff')).code, 1005);
  EXPECT_EQ(mustRefuse(std::string("\x08\x09", 2)).code, 1008) << "only an IR version";
  std::string model = modelWith({}).bytes();
  EXPECT_EQ(mustRefuse(model + model).code, 1008) << "two files joined";
}

TEST(ReadModel, RefusesLengthsPastTheEnd) {
  // Field 7 (graph) with a length of 2^63, 2^64 - 1, and 2^32 + 4, which a reader with 32-bit lengths takes
  // for 4.
  for (uint64_t length : {uint64_t(1) << 63, ~uint64_t(0), (uint64_t(1) << 32) + 4}) {
    std::string bytes = "\x3a";
    protozero::write_varint(std::back_inserter(bytes), length);
    EXPECT_EQ(mustRefuse(bytes + std::string("\x12\x02hi", 4)).code, 1005) << length;
  }
  EXPECT_EQ(mustRefuse("\x08" + std::string(20, '\xff')).code, 1005) << "a varint without end";
}

TEST(ReadModel, EveryTruncationIsRefused) {
  std::string whole = ModelWriter(GraphWriter().node("Relu", {"x"}, {"y"}).bytes()).opset(17).bytes();
  for (size_t size = 0; size + 1 < whole.size(); ++size) {
    auto result = readModel(asBytes(whole).first(size));
    // A cut between two fields leaves a shorter model, which is whole only if the graph was inside.
    if (result)
      EXPECT_EQ((*result)->graph.nodes.size(), 1u) << size;
    else
      EXPECT_TRUE(result.error().code == 1003 || result.error().code == 1005 || result.error().code == 1008);
  }
}

TEST(ReadModel, RefusesWhatIsNotARegularFile) {
  TemporaryFolder folder;
  EXPECT_EQ(readModel(folder / "absent.onnx").error().code, 1001);
  EXPECT_EQ(readModel(folder / "absent.onnx").error().status, Status::Io);
  EXPECT_EQ(readModel(folder / "").error().code, 1002);
  ASSERT_EQ(::mkfifo((folder / "fifo.onnx").c_str(), 0600), 0);
  EXPECT_EQ(readModel(folder / "fifo.onnx").error().code, 1002);
  folder.write("empty.onnx", "");
  EXPECT_EQ(readModel(folder / "empty.onnx").error().code, 1003);
}

TEST(ReadModel, FunctionsAreIndexed) {
  FunctionWriter function("local", "Twice", {"a"}, {"b"});
  function.opset(18).attributeName("k").attributeDefault(attributeInt("d", 3)).node("Add", {"a", "a"}, {"b"});
  GraphWriter graph;
  graph.node("Twice", {"x"}, {"y"}, {}, "local");
  Held model = mustRead(ModelWriter(graph).opset(17).opset(1, "local").function(function));
  const Function *found = model->functionOf(model->graph.nodes.at(0));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->body.inputs.at(0).name, "a");
  EXPECT_EQ(found->body.outputs.at(0).name, "b");
  EXPECT_EQ(found->attributeNames.at(0), "k");
  EXPECT_EQ(found->attributeDefaults.at(0).i, 3);
  EXPECT_EQ(model->opsetOf(found->body.nodes.at(0), found), 18) << "the function's own import";
  EXPECT_EQ(model->opsetOf(model->graph.nodes[0], found), 1) << "missing there: the model's";
  EXPECT_EQ(mustRefuse(ModelWriter(graph).function(function).function(function)).code, 1026);
}

TEST(ReadModel, ErrorsPrintOnOneCleanLine) {
  Error error{.code = 1021, .message = "bad", .hint = "Fix it.", .node = "a\x1b[31m\nb", .op = "Conv"};
  EXPECT_EQ(error.text(), "TW1021: bad (node 'a?[31m?b', op Conv). Fix it.");
}

/// Above 4 GB every 32-bit length overflows. The file is sparse: it takes no room on disk.
TEST(ReadModel, ReadsAModelOfFiveGigabytes) {
  uint64_t weights = 5ull << 30;
  auto header = [](uint32_t field, uint64_t length) {
    std::string bytes;
    protozero::write_varint(std::back_inserter(bytes), field << 3 | 2);
    protozero::write_varint(std::back_inserter(bytes), length);
    return bytes;
  };
  std::string tensorHead = tensorHeader("w", ElementType::UInt8, {int64_t(weights)}) + header(9, weights);
  std::string graphHead =
      GraphWriter().node("Relu", {"x"}, {"y"}).bytes() + header(5, tensorHead.size() + weights) + tensorHead;
  std::string graphTail = GraphWriter("tail").bytes();
  std::string modelHead = header(7, graphHead.size() + weights + graphTail.size()) + graphHead;
  std::string modelTail = message([](auto &w) { w.add_message(8, opsetImport("", 17)); });
  TemporaryFolder folder;
  folder.write("large.onnx", modelHead);
  int file = ::open((folder / "large.onnx").c_str(), O_WRONLY);
  std::string tail = graphTail + modelTail;
  if (::pwrite(file, tail.data(), tail.size(), off_t(modelHead.size() + weights)) != ssize_t(tail.size())) {
    ::close(file);
    GTEST_SKIP() << "the file system has no sparse files";
  }
  ::close(file);
  auto begin = std::chrono::steady_clock::now();
  auto model = readModel(folder / "large.onnx");
  auto duration = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(model) << model.error().text();
  EXPECT_EQ((*model)->graph.name, "tail");
  EXPECT_EQ((*model)->graph.initializers.at(0).bytes.size(), weights);
  EXPECT_EQ((*model)->opsets.at(0).version, 17);
  EXPECT_LT(duration, std::chrono::milliseconds(500)) << "the weights must not be touched";
}

} // namespace
} // namespace tilewright::onnx
