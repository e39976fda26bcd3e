// Windows, their borders and indices, and pooling over regions.
#include "tests/frontend/Operators.h"

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::HasSubstr;

namespace {

struct Pooling : tests::Operators {
  /// One pooling node over x [N, C, L] or [N, C, H, W] of symbolic spatial sizes.
  GraphWriter pool(const std::string &op, size_t spatial, const Messages &attributes,
                   const Names &results = {"y"}) {
    Shape shape = {"N", "C"};
    for (size_t i = 0; i < spatial; ++i)
      shape.push_back(i ? "W" : "H");
    GraphWriter graph;
    graph.input("x", ElementType::Float32, shape).node(op, {"x"}, results, attributes);
    for (const std::string &result : results)
      graph.output(result);
    return graph;
  }
};
using tests::expectNear;

TEST_F(Pooling, AveragesCountWhatTheySay) {
  // Windows of 3 every 2 over [pad, 1, 2, 3, 4, 5, 6, pad]: the last one hangs over the padded end.
  Messages attributes = {attributeInts("kernel_shape", {3}), attributeInts("strides", {2}),
                         attributeInts("pads", {1, 1}), attributeInt("ceil_mode", 1)};
  auto x = floats({1, 1, 6}, {1, 2, 3, 4, 5, 6});
  auto excluded = run(pool("AveragePool", 1, attributes), {x});
  ASSERT_EQ(excluded.size(), 1u);
  expectNear(excluded[0], {1, 1, 4}, {1.5, 3, 5, 6});
  attributes.push_back(attributeInt("count_include_pad", 1));
  auto included = run(pool("AveragePool", 1, attributes), {x});
  ASSERT_EQ(included.size(), 1u);
  expectNear(included[0], {1, 1, 4},
             {1, 3, 5, 3}); // 6 and the pad beside it: what lies beyond does not count
}

TEST_F(Pooling, WindowsBeginInsideTheInput) {
  // ceil would give a third window, which would begin in the padding.
  Messages attributes = {attributeInts("kernel_shape", {2}), attributeInts("strides", {3}),
                         attributeInts("pads", {0, 1}), attributeInt("ceil_mode", 1)};
  auto results = run(pool("MaxPool", 1, attributes), {floats({1, 1, 6}, {1, 2, 3, 4, 5, 6})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, 1, 2}, {2, 5});
}

TEST_F(Pooling, IndicesCountThroughTheWholeTensor) {
  Messages attributes = {attributeInts("kernel_shape", {2, 2}), attributeInts("strides", {2, 2})};
  auto x = floats({1, 2, 2, 4}, {1, 5, 2, 3, 4, 0, 9, 8, 7, 1, 1, 1, 0, 0, 0, 2});
  auto rows = run(pool("MaxPool", 2, attributes, {"y", "i"}), {x});
  ASSERT_EQ(rows.size(), 2u);
  expectNear(rows[0], {1, 2, 1, 2}, {5, 9, 7, 2});
  expectNear(rows[1], {1, 2, 1, 2}, {1, 6, 8, 15});
  attributes.push_back(attributeInt("storage_order", 1));
  auto columns = run(pool("MaxPool", 2, attributes, {"y", "i"}), {x});
  ASSERT_EQ(columns.size(), 2u);
  expectNear(columns[1], {1, 2, 1, 2}, {2, 5, 8, 15});
}

TEST_F(Pooling, NormsOfWindows) {
  auto results = run(pool("LpPool", 1, {attributeInts("kernel_shape", {2}), attributeInt("p", 3)}),
                     {floats({1, 1, 3}, {-1, 2, -3})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, 1, 2}, {std::cbrt(9.0), std::cbrt(35.0)});
}

TEST_F(Pooling, UnpoolingPutsValuesBack) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", 1, 2}).input("i", ElementType::Int64, {"N", 1, 2});
  graph.initializer(tensor<int64_t>("shape", {3}, {1, 1, 5}));
  graph.node("MaxUnpool", {"x", "i", "shape"}, {"y"},
             {attributeInts("kernel_shape", {2}), attributeInts("strides", {2})});
  graph.output("y");
  auto results = run(graph, {floats({1, 1, 2}, {7, 8}), ints({1, 1, 2}, {1, 2})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, 1, 5}, {0, 7, 8, 0, 0});
}

TEST_F(Pooling, RegionsMayWantDifferentNumbersOfSamples) {
  // On a plane x + 10 y an average of samples is the value at their middle.
  tests::Numbers plane;
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x)
      plane.push_back(x + 10 * y);
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {1, 1, "H", "W"}).input("r", ElementType::Float32, {"R", 4});
  graph.input("b", ElementType::Int64, {"R"});
  graph.node("RoiAlign", {"x", "r", "b"}, {"y"},
             {attributeInt("output_height", 1), attributeInt("output_width", 2)});
  graph.output("y");
  auto results =
      run(graph, {floats({1, 1, 8, 8}, plane), floats({2, 4}, {1, 1, 5, 6, 2, 2, 4, 3}), ints({2}, {0, 0})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {2, 1, 1, 2}, {1.5 + 30, 3.5 + 30, 2 + 20, 3 + 20});
}

TEST_F(Pooling, RefusesAttributesThatDoNotFit) {
  EXPECT_THAT(import(pool("MaxPool", 2, {attributeInts("kernel_shape", {3})})), HasSubstr("TW1205"));
  EXPECT_THAT(import(pool("MaxPool", 1, {attributeInts("kernel_shape", {3}), attributeInts("strides", {0})})),
              HasSubstr("TW1205"));
  EXPECT_THAT(import(pool("AveragePool", 1,
                          {attributeInts("kernel_shape", {3}), attributeString("auto_pad", "SAME")})),
              HasSubstr("auto_pad"));
}

} // namespace
