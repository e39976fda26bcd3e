#include "Inputs.h"
#include "Support.h"
#include "support/Npy.h"

using namespace tilewright::tools;
using namespace tilewright::tools::test;

class InputsTest : public FolderTest {
protected:
  void SetUp() override {
    auto loaded = loadArtifact(FAKE_ARTIFACT);
    ASSERT_TRUE(loaded) << loaded.problem().message;
    model = std::move(*loaded);
  }
  Result<std::vector<Tensor>> gather(const std::vector<NamedTensor> &tensors) {
    // Each in a file of its own: what was read is not written over.
    const std::string file = path("in" + std::to_string(++files) + ".npz");
    EXPECT_FALSE(writeNpz(file, tensors));
    return gatherInputs(model.get(), {file, {}, 0}, {});
  }
  ModelHandle model;
  int files = 0;
  const Tensor x = tensorOf<float>(TW_F32, {1, 3}, {1, 2, 3});
  const Tensor half = tensorOf<uint16_t>(TW_U16, {2}, {0x3f80, 0x4000});
};

TEST_F(InputsTest, OrdersAndRetypes) {
  auto inputs = gather({{"half/in", half}, {"x", x}});
  ASSERT_TRUE(inputs);
  EXPECT_EQ((*inputs)[0].dtype, TW_F32);
  EXPECT_EQ((*inputs)[1].dtype, TW_BF16) << "uint16 carries bfloat16";
}

TEST_F(InputsTest, NamesWhatIsWrong) {
  auto missing = gather({{"x", x}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.problem().code, "TW5301");
  EXPECT_EQ(missing.problem().message, "input 'half/in' is missing; the model wants bfloat16[2]");
  auto misspelt = gather({{"x", x}, {"half_in", half}});
  ASSERT_FALSE(misspelt);
  EXPECT_EQ(misspelt.problem().code, "TW5302");
  EXPECT_EQ(misspelt.problem().hint, "did you mean 'half/in'?");
  EXPECT_EQ(misspelt.problem().exit, ExitCode::Invalid);
  auto twice = gatherInputs(
      model.get(), {"", {"x=" + write("x.npy", npyHeader(TW_U8, {1}) + "a"), "x=" + path("x.npy")}, 0}, {});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.problem().code, "TW5303");
}

TEST_F(InputsTest, ReadsSingleFiles) {
  std::string floats(12, '\0');
  auto inputs = gatherInputs(model.get(),
                             {"",
                              {"x=" + write("a=b.npy", npyHeader(TW_F32, {1, 3}) + floats),
                               "half/in=" + write("h.npy", npyHeader(TW_U16, {2}) + "abcd")},
                              0},
                             {});
  ASSERT_TRUE(inputs) << inputs.problem().message;
  auto unnamed = gatherInputs(model.get(), {"", {path("h.npy")}, 0}, {});
  ASSERT_FALSE(unnamed);
  EXPECT_EQ(unnamed.problem().exit, ExitCode::Usage);
}

TEST_F(InputsTest, DrawsReproducibleValues) {
  auto draw = [&](uint64_t seed, std::vector<DimensionRange> dims) {
    return gatherInputs(model.get(), {"", {}, seed}, dims);
  };
  auto first = draw(1, {}), again = draw(1, {}), other = draw(2, {}), larger = draw(1, {{"batch", 4, 4}});
  ASSERT_TRUE(first);
  EXPECT_EQ((*first)[0].shape, (std::vector<int64_t>{1, 3})) << "a dynamic dimension is 1";
  EXPECT_EQ((*first)[1].dtype, TW_BF16);
  EXPECT_EQ(valuesOf<float>((*first)[0]), valuesOf<float>((*again)[0]));
  EXPECT_NE(valuesOf<float>((*first)[0]), valuesOf<float>((*other)[0]));
  EXPECT_EQ((*larger)[0].shape, (std::vector<int64_t>{4, 3}));
  EXPECT_EQ(valuesOf<uint16_t>((*first)[1]), valuesOf<uint16_t>((*larger)[1]))
      << "one input's shape leaves the others alone";
}

TEST_F(InputsTest, NoticesMisspeltDimensions) {
  auto inputs = gatherInputs(model.get(), {}, {{"bacth", 4, 4}});
  ASSERT_FALSE(inputs);
  EXPECT_EQ(inputs.problem().exit, ExitCode::Usage);
  EXPECT_EQ(inputs.problem().hint, "did you mean 'batch'?");
}

TEST_F(InputsTest, RandomValuesFitTheirType) {
  tw_dim dim{1000, nullptr};
  double sum = 0;
  for (int dtype = TW_F32; dtype <= TW_I2; ++dtype) {
    tw_tensor_info info{"x", static_cast<tw_dtype>(dtype), 1, &dim};
    auto tensor = randomInput(info, 3, {});
    ASSERT_TRUE(tensor);
    EXPECT_EQ(tensor->elementCount(), 1000u);
    EXPECT_EQ(tensor->bytes.size(), 1000 * tw_dtype_bytes(info.dtype)) << tw_dtype_name(info.dtype);
    for (size_t i = 0; i < 1000; ++i) {
      if (dtype == TW_BOOL || dtype == TW_I64)
        EXPECT_LE(elementAsDouble(info.dtype, tensor->bytes.view.data(), i), 1);
      if (dtype == TW_F64)
        sum += elementAsDouble(info.dtype, tensor->bytes.view.data(), i);
    }
  }
  EXPECT_LT(std::abs(sum / 1000), 0.1) << "the mean of a standard normal distribution";
}
