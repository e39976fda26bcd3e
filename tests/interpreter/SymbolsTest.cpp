/// Sizes that do not fit, and expressions that grow: what arithmetic on dimensions gives instead of wrapping
/// around.
#include "ir/Constraints.h"
#include "tests/interpreter/Support.h"

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;

namespace {

class Sizes : public ::testing::Test {
protected:
  std::unique_ptr<MLIRContext> context = makeContext();
  GraphProgram p{*context};
  AffineExpr n = p.symbols.input("n"), m = p.symbols.input("m");
  AffineExpr number(int64_t value) { return constantDim(context.get(), value); }
};

constexpr int64_t most = INT64_MAX, least = INT64_MIN;

} // namespace

TEST_F(Sizes, WhatFitsIsExact) {
  EXPECT_EQ(constantOf(number(most) - 1), most - 1);
  EXPECT_EQ(constantOf(number(least) + most), -1);
  EXPECT_EQ(constantOf(number(int64_t(1) << 31) * (int64_t(1) << 31)), int64_t(1) << 62);
  EXPECT_EQ(n + most - most, n);
  EXPECT_EQ(n * (int64_t(1) << 61) - n * ((int64_t(1) << 61) - 1), n);
  EXPECT_EQ((n + 3) * m - m * 3, n * m);
  EXPECT_EQ(-(n - m), m - n);
}

TEST_F(Sizes, WhatDoesNotFitIsOversizedAndStaysSo) {
  AffineExpr sums[] = {number(most) + 1,
                       number(least) - 1,
                       n + most + 1,
                       n + most + most,
                       n * most + n,
                       n * most * 2,
                       number(least) * -1,
                       -number(least),
                       n * (int64_t(1) << 62) * 4 + m,
                       (n + most) * (m + most),
                       productOf({n, number(most), number(most)}, context.get())};
  for (AffineExpr sum : sums) {
    EXPECT_TRUE(isOversized(sum));
    for (AffineExpr more :
         {sum - sum, sum * 0, canonical(sum.floorDiv(4)), canonical(sum % 2), sum + n,
          p.symbols.minimum(sum, n), p.symbols.maximum(n, sum), p.symbols.broadcast(sum, n)})
      EXPECT_TRUE(isOversized(more));
    EXPECT_FALSE(evaluate(sum, {1, 1}));
    EXPECT_FALSE(constantOf(sum));
    EXPECT_FALSE(divideExactly(sum, n));
    EXPECT_LT(p.symbols.lowerBound(sum), 0);
    EXPECT_EQ(p.symbols.upperBound(sum), most);
    EXPECT_FALSE(tensorType({sum}, p.type("f32")).hasStaticShape());
  }
}

TEST_F(Sizes, TheLeastNumberIsDivided) {
  EXPECT_FALSE(divideExactly(number(least), number(-1)));
  EXPECT_FALSE(evaluate(getAffineBinaryOpExpr(AffineExprKind::FloorDiv, n, m), {least, -1}));
  EXPECT_EQ(evaluate(getAffineBinaryOpExpr(AffineExprKind::Mod, n, m), {least, -1}), 0);
  EXPECT_EQ(evaluate(getAffineBinaryOpExpr(AffineExprKind::Mod, n, m), {least, 3}), 1);
  EXPECT_EQ(evaluate(getAffineBinaryOpExpr(AffineExprKind::FloorDiv, n, m), {7, 0}), 0);
}

TEST_F(Sizes, EvaluationThatLeaves64BitsHasNoValue) {
  EXPECT_EQ(evaluate(n * m, {most, 1}), most);
  EXPECT_FALSE(evaluate(n * m, {most, 2}));
  EXPECT_FALSE(evaluate(n + m, {most, 1}));
}

TEST_F(Sizes, MinimumOfFarNumbers) {
  EXPECT_EQ(constantOf(p.symbols.minimum(number(least), number(most))), least);
  EXPECT_EQ(constantOf(p.symbols.maximum(number(least), number(most))), most);
}

TEST_F(Sizes, FarNumbersAreCompared) {
  using graph::RelationKind;
  auto verdict = [&](RelationKind kind, int64_t have, int64_t want) {
    return decide({kind, number(have), number(want), ""}, &p.symbols);
  };
  EXPECT_EQ(verdict(RelationKind::at_most, least + 2, 16), Verdict::Proved);
  EXPECT_EQ(verdict(RelationKind::at_most, most, -1), Verdict::Disproved);
  EXPECT_EQ(verdict(RelationKind::at_least, most, least), Verdict::Proved);
  EXPECT_EQ(verdict(RelationKind::at_least, least, 0), Verdict::Disproved);
}

TEST_F(Sizes, ExpressionsAreBounded) {
  AffineExpr square = n + m, tower = n;
  for (int step = 0; step < 60; ++step) {
    square = square * square;
    tower = tower + canonical(tower.floorDiv(3));
  }
  EXPECT_TRUE(isOversized(square));
  EXPECT_TRUE(isOversized(tower));
}

/// Written out, each step would double it.
TEST_F(Sizes, ChainsOfDerivedSymbols) {
  auto chain = [&](AffineExpr low, AffineExpr high) {
    for (int step = 0; step < 60; ++step) {
      AffineExpr above = p.symbols.maximum(low, high), below = p.symbols.minimum(low, high);
      low = above, high = above - below;
    }
    return high;
  };
  AffineExpr known = chain(n, m);
  EXPECT_FALSE(isOversized(known)) << "what is known before the run is calculated once";
  unsigned depended = 0;
  p.symbols.walk(known, [&](unsigned) { ++depended; });
  EXPECT_GT(depended, 50u);
  EXPECT_TRUE(isOversized(chain(p.symbols.defined("d"), m))) << "the program writes it out at each use";
}

TEST_F(Sizes, LongSumsAreNotExpressionsThatGrow) {
  Dims terms;
  std::vector<int64_t> values;
  for (int i = 0; i < 10000; ++i) {
    terms.push_back(p.symbols.input("d" + std::to_string(i)));
    values.push_back(i);
  }
  values.insert(values.begin(), {0, 0}); // n and m
  AffineExpr total = sum(terms, context.get());
  EXPECT_FALSE(isOversized(total));
  EXPECT_EQ(evaluate(total, values), 9999 * 5000);
  EXPECT_EQ(p.symbols.lowerBound(total), 0);
  EXPECT_EQ(total - terms.back() + terms.back(), total);
}

TEST_F(Sizes, TotalsOfManyHaveNames) {
  Dims few, many;
  for (int i = 0; i < 200; ++i)
    many.push_back(p.symbols.input("d" + std::to_string(i)) + 1);
  few.append(many.begin(), many.begin() + 8);
  EXPECT_EQ(p.symbols.total(few), sum(few, context.get()));
  AffineExpr total = p.symbols.total(many);
  ASSERT_TRUE(isa<AffineSymbolExpr>(total));
  EXPECT_EQ(p.symbols.total(many), total);
  EXPECT_EQ(p.symbols.writtenOut(total + n), sum(many, context.get()) + n);
  EXPECT_EQ(p.symbols.lowerBound(total), 200);
  EXPECT_EQ(decide({graph::RelationKind::equal, sum(many, context.get()), total, ""}, &p.symbols),
            Verdict::Proved);
  EXPECT_EQ(decide({graph::RelationKind::at_most, many[3], total, ""}, &p.symbols), Verdict::Proved);
  many.push_back(p.symbols.defined("later"));
  EXPECT_FALSE(isa<AffineSymbolExpr>(p.symbols.total(many))) << "not known before the run";
}
