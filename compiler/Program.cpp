// The program: from tensor IR to its steps, and what the artifact says of them.
#include "compiler/Compilation.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using llvm::StringRef;

namespace tilewright::compiler {

bool Compilation::convert() {
  SymbolTable symbols(*module);
  program = codegen::convertToProgram(main, symbols, checks);
  if (llvm::Error error = verifyProgram())
    return fail(std::move(error));
  planConstants();
  const uint64_t need = leastRunMemory(steps(), symbols, weightBytes);
  if (!options.maxMemory || need <= options.maxMemory)
    return true;
  return fail(frontend::Diagnostic::Unsupported, "TW3501",
              "a run needs at least " + llvm::Twine(need) + " bytes, more than the " +
                  llvm::Twine(options.maxMemory) + " allowed",
              "raise --max-memory, or give smaller dimensions with --dim");
}

llvm::Error Compilation::verifyProgram() {
  std::string complaint;
  ScopedDiagnosticHandler collect(&context, [&](mlir::Diagnostic &d) {
    if (complaint.empty())
      complaint = d.str();
    return success();
  });
  if (!options.verify || succeeded(verify(*program)))
    return llvm::Error::success();
  return codegen::makeError(9303, codegen::Fault::Internal, "the program is not sound: " + complaint,
                            "please report this model");
}

llvm::Error Compilation::completeProgram() {
  codegen::addScratch(*program, bindings);
  assignSites();
  return verifyProgram();
}

/// As the artifact has it; for GPUs, of which no artifact is made, as far as it goes without compiled
/// kernels.
bool Compilation::emitProgramText() {
  if (!target.isGpu) {
    if (!compileKernels())
      return false;
    if (llvm::Error error = completeProgram())
      return fail(std::move(error));
  }
  std::string text;
  llvm::raw_string_ostream(text) << *program;
  options.text(text);
  return true;
}

/// A growable buffer's site is the place in the model to name when it cannot grow.
void Compilation::describeBuffers(codegen::ArtifactDescription &description) {
  llvm::DenseMap<Operation *, uint32_t> numbers;
  for (program::BufferOp buffer : program::buffersOf(steps())) {
    const uint32_t number = uint32_t(numbers.size());
    numbers[buffer] = number;
    const uint32_t alias = buffer.getAlias() ? numbers.lookup(buffer.getAlias().getDefiningOp()) : UINT32_MAX;
    description.buffers.push_back({uint32_t(buffer.getKind()), buffer.getIo().value_or(0), buffer.getBirth(),
                                   buffer.getDeath(), alias, 64});
    auto name = llvm::dyn_cast<NameLoc>(buffer.getLoc());
    if (!name || !program::isGrowable(buffer))
      continue;
    sites.push_back(siteOf(name.getName()));
    description.buffers.back().site = sites.size();
  }
}

/// Numbers for all places in the model at which a run may fail: checks have theirs, in front.
void Compilation::assignSites() {
  sites.assign(1, {"", "", ""}); // what belongs to no node
  for (const codegen::ShapeCheck &check : checks) {
    sites.push_back(siteOf(check.node));
    sites.back().sizes = check.what;
  }
  for (program::LaunchOp launch : program::launchesOf(steps())) {
    auto nodes = launch->getAttrOfType<ArrayAttr>("nodes");
    auto siteOfNode = [&](size_t node) {
      return node < nodes.size() ? siteOf(llvm::cast<StringAttr>(nodes[node]).getValue())
                                 : codegen::SiteDescription{};
    };
    if (target.checksBounds) // for the launch as a whole
      sites.push_back(nodes.empty() ? codegen::SiteDescription{} : siteOfNode(nodes.size() - 1));
    launch.setSite(uint32_t(sites.size()));
    for (unsigned op : kernels[launch.getKernel()].siteOps)
      sites.push_back(siteOfNode(op));
  }
  steps().walk<WalkOrder::PreOrder>([&](Operation *op) {
    auto name = llvm::dyn_cast<NameLoc>(op->getLoc());
    if (!name || !isa<program::DefineOp, program::CheckOp>(op) || op->hasAttr("site"))
      return;
    op->setAttr("site", IntegerAttr::get(IntegerType::get(&context, 32), int64_t(sites.size())));
    sites.push_back(siteOf(name.getName()));
  });
}

} // namespace tilewright::compiler
