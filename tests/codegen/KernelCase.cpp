//===- KernelCase.cpp - one kernel, built, compiled, run and checked ------===//
#include "KernelCase.h"

#include "Support.h"
#include "codegen/artifact/Link.h"
#include "codegen/lower/MiddleEnd.h"
#include "codegen/space/Space.h"
#include "passes/Passes.h"

#include "mlir/IR/Verifier.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/TargetSelect.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen::testing {
namespace {

MLIRContext &contextWithGraph() {
  MLIRContext &context = sharedContext();
  context.loadDialect<graph::GraphDialect, kernel::KernelDialect>();
  return context;
}

KernelCase::Buffer bytesOf(const interpreter::Tensor &tensor) {
  KernelCase::Buffer bytes(tensor.bytes() + 64);
  std::memcpy(bytes.data(), tensor.data(), tensor.bytes());
  return bytes;
}

} // namespace

KernelCase::KernelCase(int64_t symbolCount)
    : module(ModuleOp::create(UnknownLoc::get(&contextWithGraph()))), builder(&contextWithGraph()) {
  Location loc = module->getLoc();
  table = std::make_unique<SymbolTable>(*module);
  for (int64_t i = 0; i < symbolCount; ++i)
    table->input("s" + std::to_string(i), 0, 1 << 20);
  builder.setInsertionPointToEnd(module->getBody());
  OperationState state(loc, kernel::FuncOp::getOperationName());
  state.addAttribute("sym_name", builder.getStringAttr("tested"));
  state.addRegion()->emplaceBlock();
  kernel = cast<kernel::FuncOp>(builder.create(state));
  program = func::FuncOp::create(builder, loc, "main", builder.getFunctionType({}, {}));
  program.addEntryBlock();
  builder.setInsertionPointToEnd(&kernel.getBody().front());
  g = std::make_unique<GraphBuilder>(builder, loc, *table);
}

KernelCase::~KernelCase() = default;

AffineExpr KernelCase::symbol(unsigned index) { return getAffineSymbolExpr(index, builder.getContext()); }

Value KernelCase::argument(ArrayRef<AffineExpr> shape, Type element) {
  constants.push_back({});
  return kernel.getBody().front().addArgument(tensorType(shape, element), builder.getUnknownLoc());
}

Value KernelCase::argument(ArrayRef<int64_t> shape, Type element) {
  return argument(ArrayRef<AffineExpr>(g->dims(shape)), element);
}

Value KernelCase::weight(ArrayRef<int64_t> shape, Type element) {
  Value result = argument(shape, element);
  OpBuilder outside(program.getContext());
  outside.setInsertionPointToEnd(&program.getBody().front());
  GraphBuilder main(outside, outside.getUnknownLoc(), *table);
  constants.back() = graph::ConstantOp::create(outside, outside.getUnknownLoc(), result.getType(),
                                               randomTensor(element, shape).toAttribute());
  return result;
}

void KernelCase::yield(ValueRange values) {
  kernel::YieldOp::create(builder, builder.getUnknownLoc(), values);
  makeLaunch();
}

void KernelCase::makeLaunch() {
  Block &entry = program.getBody().front();
  OpBuilder outside(program.getContext());
  outside.setInsertionPointToEnd(&entry);
  SmallVector<Value> operands;
  for (auto [argument, constant] : llvm::zip(kernel.getBody().getArguments(), constants))
    operands.push_back(constant ? constant : entry.addArgument(argument.getType(), argument.getLoc()));
  SmallVector<AffineExpr> symbols;
  for (unsigned i = 0; i < table->size(); ++i)
    symbols.push_back(symbol(i));
  auto results = kernel.getBody().front().getTerminator()->getOperandTypes();
  launch = kernel::LaunchOp::create(outside, outside.getUnknownLoc(), TypeRange(results), "tested", operands,
                                    mapOf(symbols, program.getContext()));
  func::ReturnOp::create(outside, outside.getUnknownLoc(), launch.getResults());
  program.setFunctionType(outside.getFunctionType(entry.getArgumentTypes(), TypeRange(results)));
}

