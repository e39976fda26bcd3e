// The stages of one compilation, in order.
#include "compiler/Compilation.h"
#include "codegen/lower/Lowering.h"
#include "codegen/machine/Compile.h"
#include "compiler/DimNames.h"
#include "compiler/Schedules.h"
#include "passes/Passes.h"
#include "tilewright/artifact.h"
#include "tilewright_compiler.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using llvm::StringRef;

namespace tilewright::compiler {

using Problem = frontend::Diagnostic;

Compilation::Compilation(Options given) : options(std::move(given)) {
  context.setThreadPool(callersThread);
  DialectRegistry registry;
  codegen::registerCodegenDialects(registry);
  registry.insert<graph::GraphDialect, kernel::KernelDialect, program::ProgramDialect, func::FuncDialect>();
  context.appendDialectRegistry(registry);
  codegen::loadCodegenDialects(context);
  context
      .loadDialect<graph::GraphDialect, kernel::KernelDialect, program::ProgramDialect, func::FuncDialect>();
}

bool Compilation::fail(Problem::Kind kind, StringRef code, const llvm::Twine &message, StringRef hint,
                       StringRef place) {
  Problem diagnostic{};
  auto [op, node] = place.split(':');
  diagnostic.op = op.str();
  diagnostic.node = node.str();
  diagnostic.kind = kind;
  diagnostic.code = code.str();
  diagnostic.message = message.str();
  diagnostic.hint = hint.str();
  if (options.diagnostic)
    options.diagnostic(diagnostic);
  return false;
}

bool Compilation::fail(llvm::Error error) {
  codegen::CodegenError taken = codegen::takeCodegenError(std::move(error));
  auto kind = taken.fault == codegen::Fault::Unsupported ? Problem::Unsupported
              : taken.fault == codegen::Fault::Invalid   ? Problem::Invalid
              : taken.fault == codegen::Fault::Io        ? Problem::Io
                                                         : Problem::Internal;
  return fail(kind, taken.codeText(), taken.message, taken.hint, taken.place);
}

//===- Import and lowering ---------------------------------------------------------------===//

bool Compilation::resolveTarget() {
  auto resolved = codegen::resolveTarget(options.target);
  if (!resolved)
    return fail(resolved.takeError());
  target = *resolved;
  return true;
}

/// Nodes of a graph and the graphs inside.
static size_t nodesIn(const onnx::Graph &graph) {
  size_t count = graph.nodes.size();
  for (const onnx::Node &node : graph.nodes)
    for (const onnx::Attribute &attribute : node.attributes)
      for (const onnx::Graph &inner : attribute.graphs)
        count += nodesIn(inner);
  return count;
}

static uint64_t weightBytesIn(const onnx::Graph &graph) {
  uint64_t bytes = 0;
  for (const onnx::Tensor &tensor : graph.initializers)
    bytes += tensor.byteSize();
  return bytes;
}

void Compilation::setBudget() {
  constexpr uint64_t defaultBytes = uint64_t(2) << 30,
                     copiesOfWeights = 3; // the largest is read, permuted, packed
  constexpr double defaultSeconds = 60, secondsPerNode = 0.1, bytesPerSecond = 10e6;
  const uint64_t weights = model ? weightBytesIn(model->graph) : 0;
  const double nodes = model ? double(nodesIn(model->graph)) : 0;
  budget = std::make_unique<Budget>(std::max(options.maxMemory, defaultBytes) + copiesOfWeights * weights,
                                    options.maxSeconds ? options.maxSeconds
                                                       : defaultSeconds + nodes * secondsPerNode +
                                                             double(weights) / bytesPerSecond);
}

bool Compilation::adopt(OwningOpRef<ModuleOp> graph) {
  module = std::move(graph);
  setBudget();
  return resolveTarget();
}

bool Compilation::sparesInputs() {
  const files::ReadFiles read = model->readFiles();
  for (const std::string &path : {options.outPath, options.resultPath})
    if (auto source = path.empty() ? std::nullopt : read.find(path))
      return fail(Problem::Io, "TW5014",
                  "writing '" + path + "' would destroy '" + *source +
                      "', which the model is read from: they are the same file",
                  "give the output another name");
  return true;
}

bool Compilation::import(const std::string &modelPath) {
  if (!resolveTarget() || (options.compiles && !fitsTarget()))
    return false;
  auto report = [&](const onnx::Error &error) {
    Problem diagnostic{};
    int status = int(error.status);
    diagnostic.kind = status == TW_IO            ? Problem::Io
                      : status == TW_UNSUPPORTED ? Problem::Unsupported
                      : status == TW_INTERNAL    ? Problem::Internal
                                                 : Problem::Invalid;
    diagnostic.code = error.codeText();
    diagnostic.hint = error.hint;
    diagnostic.message = error.message;
    diagnostic.node = error.node;
    diagnostic.op = error.op;
    diagnostic.tensor = error.tensor;
    if (options.diagnostic)
      options.diagnostic(diagnostic);
    return false;
  };
  auto read = onnx::readModel(modelPath);
  if (!read)
    return report(read.error());
  model = std::move(*read);
  if (!sparesInputs())
    return false;
  auto problems = onnx::checkModel(*model);
  for (const onnx::Error &problem : problems)
    report(problem);
  if (!problems.empty())
    return false;
  setBudget();
  frontend::ImportOptions how;
  how.budget = budget.get();
  how.dims = options.dims;
  how.strict = options.precision == "strict";
  ScopedDiagnosticHandler quiet(
      &context, [&](mlir::Diagnostic &d) { // a verifier's complaint about imported IR is our bug
        return success(d.getSeverity() != DiagnosticSeverity::Error);
      });
  SeparateDims apart = separateDims(*model, context, how);
  how.renamedDims = std::move(apart.renamed);
  auto imported = frontend::importModel(*model, context, how);
  for (const Problem &diagnostic : imported.diagnostics)
    if (options.diagnostic)
      options.diagnostic(diagnostic);
  if (!imported.module)
    return imported.diagnostics.empty()
               ? fail(Problem::Internal, "TW9001", "the model was refused without a reason")
               : false;
  for (const Problem &warning : apart.warnings)
    if (options.diagnostic)
      options.diagnostic(warning);
  module = std::move(imported.module);
  suspects = std::move(imported.suspects);
  return true;
}

void Compilation::warnOfUnusedSchedules(const passes::ScheduleOverrides &schedules) {
  llvm::StringSet<> hashes;
  for (auto kernel : module->getOps<kernel::FuncOp>())
    if (auto hash = kernel.getHash())
      hashes.insert(*hash);
  for (auto &entry : schedules)
    if (!hashes.contains(entry.getKey()))
      fail(Problem::Warning, "TW3603",
           "the model has no kernel " + entry.getKey() + ": its schedule is not used",
           "the hash changes with the model, its sizes, the target and the version of the compiler");
}

bool Compilation::lower(bool graphOnly) {
  std::string complaint;
  ScopedDiagnosticHandler collect(&context, [&](mlir::Diagnostic &d) {
    if (d.getSeverity() == DiagnosticSeverity::Error && complaint.empty())
      complaint = d.str();
    return success();
  });
  // Before passes merge what the checks are about.
  checks = codegen::collectShapeChecks(module->lookupSymbol<func::FuncOp>("main"), SymbolTable(*module));
  passes::PipelineOptions how;
  how.stopAfterGraph = graphOnly;
  how.strict = options.precision == "strict";
  how.verify = options.verify;
  how.fold = options.fold;
  how.budget = budget.get();
  passes::ScheduleOverrides schedules;
  if (!options.schedules.empty()) {
    auto parsed = parseSchedules(options.schedules);
    if (!parsed)
      return fail(parsed.takeError());
    schedules = std::move(*parsed);
  }
  std::string scheduleProblem;
  how.schedules = &schedules;
  how.scheduleProblem = &scheduleProblem;
  const bool lowered = succeeded(passes::runPipeline(*module, target, how));
  if (budget->exhausted())
    return fail(codegen::makeError(3502, codegen::Fault::Unsupported, budget->reason(), budgetHint));
  if (!scheduleProblem.empty())
    return fail(Problem::Invalid, "TW3602", scheduleProblem,
                "'tilewright inspect --json' prints the schedules that are taken without --schedules");
  if (!lowered)
    return fail(Problem::Internal, "TW9101", "a pass failed: " + complaint, "please report this model");
  if (!graphOnly)
    warnOfUnusedSchedules(schedules);
  main = module->lookupSymbol<func::FuncOp>("main");
  if (!graphOnly) {
    if (!convert())
      return false;
    cache = std::make_unique<codegen::KernelCache>(codegen::CacheOptions{options.cacheDir});
  }
  return true;
}

//===- Artifact -----------------------------------------------------------------------------===//

int32_t dtypeOf(Type element) {
  if (element.isInteger(1))
    return TW_BOOL;
  if (auto integer = llvm::dyn_cast<IntegerType>(element)) {
    bool natural = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 2:
      return natural ? TW_U2 : TW_I2;
    case 4:
      return natural ? TW_U4 : TW_I4;
    case 8:
      return natural ? TW_U8 : TW_I8;
    case 16:
      return natural ? TW_U16 : TW_I16;
    case 32:
      return natural ? TW_U32 : TW_I32;
    default:
      return natural ? TW_U64 : TW_I64;
    }
  }
  if (element.isF32())
    return TW_F32;
  if (element.isF64())
    return TW_F64;
  if (element.isF16())
    return TW_F16;
  if (element.isBF16())
    return TW_BF16;
  if (llvm::isa<Float8E4M3FNType>(element))
    return TW_F8E4M3FN;
  if (llvm::isa<Float8E4M3FNUZType>(element))
    return TW_F8E4M3FNUZ;
  if (llvm::isa<Float8E5M2Type>(element))
    return TW_F8E5M2;
  if (llvm::isa<Float8E5M2FNUZType>(element))
    return TW_F8E5M2FNUZ;
  if (llvm::isa<Float4E2M1FNType>(element))
    return TW_F4E2M1;
  return llvm::isa<Float8E8M0FNUType>(element) ? TW_F8E8M0 : TW_UNDEFINED;
}

