// What a CUDA target makes of the kernels: PTX, or the stages before it, and one diagnostic for each node
// that has no code there yet.
#include "codegen/gpu/Ptx.h"
#include "compiler/Compilation.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using llvm::StringRef;

namespace tilewright::compiler {
namespace {

/// "unary <lgamma> of f64": what has no code.
std::string textOf(Operation *op) {
  std::string text = op->getName().stripDialect().str();
  if (auto unary = dyn_cast<graph::UnaryOp>(op))
    text += (" <" + graph::stringifyUnaryKind(unary.getKind()) + ">").str();
  if (auto binary = dyn_cast<graph::BinaryOp>(op))
    text += (" <" + graph::stringifyBinaryKind(binary.getKind()) + ">").str();
  if (op->getNumOperands()) {
    llvm::raw_string_ostream stream(text);
    stream << " of " << llvm::cast<RankedTensorType>(op->getOperand(0).getType()).getElementType();
  }
  return text;
}

/// The ONNX node ("op:name") that an op of a kernel comes from, for one of its launches.
StringRef nodeOf(Operation *op, kernel::LaunchOp launch) {
  auto nodes = launch->getAttrOfType<ArrayAttr>("nodes");
  unsigned position = 0;
  if (auto named = llvm::dyn_cast<NameLoc>(op->getLoc()))
    named.getName().strref().getAsInteger(10, position);
  if (!nodes || nodes.empty())
    return "";
  return llvm::cast<StringAttr>(nodes[position < nodes.size() ? position : 0]).getValue();
}

} // namespace

bool Compilation::fitsTarget() {
  using Problem = frontend::Diagnostic;
  const std::string &emit = options.emit;
  if (!target.isGpu && emit == "ptx")
    return fail(Problem::Invalid, "TW3003", "there is no PTX for target '" + options.target + "'",
                "name an NVIDIA GPU, such as --target cuda:sm_80, or take --emit=asm");
  if (target.isGpu && emit == "asm")
    return fail(Problem::Invalid, "TW3003", "the assembly of target '" + options.target + "' is PTX",
                "take --emit=ptx");
  if (target.isGpu && emit.empty())
    return fail(Problem::Unsupported, "TW3004",
                "no artifact can be made for target '" + options.target + "' yet, only PTX",
                "add --emit=ptx, or compile for a CPU");
  return true;
}

void Compilation::refuse(kernel::FuncOp kernel, ArrayRef<Operation *> ops) {
  llvm::StringSet<llvm::MallocAllocator> known;
  module->walk([&](kernel::LaunchOp launch) {
    if (launch.getKernel() != kernel.getSymName())
      return;
    for (Operation *op : ops) {
      frontend::Diagnostic diagnostic{};
      auto [type, node] = nodeOf(op, launch).split(':');
      diagnostic.kind = frontend::Diagnostic::Unsupported;
      diagnostic.code = "TW3101";
      diagnostic.node = node.str();
      diagnostic.op = type.str();
      diagnostic.message = "the CUDA back end makes no code for this yet: " + textOf(op);
      diagnostic.hint = "it makes element-wise kernels and reductions of rows; compile for a CPU";
      if (known.insert(diagnostic.node + '\n' + diagnostic.message).second && options.diagnostic)
        options.diagnostic(diagnostic);
    }
  });
}

bool Compilation::emitGpuText() {
  OwningOpRef<ModuleOp> threads = ModuleOp::create(UnknownLoc::get(&context));
  const auto precision =
      options.precision == "strict" ? codegen::Precision::Strict : codegen::Precision::Default;
  std::vector<codegen::gpu::Kernel> entries;
  bool complete = true;
  for (auto kernel : module->getOps<kernel::FuncOp>()) {
    llvm::SmallVector<Operation *> refused;
    llvm::append_range(entries, codegen::gpu::emitKernel(kernel, *threads, target, precision, refused));
    if (refused.empty())
      continue;
    complete = false;
    refuse(kernel, refused);
    options.text(("// no code for " + kernel.getSymName() + "\n").str());
  }
  if (options.emit == "loops") {
    std::string text;
    llvm::raw_string_ostream(text) << *threads << "\n";
    options.text(text);
    return complete;
  }
  auto made = codegen::gpu::compileToPtx(*threads, entries, target, options.emit == "llvm");
  if (!made)
    return fail(made.takeError());
  options.text(options.emit == "llvm" ? made->llvm : made->ptx);
  return complete;
}

} // namespace tilewright::compiler