interpreter::Tensor KernelCase::randomTensor(Type element, ArrayRef<int64_t> shape) {
  interpreter::Tensor tensor(element, shape);
  auto integer = llvm::dyn_cast<IntegerType>(element);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    if (integer)
      tensor.setInteger(i, int64_t(seed >> 20));
    else
      tensor.setNumber(i, double(int64_t(seed >> 40) - (1 << 23)) / (1 << 23));
  }
  return tensor;
}

void KernelCase::markConstants() {
  SmallVector<int64_t> positions;
  for (auto [i, operand] : llvm::enumerate(launch.getOperands()))
    if (graph::isConstantExpression(operand))
      positions.push_back(i);
  if (!positions.empty())
    kernel.setConstants(positions);
}

void KernelCase::scheduleAndPack(const TargetInfo &target, bool pack) {
  if (pack)
    markConstants();
  kernel::ScheduleAttr taken = schedule ? schedule : chooseSchedule(kernel, target);
  for (auto &[name, value] : wanted)
    taken = taken.with(name, value);
  ASSERT_EQ(obstacleOf(kernel, taken, target), "");
  kernel.setScheduleAttr(taken);
  reference = ModuleOp::create(module->getLoc());
  OpBuilder::atBlockBegin(reference->getBody()).clone(*kernel);
  logicalOperands.assign(launch.getOperands().begin(), launch.getOperands().end());
  passes::packConstants(*module);
  ASSERT_TRUE(succeeded(mlir::verify(*module))) << "packing broke the module";
}

std::string KernelCase::loops(const TargetInfo &target) {
  scheduleAndPack(target, /*pack=*/true);
  OwningOpRef<ModuleOp> loops(ModuleOp::create(module->getLoc()));
  EXPECT_TRUE(succeeded(emitKernel(kernel, *loops, target)));
  std::string text;
  llvm::raw_string_ostream(text) << *loops;
  return text;
}

void KernelCase::compile(const TargetInfo &target, bool pack) {
  static const bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)initialized;
  scheduleAndPack(target, pack);
  const double start = threadMilliseconds();
  OwningOpRef<ModuleOp> loops(ModuleOp::create(module->getLoc()));
  auto result = emitKernel(kernel, *loops, target);
  ASSERT_TRUE(succeeded(result));
  emitted = *result;
  if (getenv("TILEWRIGHT_TEST_PRINT"))
    loops->print(llvm::errs());
  CompileOptions options;
  options.verify = true;
  options.wantAsm = wantAssembly;
  auto object = compileModule(*loops, target, options);
  ASSERT_TRUE(bool(object)) << llvm::toString(object.takeError());
  milliseconds = threadMilliseconds() - start;
  assembly = object->assembly;
  jit = llvm::cantFail(llvm::orc::LLJITBuilder().create());
  for (StringRef bytes : {StringRef(object->bytes), builtinsObject(*target.architecture)})
    llvm::cantFail(jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(bytes)));
  entry = llvm::cantFail(jit->lookup("tested")).toPtr<void *>();
}

kernel::FuncOp KernelCase::unpacked() {
  return reference ? *reference->getOps<kernel::FuncOp>().begin() : kernel;
}