static codegen::TensorDescription describeTensor(StringRef name, Type type, unsigned buffer,
                                                 ArrayRef<std::string> names) {
  codegen::TensorDescription tensor;
  tensor.name = name.str();
  tensor.dtype = dtypeOf(llvm::cast<RankedTensorType>(type).getElementType());
  tensor.buffer = buffer;
  for (AffineExpr dim : dimsOf(type)) {
    codegen::DimensionDescription d;
    if (auto value = constantOf(dim)) {
      d.value = *value;
    } else {
      auto symbol = llvm::dyn_cast<AffineSymbolExpr>(dim);
      d.value = symbol ? -1 : -2;
      d.symbol = symbol ? symbol.getPosition() : 0;
      d.text = toText(dim, names);
    }
    tensor.dims.push_back(d);
  }
  return tensor;
}

/// Dimensions that are left out when they are 1 are marked in what users read, too.
static void markSqueezed(codegen::TensorDescription &tensor, uint64_t mask) {
  tensor.squeezedDims = uint32_t(mask);
  for (auto [axis, dim] : llvm::enumerate(tensor.dims))
    if (mask >> axis & 1)
      dim.text += "?";
}

/// `location`: "op:node", as the importer writes it.
codegen::SiteDescription Compilation::siteOf(StringRef location) const {
  auto [op, node] = location.split(':');
  return {node.str(), op.str(), suspects.lookup(location)};
}

