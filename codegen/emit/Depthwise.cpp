#include "codegen/emit/Conv.h"
using namespace mlir;
namespace tilewright::codegen {
LogicalResult emitDepthwise(ValueEmitter &e, graph::ConvOp op, EmittedKernel &result) { return failure(); }
}