void KernelCase::prepare(ArrayRef<int64_t> symbols) {
  symbolValues.assign(symbols.begin(), symbols.end());
  inputs.clear();
  inputBuffers.clear();
  outputBuffers.clear();
  interpreter::ConstantEvaluator evaluator;
  auto before = unpacked();
  for (auto [argument, operand] : llvm::zip(before.getBody().getArguments(), launch.getOperands())) {
    interpreter::Shape shape;
    for (AffineExpr dim : dimsOf(argument))
      shape.push_back(*evaluate(dim, symbolValues));
    // The body reads logical values; what a launch gives lies as the kernel's layout says.
    const unsigned position = llvm::cast<BlockArgument>(argument).getArgNumber();
    const bool constant = graph::isConstantExpression(operand);
    inputs.push_back(
        constant ? llvm::cantFail(
                       evaluator.evaluate(logicalOperands.empty() ? operand : logicalOperands[position]))
                 : randomTensor(llvm::cast<RankedTensorType>(argument.getType()).getElementType(), shape));
    inputBuffers.push_back(bytesOf(constant ? llvm::cantFail(evaluator.evaluate(operand)) : inputs.back()));
  }
  for (Value value : kernel.getBody().front().getTerminator()->getOperands()) {
    int64_t count = graph::byteWidth(llvm::cast<RankedTensorType>(value.getType()).getElementType());
    for (AffineExpr dim : dimsOf(value))
      count *= *evaluate(dim, symbolValues);
    outputBuffers.emplace_back(count + 64, std::byte(0x5a));
  }
  if (emitted.scratchBytes)
    scratch.resize(*evaluate(emitted.scratchBytes, symbolValues) + 128);
}

void KernelCase::run(int64_t threads) {
  const int64_t extent = *evaluate(emitted.extent, symbolValues);
  std::vector<uint64_t> parameters;
  for (auto &buffer : outputBuffers)
    parameters.push_back(reinterpret_cast<uint64_t>(buffer.data()));
  for (auto &buffer : inputBuffers)
    parameters.push_back(reinterpret_cast<uint64_t>(buffer.data()));
  parameters.insert(parameters.end(), symbolValues.begin(), symbolValues.end());
  const uint64_t aligned = llvm::alignTo(reinterpret_cast<uint64_t>(scratch.data()), 64);
  const size_t fixed = parameters.size();
  for (int64_t thread = 0; thread < threads; ++thread) {
    parameters.resize(fixed);
    const uint64_t first = extent * thread / threads, end = extent * (thread + 1) / threads;
    for (uint64_t value : {first, end, aligned, uint64_t(0), uint64_t(0)})
      parameters.push_back(value);
    parameters.resize(20); // more than any test needs: integer arguments are passed alike
    auto *p = parameters.data();
    reinterpret_cast<void (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                              uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                              uint64_t, uint64_t, uint64_t, uint64_t)>(entry)(
        p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15],
        p[16], p[17], p[18], p[19]);
  }
}

void KernelCase::check(ArrayRef<int64_t> symbols, int64_t threads, double tolerance) {
  ASSERT_TRUE(entry);
  prepare(symbols);
  run(threads);
  compare(tolerance);
  auto once = outputBuffers;
  run(threads == 1 ? 2 : 1);
  EXPECT_EQ(once, outputBuffers) << "results depend on the number of threads";
}

void KernelCase::compare(double tolerance) {
  interpreter::Evaluator evaluator(*module);
  auto expected = evaluator.run(unpacked(), inputs, symbolValues);
  ASSERT_TRUE(bool(expected)) << llvm::toString(expected.takeError());
  for (auto [tensor, bytes] : llvm::zip(*expected, outputBuffers)) {
    interpreter::Tensor actual(tensor.elementType, tensor.shape, bytes.data(), nullptr);
    int64_t wrong = 0;
    for (int64_t i = 0; i < tensor.size() && wrong < 5; ++i) {
      const double want = tensor.number(i), got = actual.number(i);
      if (!(std::abs(want - got) <= tolerance * (1 + std::abs(want)))) {
        ADD_FAILURE() << "element " << i << " of " << tensor.describe() << ": " << got << ", expected "
                      << want;
        ++wrong;
      }
    }
    for (int64_t i = 0; i < 64; ++i)
      ASSERT_EQ(bytes[tensor.bytes() + i], std::byte(0x5a)) << "written beyond the end, byte " << i;
  }
}

} // namespace tilewright::codegen::testing
