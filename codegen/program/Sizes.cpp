// The sizes of buffers, of scratch and of outputs, from the symbols that are known before a run. The back end
// takes more than linear time for long functions: each stores a bounded number.
#include "codegen/program/Sizes.h"
#include "codegen/program/Scalars.h"

using namespace mlir;
using llvm::SmallVector;

namespace tilewright::codegen {

namespace {

constexpr size_t storesPerFunction = 256;

class SizesEmitter {
public:
  SizesEmitter(const ProgramInputs &in, ModuleOp module)
      : in(in), func(programOf(in.program)), symbols(in.program), buffers(program::buffersOf(func)),
        module(module), b(module.getContext()), loc(UnknownLoc::get(module.getContext())),
        s(b, loc, symbols) {}

  /// Derived symbols that are known before the run, in the order in which they depend on each other.
  void emitDerivedSymbols() {
    SmallVector<unsigned> derived;
    for (unsigned index = 0; index < symbols.size(); ++index)
      if (symbols[index].origin == Symbol::Derived && !symbols[index].atRunTime)
        derived.push_back(index);
    SmallVector<std::string> parts;
    for (llvm::ArrayRef<unsigned> rest = derived; !rest.empty();
         rest = rest.drop_front(std::min(rest.size(), storesPerFunction))) {
      parts.push_back("tilewright_derive_part" + std::to_string(parts.size()));
      function(parts.back(), {s.pointer()}, {});
      for (unsigned index : rest.take_front(storesPerFunction))
        s.store(saturated([&] { return s.derive(symbols[index]); }), s.symbolAddress(index));
      func::ReturnOp::create(b, loc);
    }
    emitCalls("tilewright_derive", 1, parts);
  }

  /// Sizes of buffers, and then the scratch's. One that does not fit is enough to refuse the run: it makes
  /// all that follow -1 as well.
  void emitSizes() {
    const size_t count = buffers.size() + 1;
    SmallVector<std::string> parts;
    for (size_t first = 0; first < count; first += storesPerFunction)
      parts.push_back(emitSizesPart(first, std::min(count, first + storesPerFunction)));
    auto op = function("tilewright_sizes", {s.pointer(), s.pointer()}, {});
    Value overflow = arith::ConstantOp::create(b, loc, b.getBoolAttr(false));
    for (const std::string &part : parts)
      overflow = func::CallOp::create(b, loc, part, TypeRange{b.getI1Type()},
                                      ValueRange{op.getArgument(0), op.getArgument(1), overflow})
                     .getResult(0);
    func::ReturnOp::create(b, loc);
  }

  void emitOutputDims() {
    Dims dims;
    for (Value output : func.getBody().front().getTerminator()->getOperands())
      dims.append(dimsOf(program::tensorOf(output)));
    SmallVector<std::string> parts;
    for (size_t first = 0; first < dims.size(); first += storesPerFunction) {
      parts.push_back("tilewright_dims_part" + std::to_string(parts.size()));
      auto op = function(parts.back(), {s.pointer(), s.pointer()}, {});
      for (size_t i = first; i < std::min(dims.size(), first + storesPerFunction); ++i)
        s.store(notNegative(dims[i]), s.offset(op.getArgument(1), 8 * int64_t(i)));
      func::ReturnOp::create(b, loc);
    }
    emitCalls("tilewright_output_dims", 2, parts);
  }

private:
  /// A function of `count` pointers that calls the parts with them.
  void emitCalls(llvm::StringRef name, size_t count, ArrayRef<std::string> parts) {
    auto op = function(name, SmallVector<Type>(count, s.pointer()), {});
    for (const std::string &part : parts)
      func::CallOp::create(b, loc, part, TypeRange{}, op.getArguments());
    func::ReturnOp::create(b, loc);
  }

  /// What leaves 64 bits is as large as can be: too large wherever it is a size.
  Value saturated(llvm::function_ref<Value()> calculate) {
    s.overflow = arith::ConstantOp::create(b, loc, b.getBoolAttr(false));
    Value result = calculate();
    return s.select(std::exchange(s.overflow, Value()), s.i64(INT64_MAX), result);
  }

  func::FuncOp function(llvm::StringRef name, ArrayRef<Type> inputs, ArrayRef<Type> results) {
    b.setInsertionPointToEnd(module.getBody());
    auto op = func::FuncOp::create(b, loc, name, b.getFunctionType(inputs, results));
    s.forget(0);
    s.remember = true;
    b.setInsertionPointToEnd(op.addEntryBlock());
    s.symbolArray = op.getArgument(0);
    return op;
  }

  /// i1 part(symbols, sizes, i1): whether any size so far does not fit.
  std::string emitSizesPart(size_t first, size_t end) {
    std::string name = "tilewright_sizes_part" + std::to_string(first / storesPerFunction);
    auto op = function(name, {s.pointer(), s.pointer(), b.getI1Type()}, {b.getI1Type()});
    s.overflow = op.getArgument(2);
    for (size_t i = first; i < end; ++i) {
      Value bytes = i == buffers.size() ? mostScratch() : bytesOf(buffers[i]);
      s.store(s.select(s.overflow, s.i64(-1), bytes), s.offset(op.getArgument(1), int64_t(i) * 8));
    }
    func::ReturnOp::create(b, loc, ValueRange{std::exchange(s.overflow, Value())});
    return name;
  }

  /// A negative size counts as 0 here: the program refuses it, which can name the node, before anything runs.
  Value notNegative(AffineExpr size) {
    Value value = s.value(size);
    return symbols.lowerBound(size) >= 0 ? value : arith::MaxSIOp::create(b, loc, value, s.i64(0));
  }

  Value bytesOf(program::BufferOp buffer) {
    if (buffer.getKind() == program::BufferKind::input || program::isGrowable(buffer))
      return s.i64(0);
    const Dims dims = dimsOf(buffer.getTensor());
    if (llvm::all_of(dims, [&](AffineExpr size) { return symbols.lowerBound(size) >= 0; }))
      return s.value(program::bytesOf(buffer.getResult()));
    // Dimension by dimension: a product of two negative ones would be positive.
    Value bytes = s.i64(graph::byteWidth(program::tensorOf(buffer.getResult()).getElementType()));
    for (AffineExpr size : dims)
      bytes = s.mul(bytes, notNegative(size));
    return bytes;
  }

  /// The most that any launch needs, without those whose need the program finds out.
  Value mostScratch() {
    Value most = s.i64(0);
    llvm::DenseSet<std::pair<const void *, const void *>> seen;
    func.walk([&](program::LaunchOp launch) {
      const KernelBinding &kernel = in.kernels.find(launch.getKernel())->second;
      if (tilewright::constantOf(kernel.scratchBytes) == 0 || hasOwnScratch(launch, kernel, symbols))
        return;
      AffineMap map = launch.getSymbols();
      if (seen.insert({&kernel, map.getAsOpaquePointer()}).second)
        most = arith::MaxSIOp::create(b, loc, most, s.value(kernel.scratchBytes, map));
    });
    return most;
  }

  const ProgramInputs &in;
  program::FuncOp func;
  SymbolTable symbols;
  std::vector<program::BufferOp> buffers;
  ModuleOp module;
  OpBuilder b;
  Location loc;
  Scalars s;
};

} // namespace

void emitSizes(const ProgramInputs &inputs, ModuleOp module) {
  SizesEmitter emitter(inputs, module);
  emitter.emitDerivedSymbols();
  emitter.emitSizes();
  emitter.emitOutputDims();
}

} // namespace tilewright::codegen
