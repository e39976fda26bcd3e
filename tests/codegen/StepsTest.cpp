//===- StepsTest.cpp - program IR to code, and the steps that compiled kernels ask for ---------===//
#include "codegen/program/Program.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;

namespace tilewright::codegen {
namespace {

class Steps : public testing::Test {
protected:
  void SetUp() override {
    context.loadDialect<graph::GraphDialect, program::ProgramDialect, func::FuncDialect, arith::ArithDialect,
                        cf::ControlFlowDialect, LLVM::LLVMDialect>();
    KernelBinding &f = kernels["f"];
    f.function = "kernel_f";
    f.resultCount = 1;
    f.extent = f.scratchBytes = getAffineConstantExpr(0, &context);
  }

  /// Steps between the declarations of an input %x, of an output %y and of `more`.
  void parse(const std::string &steps, const std::string &more = "", const std::string &symbols = "") {
    program = parseSourceString<ModuleOp>("module attributes {graph.symbols = [" + symbols + R"(]} {
      program.func @main {
        %x = program.buffer input[0] live 0 to 3 on 0 : tensor<si64>
        %y = program.buffer output[0] live 0 to 3 on 0 : tensor<si64>
      )" + more + steps + "\nprogram.return %y\n}\n}",
                                          &context);
    ASSERT_TRUE(program);
  }

  bool emits() {
    ScopedDiagnosticHandler collect(&context, [&](Diagnostic &d) {
      complaint = d.str();
      return success();
    });
    OwningOpRef<ModuleOp> loops = ModuleOp::create(UnknownLoc::get(&context));
    return succeeded(emitProgram({*program, kernels, false}, *loops)) && succeeded(verify(*loops));
  }

  MLIRContext context;
  llvm::StringMap<KernelBinding> kernels;
  OwningOpRef<ModuleOp> program;
  std::string complaint;
};

TEST_F(Steps, BecomeCode) {
  parse("program.launch @f(%x) to (%y) with affine_map<() -> ()> on 0");
  EXPECT_TRUE(emits()) << complaint;
}

TEST_F(Steps, OfAnotherDeviceAreAnError) {
  parse("program.copy %x to %y on 1\nprogram.wait on 1");
  EXPECT_FALSE(emits());
  EXPECT_NE(complaint.find("the CPU's program does no steps of device 1"), std::string::npos) << complaint;
  parse("program.copy %x to %y on 0\nprogram.wait on 1");
  EXPECT_FALSE(emits());
}

TEST_F(Steps, NeedCompiledKernels) {
  parse("program.launch @unknown(%x) to (%y) with affine_map<() -> ()> on 0");
  EXPECT_FALSE(emits());
  EXPECT_NE(complaint.find("has no compiled kernel"), std::string::npos) << complaint;
}

/// The first launch still uses its scratch when thread 0 gets to the second.
TEST_F(Steps, GrowScratchBetweenLaunches) {
  kernels["f"].scratchBytes = getAffineSymbolExpr(0, &context) * getAffineConstantExpr(4, &context);
  const std::string launch = "with affine_map<()[s0] -> (s0)> on 0\n";
  parse("program.define %x [0]\nprogram.phase 1\nprogram.launch @f(%x) to (%a) " + launch +
            "program.launch @f(%x) to (%y) " + launch + "program.phase 2\n",
        "%a = program.buffer arena live 1 to 1 on 0 : tensor<si64>\n",
        R"({hi = 100 : i64, lo = 0 : i64, name = "n", origin = 2 : i64})");
  addScratch(*program, kernels);
  program::FuncOp func = programOf(*program);
  EXPECT_TRUE(succeeded(verify(*program)));
  EXPECT_EQ(program::countPhases(func), 3u + 3u); // behind the first growth, and around the second
  for (program::LaunchOp each : program::launchesOf(func))
    EXPECT_TRUE(each.getScratch());
  program::BufferOp a = program::buffersOf(func)[2];
  EXPECT_EQ(a.getBirth(), 1u);
  EXPECT_EQ(a.getDeath(), 4u) << "all phases that phase 1 has become";
  addScratch(*program, kernels); // a second time there is nothing to do
  EXPECT_EQ(program::countPhases(func), 3u + 3u);
  EXPECT_TRUE(emits()) << complaint;
}

} // namespace
} // namespace tilewright::codegen
