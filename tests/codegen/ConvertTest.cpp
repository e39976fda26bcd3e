//===- ConvertTest.cpp - where values live, and when -------------------------===//
#include "codegen/program/Convert.h"

#include "ir/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;

namespace tilewright::codegen {
namespace {

/// Tensor IR as its program, which is sound.
struct Converted {
  explicit Converted(const char *text) {
    context.loadDialect<graph::GraphDialect, kernel::KernelDialect, program::ProgramDialect,
                        func::FuncDialect>();
    module = parseSourceString<ModuleOp>(text, &context);
    program = convertToProgram(module->lookupSymbol<func::FuncOp>("main"), SymbolTable(*module), {});
    steps = programOf(*program);
    EXPECT_TRUE(succeeded(verify(*program)));
  }
  MLIRContext context;
  OwningOpRef<ModuleOp> module, program;
  program::FuncOp steps;
};

const char *branches = R"(
  "kernel.func"() <{sym_name = "isPositive"}> ({
  ^bb0(%x: tensor<4xf32>):
    %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
    %most = graph.reduce <rmax> %x [0] : tensor<4xf32> -> tensor<f32>
    %c = graph.compare <gt> %most, %zero : tensor<f32> -> tensor<i1>
    kernel.yield %c : tensor<i1>
  }) : () -> ()
  "kernel.func"() <{sym_name = "negate"}> ({
  ^bb0(%x: tensor<4xf32>):
    %y = graph.unary <neg> %x : tensor<4xf32> -> tensor<4xf32>
    kernel.yield %y : tensor<4xf32>
  }) : () -> ()
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32>
      attributes {graph.input_names = ["x"], graph.output_names = ["y"]} {
    %c = kernel.launch @isPositive(%x) affine_map<() -> ()> : (tensor<4xf32>) -> tensor<i1>
    %y = "graph.if"(%c) <{elseDims = affine_map<() -> ()>, symbols = array<i64>, thenDims = affine_map<() -> ()>}> ({
      %a = kernel.launch @negate(%x) affine_map<() -> ()> : (tensor<4xf32>) -> tensor<4xf32>
      %b = kernel.launch @negate(%a) affine_map<() -> ()> : (tensor<4xf32>) -> tensor<4xf32>
      graph.yield %b : tensor<4xf32>
    }, {
      %a = kernel.launch @negate(%x) affine_map<() -> ()> : (tensor<4xf32>) -> tensor<4xf32>
      graph.yield %a : tensor<4xf32>
    }) : (tensor<i1>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  })";

/// Which branch it is every thread finds out by itself, some later than others: what the first launch of
/// either branch writes must not lie where the condition did.
TEST(Convert, AConditionLivesUntilEitherBranchHasBegun) {
  Converted made(branches);
  unsigned seen = 0;
  made.steps.walk([&](program::IfOp op) {
    auto condition = program::bufferOf(op.getCondition().getDefiningOp<program::ReadOp>().getBuffer());
    for (Region *region : {&op.getThenRegion(), &op.getElseRegion()}) {
      auto first = *region->front().getOps<program::LaunchOp>().begin();
      EXPECT_GE(condition.getDeath(), program::bufferOf(first.getTargets()[0]).getBirth());
      ++seen;
    }
  });
  EXPECT_EQ(seen, 2u);
}

const char *recipes = R"(
  "kernel.func"() <{sym_name = "sum"}> ({
  ^bb0(%x: tensor<4xf32>, %y: tensor<4xf32>):
    %z = graph.binary <add> %x, %y : tensor<4xf32>
    kernel.yield %z : tensor<4xf32>
  }) : () -> ()
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32>
      attributes {graph.input_names = ["x"], graph.output_names = ["y"]} {
    %w = graph.weight "weights" at 0 for 16 : tensor<4xf32>
    %minus = graph.unary <neg> %w : tensor<4xf32> -> tensor<4xf32>
    %a = kernel.launch @sum(%x, %minus) affine_map<() -> ()> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %again = graph.weight "weights" at 0 for 16 : tensor<4xf32>
    %same = graph.unary <neg> %again : tensor<4xf32> -> tensor<4xf32>
    %b = kernel.launch @sum(%a, %same) affine_map<() -> ()> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %other = graph.unary <abs> %again : tensor<4xf32> -> tensor<4xf32>
    %c = kernel.launch @sum(%b, %other) affine_map<() -> ()> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %later = graph.weight "weights" at 16 for 16 : tensor<4xf32>
    %d = kernel.launch @sum(%c, %later) affine_map<() -> ()> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    return %d : tensor<4xf32>
  })";

TEST(Convert, EqualRecipesAreStoredOnce) {
  Converted made(recipes);
  EXPECT_EQ(program::constantsOf(made.steps).size(), 3u); // -w, |w|, and the other weight
  const std::vector<program::LaunchOp> launches = program::launchesOf(made.steps);
  auto constantOf = [&](unsigned launch) { return program::LaunchOp(launches[launch]).getSources()[1]; };
  EXPECT_FALSE(program::bufferOf(constantOf(1)));
  EXPECT_EQ(constantOf(0), constantOf(1));
  EXPECT_NE(constantOf(0), constantOf(2));
  EXPECT_NE(constantOf(2), constantOf(3));
}

const char *chain = R"(
  #n = affine_map<()[s0] -> (s0)>
  module attributes {graph.symbols = [{hi = 1000000 : i64, lo = 0 : i64, name = "n", origin = 2 : i64}]} {
    "kernel.func"() <{sym_name = "fill"}> ({
      %x = graph.iota 0 : tensor<?xsi64, #n>
      kernel.yield %x : tensor<?xsi64, #n>
    }) : () -> ()
    "kernel.func"() <{sym_name = "negate"}> ({
    ^bb0(%x: tensor<?xsi64, #n>):
      %y = graph.unary <neg> %x : tensor<?xsi64, #n> -> tensor<?xsi64, #n>
      kernel.yield %y : tensor<?xsi64, #n>
    }) : () -> ()
    "kernel.func"() <{sym_name = "largest"}> ({
    ^bb0(%x: tensor<?xsi64, #n>):
      %y = graph.reduce <rmax> %x [0] : tensor<?xsi64, #n> -> tensor<si64>
      kernel.yield %y : tensor<si64>
    }) : () -> ()
    func.func @main(%count: tensor<1xsi64>) -> tensor<si64>
        attributes {graph.input_names = ["count"], graph.output_names = ["y"]} {
      graph.define %count [0] : tensor<1xsi64>
      %0 = kernel.launch @fill() #n : () -> tensor<?xsi64, #n>
      %1 = kernel.launch @negate(%0) #n : (tensor<?xsi64, #n>) -> tensor<?xsi64, #n>
      %2 = kernel.launch @negate(%1) #n : (tensor<?xsi64, #n>) -> tensor<?xsi64, #n>
      %3 = kernel.launch @negate(%2) #n : (tensor<?xsi64, #n>) -> tensor<?xsi64, #n>
      %4 = kernel.launch @negate(%3) #n : (tensor<?xsi64, #n>) -> tensor<?xsi64, #n>
      %y = kernel.launch @largest(%4) #n : (tensor<?xsi64, #n>) -> tensor<si64>
      return %y : tensor<si64>
    }
  })";

/// A chain of values whose size the program finds out needs the memory of two.
TEST(Convert, GrowableBuffersTakeOverTheMemoryOfTheDead) {
  Converted made(chain);
  llvm::DenseSet<Operation *> memories;
  unsigned growable = 0;
  for (program::BufferOp buffer : program::buffersOf(made.steps))
    if (buffer.getKind() == program::BufferKind::growable) {
      memories.insert(program::memoryOf(buffer));
      ++growable;
    }
  EXPECT_EQ(growable, 4u + 1u);
  EXPECT_EQ(memories.size(), 2u);
}

} // namespace
} // namespace tilewright::codegen
