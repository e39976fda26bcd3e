/// Weights, recipes over them, folding.
#include "tests/interpreter/Support.h"
#include "llvm/Support/FileSystem.h"
#include <fstream>

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using interpreter::ConstantEvaluator;
using ::testing::ElementsAre;

namespace {

class ConstantsTest : public InterpreterTest {
protected:
  void SetUp() override {
    llvm::SmallString<128> name;
    ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("tilewright-weights", "bin", name));
    path = std::string(name);
    std::ofstream file(path, std::ios::binary);
    file << '#'; // elements need not be aligned
    for (float value : {1.f, 2.f, 3.f, 4.f, 5.f, 6.f})
      file.write(reinterpret_cast<const char *>(&value), sizeof(value));
    file.write("\x9F\x07", 2);
  }
  void TearDown() override { llvm::sys::fs::remove(path); }

  Value weight(GraphProgram &p, Ints shape, llvm::StringRef element, int64_t offset, int64_t length) {
    return graph::WeightOp::create(p.builder, p.g.loc, tensorType(p.g.dims(shape), p.type(element)), path,
                                   offset, length);
  }
  Outcome value(Value constant) {
    auto tensor = evaluator.evaluate(constant);
    if (!tensor)
      return toOutcome(tensor.takeError());
    return toOutcome(llvm::SmallVector<Tensor>{*tensor});
  }
  std::string path;
  ConstantEvaluator evaluator;
};

TEST_F(ConstantsTest, WeightsAreMapped) {
  GraphProgram p(context);
  Value w = weight(p, {2, 3}, "f32", 1, 24);
  Outcome first = value(w), second = value(w);
  ASSERT_FALSE(first.kind) << first.message;
  EXPECT_THAT(numbers(first[0]), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(first[0].data(), second[0].data()); // the file's bytes, not copies
}

TEST_F(ConstantsTest, PackedWeights) {
  GraphProgram p(context);
  EXPECT_THAT(integers(value(weight(p, {3}, "si4", 25, 2))[0]), ElementsAre(-1, -7, 7));
}

TEST_F(ConstantsTest, RecipesMoveAndConvert) {
  GraphProgram p(context);
  Value w = weight(p, {2, 3}, "f32", 1, 24);
  Value recipe = p.g.cast(p.g.transpose(p.g.sliceAxis(w, 1, p.g.dim(1), p.g.dim(2)), {1, 0}), p.type("bf16"));
  EXPECT_THAT(numbers(value(recipe)[0]), ElementsAre(2, 5, 3, 6));
  Value sum = p.g.add(w, p.g.mul(w, w));
  EXPECT_THAT(numbers(value(sum)[0]), ElementsAre(2, 6, 12, 20, 30, 42));
  evaluator.clear();
  EXPECT_THAT(numbers(value(sum)[0]), ElementsAre(2, 6, 12, 20, 30, 42));
  Value reshaped = p.g.reshape(w, p.g.dims({3, 2}));
  EXPECT_EQ(value(reshaped)[0].data(), value(w)[0].data());
}

TEST_F(ConstantsTest, LongChains) {
  GraphProgram p(context);
  Value x = weight(p, {6}, "f32", 1, 24);
  for (int i = 0; i < 20000; ++i)
    x = p.g.unary(UnaryKind::neg, x);
  EXPECT_THAT(numbers(value(x)[0]), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(ConstantsTest, FilesThatAreShortOrMissing) {
  GraphProgram p(context);
  EXPECT_EQ(value(weight(p, {6}, "f32", 8, 24)).kind, Failure::File);
  EXPECT_EQ(value(weight(p, {6}, "f32", -4, 24)).kind, Failure::File);
  EXPECT_EQ(value(weight(p, {6}, "f32", 1, 23)).kind, Failure::File);
  path += ".missing";
  EXPECT_EQ(value(weight(p, {6}, "f32", 1, 24)).kind, Failure::File);
}

TEST_F(ConstantsTest, InputsAreNotConstant) {
  GraphProgram p(context);
  Value x = p.input({2}, type("f32"));
  EXPECT_EQ(value(p.g.add(x, x)).kind, Failure::Unsupported);
}

TEST_F(ConstantsTest, Fold) {
  GraphProgram p(context);
  Value sum = p.g.add(p.g.intVector({1, 2}), p.g.intVector({3, 4}));
  auto folded = interpreter::fold(sum.getDefiningOp(), 16, evaluator);
  ASSERT_TRUE(succeeded(folded));
  EXPECT_EQ(folded->size(), 1u);
  EXPECT_EQ((*folded)[0], p.builder.getI64TensorAttr({4, 6}));
  EXPECT_TRUE(failed(interpreter::fold(sum.getDefiningOp(), 15, evaluator)));
}

TEST_F(ConstantsTest, FoldLeavesWhatItCannotDo) {
  GraphProgram p(context);
  Value x = p.input({2}, type("si64"));
  EXPECT_TRUE(failed(interpreter::fold(p.g.add(x, x).getDefiningOp(), 1000, evaluator)));
  Value outside = p.g.gather(p.g.intVector({1, 2}), p.g.intVector({7}), 0);
  EXPECT_TRUE(failed(interpreter::fold(outside.getDefiningOp(), 1000, evaluator)));
  auto [values, indices] = p.g.sort(p.g.intVector({3, 1, 2}), 0, false, p.g.dim(3));
  auto folded = interpreter::fold(values.getDefiningOp(), 1000, evaluator);
  ASSERT_TRUE(succeeded(folded));
  EXPECT_EQ((*folded)[1], p.builder.getI64TensorAttr({1, 2, 0}));
}

} // namespace
