/// That rewriting ends: over random graphs whose sizes have different names, and by the cap where it would
/// not.
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/PatternMatch.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"
#include "tests/support/GraphProgram.h"
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;

namespace {

constexpr int64_t channels = 4;

/// Graphs of convolutions and windows with everything between them that transposes sink through. All values
/// have the shape [1, 4, spatial...], where each spatial size has a name of its own unless it was broadcast.
class RandomGraph {
public:
  RandomGraph(MLIRContext &context, uint64_t seed) : random(seed), p(context), spatial(1 + below(2)) {
    for (int i = 0; i < 3; ++i)
      values.push_back(p.input(shape(i == 2), p.type("f32")));
    for (uint64_t ops = 4 + below(16); ops > 0; --ops)
      values.push_back(step());
    SmallVector<Value> outputs{values.back()};
    if (below(2))
      outputs.push_back(values[values.size() - 2]);
    valid = p.finish(outputs);
  }
  ModuleOp module() { return *p.module; }
  bool valid;

private:
  uint64_t below(uint64_t n) { return random() % n; }
  Value any() { return values[values.size() - 1 - below(std::min<size_t>(values.size(), 5))]; }

  /// Channels last now and then, as the model's own layout.
  Dims shape(bool isFixed) {
    Dims dims{p.g.dim(1), p.g.dim(channels)};
    for (int64_t i = 0; i < spatial; ++i)
      dims.push_back(isFixed ? p.g.dim(8) : p.symbols.input("n" + std::to_string(p.symbols.size()), 1));
    return dims;
  }

  Value splat(double value) { return p.g.scalar(p.type("f32"), value); }
  Value weights(int64_t taps) {
    Dims dims{p.g.dim(channels), p.g.dim(channels)};
    dims.append(spatial, p.g.dim(taps));
    return p.g.broadcastTo(splat(0.5), dims);
  }

  Value convolution(Value x) {
    SmallVector<int64_t> ones(spatial, 1);
    Dims pads(spatial, p.g.dim(1)), from = dimsOf(x);
    return p.g.conv(x, weights(3), ones, pads, ones, ones, 1, ArrayRef(from).drop_front(2));
  }
  Value window(Value x) {
    SmallVector<int64_t> ones(spatial, 1), three(spatial, 3);
    Dims pads(spatial, p.g.dim(1)), from = dimsOf(x);
    return p.g.window(graph::WindowKind::wmax, x, three, ones, ones, pads, ArrayRef(from).drop_front(2));
  }
  /// There and back by other ways: the spatial sizes may trade places.
  Value transposed(Value x) {
    SmallVector<int64_t> last{0}, perm{0};
    for (int64_t i = 0; i < spatial; ++i)
      last.push_back(2 + i);
    last.push_back(1);
    Value there = p.g.unary(graph::UnaryKind::abs, p.g.transpose(x, last));
    perm.push_back(spatial + 1);
    for (int64_t i = 0; i < spatial; ++i)
      perm.push_back(1 + i);
    return p.g.transpose(there, perm);
  }
  Value padded(Value x) {
    Dims low(spatial + 2, p.g.dim(0)), high = low;
    low[2] = high.back() = p.g.dim(1);
    return p.g.pad(x, low, high, graph::PadMode::constant, splat(0));
  }
  Value normalised(Value x) {
    Value mean = p.g.mean(x, {1}, /*keepDims=*/true);
    return p.g.sub(x, mean);
  }
  Value scaled(Value x) {
    Dims dims{p.g.dim(channels)};
    dims.append(spatial, p.g.dim(1));
    return p.g.mul(x, p.g.broadcastTo(splat(3), dims));
  }
  Value step() {
    Value x = any();
    switch (below(10)) {
    case 0:
    case 1:
      return convolution(x);
    case 2:
      return window(x);
    case 3:
      return transposed(x);
    case 4:
      return padded(x);
    case 5:
      return normalised(x);
    case 6:
      return scaled(x);
    case 7:
      return p.g.unary(graph::UnaryKind::tanh, x);
    default: // sizes of different names meet
      Value y = any();
      return p.g.broadcastShape({x, y}) ? p.g.add(x, y) : x;
    }
  }

  std::mt19937_64 random;
  GraphProgram p;
  int64_t spatial;
  SmallVector<Value> values;
};

/// What diagnostics say while one lives.
struct Complaints {
  std::string text;
  ScopedDiagnosticHandler handler;
  explicit Complaints(MLIRContext &context)
      : handler(&context, [this](Diagnostic &d) {
          text += d.str() + "\n";
          return success();
        }) {}
};

} // namespace

TEST(Termination, RandomGraphsOfUnequalSizes) {
  codegen::TargetInfo target = llvm::cantFail(codegen::resolveTarget("cpu:haswell"));
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    auto context = makeContext();
    Complaints complaints(*context);
    RandomGraph graph(*context, seed);
    ASSERT_TRUE(graph.valid) << "seed " << seed << ": " << complaints.text;
    passes::PipelineOptions options;
    options.stopAfterGraph = true;
    EXPECT_TRUE(succeeded(passes::runPipeline(graph.module(), target, options)))
        << "seed " << seed << ": " << complaints.text;
  }
}

namespace {

/// a + b becomes b + a: there is no measure that this lowers.
struct Endless : OpRewritePattern<graph::BinaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::BinaryOp op, PatternRewriter &b) const override {
    b.replaceOpWithNewOp<graph::BinaryOp>(op, op.getType(), op.getKind(), op.getRhs(), op.getLhs());
    return success();
  }
};

/// As Endless, and leaves an op more each time.
struct Growing : OpRewritePattern<graph::UnaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::UnaryOp op, PatternRewriter &b) const override {
    Value inner = graph::UnaryOp::create(b, op.getLoc(), op.getType(), op.getKind(), op.getOperand());
    b.replaceOpWithNewOp<graph::UnaryOp>(op, op.getType(), op.getKind(), inner);
    return success();
  }
};

template <class Pattern> std::string rewrite(Budget *budget = nullptr) {
  auto context = makeContext();
  Complaints complaints(*context);
  GraphProgram p(*context);
  Value x = p.input({4}, p.type("f32")), y = p.input({4}, p.type("f32"));
  EXPECT_TRUE(p.finish({p.g.unary(graph::UnaryKind::tanh, p.g.add(x, y))}));
  RewritePatternSet patterns(context.get());
  patterns.add<Pattern>(context.get());
  EXPECT_TRUE(failed(passes::rewriteToEnd(*p.module, std::move(patterns), "a-test", budget)));
  return complaints.text;
}

} // namespace

TEST(Termination, AnEndlessPatternIsAnErrorThatNamesThePass) {
  for (const std::string &text : {rewrite<Endless>(), rewrite<Growing>()})
    EXPECT_NE(text.find("'a-test' does not come to an end"), std::string::npos) << text;
  EXPECT_NE(rewrite<Endless>().find("Endless"), std::string::npos);
}

TEST(Termination, ABudgetThatIsUsedUpStopsAPass) {
  Budget none(uint64_t(1) << 40, 0);
  EXPECT_NE(rewrite<Endless>(&none).find("was stopped"), std::string::npos);
  EXPECT_NE(none.reason().find("seconds"), std::string::npos);
}