/// After the artifact's name, of which only a last `.so` is left out. `net` and `net.so` would share it,
/// which writeArtifact() refuses.
static std::string weightsName(StringRef artifact) {
  StringRef name = llvm::sys::path::filename(artifact);
  name.consume_back(".so");
  return (name + ".weights").str();
}

codegen::ArtifactDescription Compilation::describe() {
  SymbolTable symbols(*module);
  auto names = symbols.names();
  codegen::ArtifactDescription d;
  d.cpuFeatures = target.requiredCpuFeatures;
  d.flags = target.checksBounds ? TW_ARTIFACT_CHECKED : 0;
  d.weightBytes = weightBytes;
  for (unsigned i = 0; i < symbols.size(); ++i)
    d.symbols.push_back({symbols[i].name, symbols[i].lo, symbols[i].hi, symbols[i].origin != Symbol::Input});
  describeBuffers(d);
  llvm::SmallVector<unsigned> inputs(main.getNumArguments()), outputs(main.getNumResults());
  for (auto [number, buffer] : llvm::enumerate(program::buffersOf(steps())))
    if (buffer.getIo())
      (buffer.getKind() == program::BufferKind::input ? inputs : outputs)[*buffer.getIo()] = number;
  auto nameOf = [&](StringRef list, unsigned i) {
    return llvm::cast<StringAttr>(main->getAttrOfType<ArrayAttr>(list)[i]).getValue();
  };
  for (auto [i, argument] : llvm::enumerate(main.getArguments()))
    d.inputs.push_back(describeTensor(nameOf("graph.input_names", i), argument.getType(), inputs[i], names));
  auto squeezed = main->getAttrOfType<DenseI64ArrayAttr>("graph.squeezed_dims");
  for (auto [i, value] : llvm::enumerate(main.getBody().front().getTerminator()->getOperands())) {
    d.outputs.push_back(describeTensor(nameOf("graph.output_names", i), value.getType(), outputs[i], names));
    if (squeezed)
      markSqueezed(d.outputs.back(), squeezed[i]);
  }
  d.sites = sites;
  for (program::LaunchOp launch : program::launchesOf(steps()))
    d.launches.push_back(launch.getKernel().str());
  d.report = report();
  if (options.sideWeights)
    d.weightsFile = weightsName(options.outPath);
  return d;
}

