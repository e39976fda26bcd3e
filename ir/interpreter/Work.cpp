#include "ir/interpreter/Work.h"
#include "ir/Graph.h"
#include "llvm/ADT/TypeSwitch.h"
#include <limits>

using namespace mlir;

namespace tilewright::interpreter {

static double elementsOf(Value value) {
  auto type = llvm::cast<RankedTensorType>(value.getType());
  double count = 1;
  for (int64_t size : type.getShape())
    count *= ShapedType::isDynamic(size) ? std::numeric_limits<double>::infinity() : double(size);
  return count;
}

static double product(llvm::ArrayRef<int64_t> sizes) {
  double result = 1;
  for (int64_t size : sizes)
    result *= double(size);
  return result;
}

double workOf(Operation *op) {
  double work = 0;
  for (Value result : op->getResults())
    work += elementsOf(result);
  double each = llvm::TypeSwitch<Operation *, double>(op)
                    .Case([](graph::ContractOp contract) {
                      double summands = 1;
                      auto type = llvm::cast<RankedTensorType>(contract.getLhs().getType());
                      for (int64_t dim : contract.getLhsContract())
                        summands *= double(type.getDimSize(dim));
                      return summands;
                    })
                    .Case([](graph::ConvOp conv) { // taps and channels, of one output channel at most
                      return elementsOf(conv.getRhs());
                    })
                    .Case([](graph::WindowOp window) { return product(window.getKernel()); })
                    .Case([](graph::SortOp) { return 32.0; })
                    .Default([](Operation *) { return 1.0; });
  work *= each;
  if (!isa<graph::SliceOp, graph::GatherOp, graph::GatherNDOp, graph::ReshapeOp>(
          op)) // those read what they give
    for (Value operand : op->getOperands())
      work += elementsOf(operand);
  return work;
}

} // namespace tilewright::interpreter