llvm::Expected<std::string> Compilation::compileProgram(std::string *text, StringRef stage) {
  if (llvm::Error error = completeProgram())
    return error;
  OwningOpRef<ModuleOp> loops = ModuleOp::create(UnknownLoc::get(&context));
  if (failed(codegen::emitProgram({*program, bindings, target.checksBounds}, *loops)))
    return codegen::makeError(9304, codegen::Fault::Internal,
                              "the program has a step that cannot be emitted");
  if (text && stage == "loops") {
    llvm::raw_string_ostream(*text) << *loops;
    return std::string();
  }
  codegen::CompileOptions how;
  how.verify = options.verify;
  how.wantAsm = text && stage == "asm";
  how.wantLlvm = text && stage == "llvm";
  auto compile = [&]() -> llvm::Expected<std::string> {
    auto object = codegen::compileModule(*loops, target, how);
    if (!object)
      return object.takeError();
    if (text)
      *text = how.wantAsm ? object->assembly : object->llvm;
    return std::move(object->bytes);
  };
  if (text)
    return compile();
  std::string loopText;
  llvm::raw_string_ostream(loopText) << *loops;
  auto object = cache->get(codegen::kernelCacheKey(loopText, target, "program"), compile);
  if (!object)
    return object.takeError();
  return **object;
}

bool Compilation::writeArtifact() {
  if (options.progress)
    options.progress("program", 0, 1);
  auto program = compileProgram(nullptr, "");
  if (!program)
    return fail(program.takeError());
  std::vector<StringRef> objects;
  for (auto &entry : kernels)
    objects.push_back(entry.second.object);
  llvm::sort(objects);
  objects.push_back(*program);
  codegen::ArtifactPlace place(options.outPath);
  place.descriptor = options.outDescriptor;
  if (model)
    place.read = model->readFiles();
  if (llvm::Error error = codegen::writeArtifact(
          place, objects, describe(), target, [&](codegen::WeightSink &sink) { return writeWeights(sink); }))
    return fail(std::move(error));
  return true;
}

bool Compilation::emitText() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (options.emit == "graph" || options.emit == "tensor") {
    module->print(stream);
    options.text(text);
    return true;
  }
  if (options.emit == "program")
    return emitProgramText();
  if (target.isGpu)
    return emitGpuText();
  emitKernelTexts(options.emit);
  if (!compileKernels())
    return false;
  auto program = compileProgram(&text, options.emit);
  if (!program)
    return fail(program.takeError());
  options.text(text);
  return true;
}

} // namespace tilewright::compiler
