/// GraphImporter.cpp - the main function, scopes, nodes in order, and calls of model-local functions inlined.
#include "frontend/GraphImporter.h"
#include "frontend/reader/Substitute.h"
#include "mlir/IR/Verifier.h"
#include "tilewright.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
namespace tilewright::frontend {

static std::string functionKey(std::string_view domain, std::string_view name, std::string_view overload) {
  return (llvm::Twine(domain) + ":" + name + ":" + overload).str();
}

GraphImporter::GraphImporter(const onnx::Model &model, MLIRContext &context, const ImportOptions &options)
    : options(options), model(model), context(context), module(ModuleOp::create(UnknownLoc::get(&context))),
      symbols(*module), builder(&context) {
  for (const onnx::Function &function : model.functions)
    functions[functionKey(function.domain, function.name, function.overload)] = &function;
  if (!model.file)
    return;
  llvm::SmallString<256> path(model.path);
  if (llvm::sys::fs::make_absolute(path))
    return;
  modelFile = path.str();
  modelFolder = llvm::sys::path::parent_path(path);
}

Diagnostic diagnosticOf(const onnx::Error &error) {
  Diagnostic::Kind kind = Diagnostic::Internal;
  switch (error.status) {
  case onnx::Status::Unsupported:
    kind = Diagnostic::Unsupported;
    break;
  case onnx::Status::Invalid:
    kind = Diagnostic::Invalid;
    break;
  case onnx::Status::Io:
    kind = Diagnostic::Io;
    break;
  case onnx::Status::Internal:
    break;
  }
  return {kind, error.codeText(), error.message, error.hint, error.node, error.op, error.tensor};
}

ImportResult GraphImporter::run() {
  importMain();
  checkDimOverrides();
  ImportResult result;
  result.diagnostics = std::move(diagnostics);
  result.suspects = std::move(suspects);
  symbols.save();
  if (result.diagnostics.empty()) {
    removeSequences();
    result.module = std::move(module);
  }
  return result;
}

void GraphImporter::report(Diagnostic diagnostic) {
  const size_t most = std::max<size_t>(options.maxDiagnostics, 1);
  if (diagnostics.size() < most)
    diagnostics.push_back(std::move(diagnostic));
  stopped |= diagnostics.size() >= most; // no more would be reported
}

//===- The main function --------------------------------------------------------===//

void GraphImporter::importMain() {
  builder.setInsertionPointToEnd(module->getBody());
  auto function =
      func::FuncOp::create(builder, builder.getUnknownLoc(), "main", builder.getFunctionType({}, {}));
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToEnd(block);
  Scope scope;
  current = &scope;
  SmallVector<Attribute> inputNames;
  importInputs(scope, *block, inputNames);
  importInitializers(model.graph, scope);
  importNodes(model.graph, scope);
  finishMain(function, scope, inputNames);
  current = nullptr;
}

void GraphImporter::importInputs(Scope &scope, Block &block, SmallVectorImpl<Attribute> &names) {
  llvm::StringSet<> defaults; // initialisers that are also inputs are constants
  for (const onnx::Tensor &tensor : model.graph.initializers)
    defaults.insert(tensor.name);
  for (const onnx::SparseTensor &sparse : model.graph.sparseInitializers)
    defaults.insert(sparse.values.name);
  for (const onnx::ValueInfo &input : model.graph.inputs) {
    if (defaults.contains(input.name))
      continue;
    Type type = inputType(input);
    names.push_back(builder.getStringAttr(StringRef(input.name)));
    Value value = type ? Value(block.addArgument(type, locationOf("Input", input.name))) : Value();
    define(scope, input.name, value, nullptr);
  }
}

static std::string_view kindName(onnx::TypeInfo::Kind kind) {
  using Kind = onnx::TypeInfo::Kind;
  switch (kind) {
  case Kind::Unknown:
    return "value of no declared type";
  case Kind::Tensor:
    return "tensor";
  case Kind::SparseTensor:
    return "sparse tensor";
  case Kind::Sequence:
    return "sequence";
  case Kind::Optional:
    return "optional";
  case Kind::Map:
    return "map";
  case Kind::Opaque:
    return "opaque value";
  }
  return "value";
}

bool GraphImporter::fitsInterface(size_t rank, StringRef kind, StringRef name) {
  if (rank <= TW_MAX_RANK)
    return true;
  report({Diagnostic::Unsupported, "TW1213",
          (kind + " '" + name + "' has " + llvm::Twine(rank) +
           " dimensions; inputs and outputs have at most " + llvm::Twine(TW_MAX_RANK))
              .str(),
          "reshape it inside the model", "", "", name.str()});
  return false;
}

Type GraphImporter::inputType(const onnx::ValueInfo &input) {
  std::string name(input.name);
  if (input.type.kind != onnx::TypeInfo::Kind::Tensor) {
    report({Diagnostic::Unsupported, "TW1202",
            ("input '" + llvm::Twine(name) + "' is a " + StringRef(kindName(input.type.kind)) +
             "; only tensors are supported")
                .str(),
            "give the model tensor inputs", "", "", name});
    return {};
  }
  Type element = elementType(input.type.elementType);
  if (!element) {
    report({Diagnostic::Unsupported, "TW1202",
            ("input '" + llvm::Twine(name) + "' has elements of type " +
             StringRef(onnx::elementTypeName(input.type.elementType)) + ", which is not supported")
                .str(),
            "numbers and bool are; do text processing before the model", "", "", name});
    return {};
  }
  if (!input.type.hasShape) {
    report({Diagnostic::Unsupported, "TW1207",
            "input '" + name + "' declares no shape, so not even its rank is known",
            "declare one, with names for dimensions that vary", "", "", name});
    return {};
  }
  if (!fitsInterface(input.type.shape.size(), "input", name))
    return {};
  Dims dims;
  for (size_t axis = 0; axis < input.type.shape.size(); ++axis)
    dims.push_back(inputDim(input, axis));
  RankedTensorType type = tensorType(dims, element);
  if (bytesFit(type))
    return type;
  report({Diagnostic::Invalid, "TW2008",
          "input '" + name + "' is larger than any memory: " + shapeText(type, symbols),
          "is a dimension damaged? a large one is given by its name, or with --dim", "", "", name});
  return {};
}

AffineExpr GraphImporter::inputDim(const onnx::ValueInfo &input, size_t axis) {
  const onnx::Dimension &declared = input.type.shape[axis];
  if (declared.kind == onnx::Dimension::Kind::Value)
    return constantDim(&context, declared.value);
  // Exporters write "?" (or nothing) for several unrelated dimensions.
  std::string name(declared.name);
  if (declared.kind == onnx::Dimension::Kind::Unknown || name.empty() || name == "?")
    name = (llvm::Twine(input.name) + "_" + llvm::Twine(axis)).str();
  std::string place = (llvm::Twine(input.name) + "/" + llvm::Twine(axis)).str(), wanted = name;
  if (auto renamed = options.renamedDims.find(place); renamed != options.renamedDims.end())
    name = renamed->second;
  for (const DimRange &range : options.dims) {
    if (range.name != wanted && range.name != name)
      continue;
    usedOverrides.insert(range.name);
    return range.lo == range.hi ? constantDim(&context, range.lo) : symbols.input(name, range.lo, range.hi);
  }
  return symbols.input(name);
}

void GraphImporter::checkDimOverrides() {
  for (const DimRange &range : options.dims) {
    bool known = usedOverrides.contains(range.name);
    if (known && range.lo >= 0 && range.lo <= range.hi)
      continue;
    std::string names;
    for (const std::string &name : symbols.names())
      names += (names.empty() ? "" : ", ") + name;
    report({Diagnostic::Invalid, "TW1208",
            known ? "the range of dimension '" + range.name + "' is empty or negative"
                  : "no input has a dimension named '" + range.name + "'",
            names.empty() ? "all input dimensions are fixed" : "the input dimensions are: " + names, "", "",
            ""});
  }
}

void GraphImporter::finishMain(func::FuncOp function, const Scope &scope, ArrayRef<Attribute> inputNames) {
  SmallVector<Value> results;
  SmallVector<Attribute> names;
  for (const onnx::ValueInfo &output : model.graph.outputs) {
    auto found = scope.values.find(output.name);
    if (found == scope.values.end())
      report({Diagnostic::Invalid, "TW1204",
              ("nothing defines the output '" + llvm::Twine(output.name) + "'").str(),
              "the model is damaged; export it again", "", "", std::string(output.name)});
    else if (found->second && isa<TupleType>(found->second.getType())) {
      for (auto [index, element] : llvm::enumerate(found->second.getDefiningOp()->getOperands())) {
        results.push_back(element);
        names.push_back(builder.getStringAttr(output.name + llvm::Twine(".") + llvm::Twine(index)));
      }
      continue;
    } else if (found->second && requireTensor(found->second, output.name, nullptr)) {
      std::optional<Value> value = withRank(found->second, output, /*inBranch=*/false);
      if (value &&
          fitsInterface(llvm::cast<RankedTensorType>(value->getType()).getRank(), "output", output.name))
        results.push_back(*value);
    }
    names.push_back(builder.getStringAttr(StringRef(output.name)));
  }
  if (results.size() != names.size())
    return; // something failed and has been reported
  func::ReturnOp::create(builder, builder.getUnknownLoc(), results);
  SmallVector<Type> types(llvm::map_range(results, [](Value value) { return value.getType(); }));
  function.setType(builder.getFunctionType(function.getBody().getArgumentTypes(), types));
  function->setAttr("graph.input_names", builder.getArrayAttr(inputNames));
  function->setAttr("graph.output_names", builder.getArrayAttr(names));
  markOutputs(function, results);
}

//===- Scopes ---------------------------------------------------------------------===//

bool GraphImporter::isAbsent(std::string_view name) const {
  for (const Scope *scope = current; scope; scope = scope->parent)
    if (scope->values.contains(name) || scope->absent.contains(name))
      return !scope->values.contains(name);
  return false;
}

std::optional<Value> GraphImporter::lookup(std::string_view name) const {
  for (const Scope *scope = current; scope; scope = scope->parent)
    if (auto found = scope->values.find(name); found != scope->values.end())
      return found->second;
  return std::nullopt;
}

void GraphImporter::define(Scope &scope, std::string_view name, Value value, const onnx::Node *node) {
  if (scope.values.try_emplace(name, value).second)
    return;
  report({Diagnostic::Invalid, "TW1204", ("the name '" + llvm::Twine(name) + "' is defined twice").str(),
          "names must be unique within a graph", node ? std::string(node->name) : "",
          node ? std::string(node->opType) : "", std::string(name)});
}

void GraphImporter::poison(const onnx::Node &node, Scope &scope) {
  for (std::string_view name : node.outputs)
    if (!name.empty())
      define(scope, name, {}, &node);
}

Location GraphImporter::locationOf(const onnx::Node &node) const {
  std::string_view name = node.name;
  if (name.empty() && !node.outputs.empty())
    name = node.outputs.front();
  return locationOf(node.opType, name);
}

Location GraphImporter::locationOf(std::string_view kind, std::string_view name) const {
  return NameLoc::get(StringAttr::get(&context, llvm::Twine(kind) + ":" + name));
}

Dims GraphImporter::defined(GraphBuilder &g, Value value, llvm::StringRef name, int64_t lo, int64_t hi) {
  if (auto found = definitions.find(value); found != definitions.end()) {
    const Definition &known = found->second;
    Block *block = g.b.getBlock();
    while (block && block != known.block)
      block = block->getParentOp() ? block->getParentOp()->getBlock() : nullptr;
    if (block && known.lo >= lo && known.hi <= hi)
      return known.dims;
  }
  Dims dims = g.valueOrDefine(value, name, lo, hi);
  definitions[value] = {dims, g.b.getBlock(), lo, hi};
  return dims;
}

//===- Graphs and nodes -------------------------------------------------------------===//

void GraphImporter::importInitializers(const onnx::Graph &graph, Scope &scope) {
  for (const onnx::Tensor &tensor : graph.initializers) {
    define(scope, tensor.name, constant(tensor, locationOf("Constant", tensor.name), "", ""), nullptr);
  }
  for (const onnx::SparseTensor &sparse : graph.sparseInitializers)
    define(scope, sparse.values.name, this->sparse(sparse, locationOf("Constant", sparse.values.name)),
           nullptr);
}

void GraphImporter::importNodes(const onnx::Graph &graph, Scope &scope) {
  for (const onnx::Node &node : graph.nodes) {
    if (!scope.function) {
      importNode(node, scope);
      continue;
    }
    // In a function body attributes may be references to the caller's. Subgraphs were substituted with their
    // node.
    if (scope.parent || !onnx::refersToAttributes(node)) {
      importNode(node, scope);
      continue;
    }
    auto substituted = onnx::substituteAttributes(node, *scope.call, *scope.function, attributeBytes);
    if (substituted) {
      importNode(*substituted, scope);
      continue;
    }
    report(diagnosticOf(substituted.error()));
    poison(node, scope);
  }
}

bool GraphImporter::admitNode(const onnx::Node &node) {
  if (stopped)
    return false;
  const bool many = ++importedNodes > options.maxNodes;
  if (!many && !(options.budget && options.budget->exhausted()))
    return true;
  stopped = true;
  report({Diagnostic::Unsupported, "TW2009",
          many ? "the model has more than " + std::to_string(options.maxNodes) +
                     " nodes when its functions and subgraphs are expanded"
               : options.budget->reason() + "; it got to this node",
          many ? "do its functions call each other again and again?" : budgetHint, std::string(node.name),
          std::string(node.opType), ""});
  return false;
}

void GraphImporter::importNode(const onnx::Node &node, Scope &scope) {
  if (!admitNode(node))
    return poison(node, scope);
  bool poisoned = false, usable = operandsUsable(node, poisoned);
  if (!usable || poisoned) {
    if (usable)
      survey(node, scope.function);
    return poison(node, scope);
  }
  auto function = functions.find(functionKey(node.domain, node.opType, node.overload));
  if (function != functions.end())
    return importCall(node, *function->second, scope);
  std::optional<int64_t> opset = model.opsetOf(node, scope.function);
  if (!opset &&
      !node.domain
           .empty()) // exporters forget to import contributed domains; their operators have one version
    opset = 1;
  if (!opset || (node.domain.empty() && (*opset < onnx::oldestOpset || *opset > onnx::newestOpset))) {
    report({opset ? Diagnostic::Unsupported : Diagnostic::Invalid, "TW1212",
            opset ? "opset " + std::to_string(*opset) + " is not supported"
                  : "the model does not say which opset it uses",
            "opsets " + std::to_string(onnx::oldestOpset) + " to " + std::to_string(onnx::newestOpset) +
                " are supported",
            std::string(node.name), std::string(node.opType), ""});
    return poison(node, scope);
  }
  importOperator(node, scope, static_cast<int>(*opset));
}

bool GraphImporter::operandsUsable(const onnx::Node &node, bool &poisoned) {
  for (std::string_view name : node.inputs) {
    if (name.empty() || isAbsent(name))
      continue;
    std::optional<Value> value = lookup(name);
    if (!value) {
      report({Diagnostic::Invalid, "TW1204",
              ("nothing defines '" + llvm::Twine(name) + "', which this node uses").str(),
              "the model is damaged or its nodes are out of order", std::string(node.name),
              std::string(node.opType), std::string(name)});
      return false;
    }
    poisoned |= !*value;
  }
  return true;
}

bool GraphImporter::requireTensor(Value value, std::string_view name, const onnx::Node *user) {
  if (isa<RankedTensorType>(value.getType()))
    return true;
  report({Diagnostic::Unsupported, "TW1202",
          ("'" + llvm::Twine(name) +
           "' is a sequence or an empty optional value, and only a tensor is supported here")
              .str(),
          "sequences are supported where their elements are known when the model is compiled",
          user ? std::string(user->name) : "", user ? std::string(user->opType) : "", std::string(name)});
  return false;
}

bool GraphImporter::requireTensors(const onnx::Node &node) {
  return llvm::all_of(node.inputs, [&](std::string_view name) {
    Value value = name.empty() ? Value() : lookup(name).value_or(Value());
    return !value || requireTensor(value, name, &node);
  });
}

/// Who takes their elements has taken them.
void GraphImporter::removeSequences() {
  SmallVector<UnrealizedConversionCastOp> casts;
  module->walk([&](UnrealizedConversionCastOp cast) { casts.push_back(cast); });
  for (UnrealizedConversionCastOp cast : llvm::reverse(casts))
    cast.erase();
}

void GraphImporter::importOperator(const onnx::Node &node, Scope &scope, int opset) {
  auto row = operators().find((llvm::Twine(node.domain) + ":" + node.opType).str());
  if (row == operators().end()) {
    unknownOperator(node, opset);
    surveyInside(node, scope.function);
    return poison(node, scope);
  }
  if (const Either *either = eitherOperand(node))
    return importOnSides(node, scope, opset, *either);
  const bool tensorsOnly = !takesSequences(node.domain, node.opType);
  if (tensorsOnly && !requireTensors(node))
    return poison(node, scope);
  NodeImporter importer(*this, node, builder, locationOf(node), symbols, opset);
  Block *block = builder.getBlock();
  Operation *last = block->empty() ? nullptr : &block->back();
  if (tensorsOnly || node.opType == "Loop")
    noteSuspect(importer);
  std::optional<uint64_t> squeezed = squeezedOperands(importer);
  if (squeezed) {
    row->second(importer);
    requireComputable(importer);
    keepSqueezed(importer, *squeezed);
  }
  builder.setInsertionPointToEnd(block); // wherever a failed If or Loop left off
  if (!importer.failed)
    importer.failed = !sizesFit(importer, *block, last);
  refuseImpossible(importer, last ? std::next(last->getIterator()) : block->begin(), block->end());
  for (size_t index = 0; index < node.outputs.size(); ++index) {
    std::string_view name = node.outputs[index];
    if (name.empty())
      continue;
    Value value = index < importer.results.size() ? importer.results[index] : Value();
    if (!value && !importer.failed)
      report({Diagnostic::Unsupported, "TW1203",
              (llvm::Twine(node.opType) + "'s output " + llvm::Twine(index) + " is not supported").str(), "",
              std::string(node.name), std::string(node.opType), std::string(name)});
    define(scope, name, importer.failed ? Value() : value, &node);
  }
}

/// Of the inputs that are not part of the model: where elements go; sizes beside data; else what has a size
/// of its own. The last of several.
void GraphImporter::noteSuspect(NodeImporter &n) {
  auto suspicion = [&](size_t index) -> int {
    Value operand = n.operand(index);
    if (!operand || !isa<RankedTensorType>(operand.getType()) ||
        isa_and_present<graph::ConstantOp, graph::WeightOp>(operand.getDefiningOp()))
      return 0;
    StringRef op = n.node.opType;
    if (index == (op == "OneHot" ? 0 : 1) &&
        (op.starts_with("Gather") || op.starts_with("Scatter") || op == "OneHot"))
      return 4;
    auto type = llvm::cast<RankedTensorType>(operand.getType());
    bool besideData = n.operand(0) && isa<RankedTensorType>(n.operand(0).getType()) &&
                      GraphBuilder::elementType(n.operand(0)) != type.getElementType();
    return besideData && type.getElementType().isIntOrIndex() ? 3 : type.hasStaticShape() ? 1 : 2;
  };
  int most = 0;
  size_t suspect = 0;
  for (size_t index = 0; index < n.operandCount(); ++index)
    if (int here = suspicion(index); here > 0 && here >= most)
      most = here, suspect = index;
  if (most > 0)
    suspects[llvm::cast<NameLoc>(n.loc).getName()] = std::string(n.node.inputs[suspect]);
}

/// A way around an operator whose values are none that the runtime's interface has; "" for others.
static StringRef wayAround(StringRef key) {
  return llvm::StringSwitch<StringRef>(key)
      .Case("ai.onnx.ml:ZipMap",
            "convert the model with the option zipmap=False: the scores are then a tensor with a "
            "column for each class")
      .Cases({"ai.onnx.ml:CastMap", "ai.onnx.ml:DictVectorizer"},
             "maps are no tensors: give the model a tensor with a column for each feature")
      .Cases({"ai.onnx.ml:CategoryMapper", ":StringNormalizer", ":StringConcat", ":StringSplit",
              ":RegexFullMatch", "com.microsoft:Tokenizer"},
             "text is no tensor of numbers: do text processing before the model")
      .Default("");
}

void GraphImporter::unknownOperator(const onnx::Node &node, int64_t opset) {
  std::string key = (llvm::Twine(node.domain) + ":" + node.opType).str();
  StringRef nearest;
  unsigned distance = std::max<unsigned>(1, node.opType.size() / 3) + 1;
  for (const auto &row : operators()) {
    unsigned candidate = row.first().edit_distance_insensitive(key, true, distance);
    if (candidate < distance || (candidate == distance && !nearest.empty() && row.first() < nearest)) {
      distance = candidate;
      nearest = row.first();
    }
  }
  std::string domain = node.domain.empty() ? "ai.onnx" : std::string(node.domain);
  std::string hint = wayAround(key).str();
  if (hint.empty() && !nearest.empty())
    hint = ("did you mean " + nearest.rsplit(':').second + "?").str();
  report({Diagnostic::Unsupported, "TW1201",
          ("the operator " + llvm::Twine(node.opType) + " (domain " + domain + ", opset " +
           llvm::Twine(opset) + ") is not supported")
              .str(),
          hint, std::string(node.name), std::string(node.opType), ""});
}

void GraphImporter::survey(const onnx::Node &node, const onnx::Function *function) {
  auto called = functions.find(functionKey(node.domain, node.opType, node.overload));
  if (called != functions.end()) {
    if (surveyed.insert(called->second).second)
      for (const onnx::Node &inner : called->second->body.nodes)
        survey(inner, called->second);
    return;
  }
  if (!operators().contains((llvm::Twine(node.domain) + ":" + node.opType).str()))
    unknownOperator(node, model.opsetOf(node, function).value_or(1));
  surveyInside(node, function);
}

void GraphImporter::surveyInside(const onnx::Node &node, const onnx::Function *function) {
  for (const onnx::Attribute &attribute : node.attributes)
    for (const onnx::Graph &graph : attribute.graphs)
      for (const onnx::Node &inner : graph.nodes)
        survey(inner, function);
}

//===- Subgraphs and functions --------------------------------------------------------===//

std::optional<SmallVector<Value>> GraphImporter::subgraph(const onnx::Graph &graph, ArrayRef<Value> arguments,
                                                          const onnx::Node &owner) {
  Diagnostic problem{Diagnostic::Invalid,       "TW1211", "", "", std::string(owner.name),
                     std::string(owner.opType), ""};
  if (graph.inputs.size() != arguments.size())
    problem.message = "its subgraph has " + std::to_string(graph.inputs.size()) + " inputs where " +
                      std::to_string(arguments.size()) + " are needed";
  else if (current->depth >= maxDepth)
    problem.message =
        "subgraphs and function calls are nested more than " + std::to_string(maxDepth) + " deep";
  if (!problem.message.empty()) {
    report(problem);
    return std::nullopt;
  }
  Scope scope;
  scope.parent = current;
  scope.function = current->function;
  scope.call = current->call;
  scope.depth = current->depth + 1;
  llvm::scope_exit restore([this, outer = current] { current = outer; });
  current = &scope;
  for (auto [input, value] : llvm::zip_equal(graph.inputs, arguments))
    define(scope, input.name, value, &owner);
  importInitializers(graph, scope);
  importNodes(graph, scope);
  SmallVector<Value> results;
  for (const onnx::ValueInfo &output : graph.outputs) {
    std::optional<Value> value = lookup(output.name);
    if (!value) {
      problem.message = "nothing defines the output '" + std::string(output.name) + "' of its subgraph";
      report(problem);
    }
    if (value && *value && squeezedDims.contains(*value)) {
      problem = {Diagnostic::Unsupported,
                 "TW2007",
                 "the rank of the subgraph's output '" + std::string(output.name) +
                     "' is only known at run time, because a Squeeze has no axes",
                 "export Squeeze with axes",
                 problem.node,
                 problem.op,
                 std::string(output.name)};
      report(problem);
      return std::nullopt;
    }
    if (!value || !*value ||
        (!takesSequences(owner.domain, owner.opType) && !requireTensor(*value, output.name, &owner)))
      return std::nullopt;
    value = withRank(*value, output, /*inBranch=*/true);
    if (!value)
      return std::nullopt;
    results.push_back(*value);
  }
  return results;
}

void GraphImporter::keepBranch(Operation *op, Region &region) {
  Block *outer = op->getBlock(), *inner = &region.front();
  if (!inner->empty() && inner->back().hasTrait<OpTrait::IsTerminator>())
    inner->back().erase();
  outer->getOperations().splice(op->getIterator(), inner->getOperations());
  for (auto &[value, definition] : definitions)
    if (definition.block == inner)
      definition.block = outer;
  for (Region &gone : op->getRegions())
    forget(gone);
  op->erase();
}

void GraphImporter::forget(Region &region) {
  SmallVector<Value> forgotten;
  for (auto &[value, definition] : definitions)
    if (definition.block->getParent() && region.isAncestor(definition.block->getParent()))
      forgotten.push_back(value);
  for (Value value : forgotten)
    definitions.erase(value);
  region.walk([&](Operation *gone) {
    for (Value value : gone->getResults()) {
      weights.erase(value);
      squeezedDims.erase(value);
      eithers.erase(value);
    }
  });
  evaluator.clear();
}

bool GraphImporter::bindCall(const onnx::Node &node, const onnx::Function &function, const Scope &caller,
                             Scope &body) {
  Diagnostic problem{Diagnostic::Invalid,      "TW1210", "", "", std::string(node.name),
                     std::string(node.opType), ""};
  if (node.inputs.size() > function.body.inputs.size() || node.outputs.size() > function.body.outputs.size())
    problem.message = "the call has more inputs or outputs than the model-local function it names";
  else if (caller.depth >= maxDepth)
    problem.message = "calls of model-local functions are nested more than " + std::to_string(maxDepth) +
                      " deep; do they call themselves?";
  if (!problem.message.empty()) {
    report(problem);
    return false;
  }
  body.function = &function;
  body.call = &node;
  body.depth = caller.depth + 1;
  for (size_t index = 0; index < node.inputs.size(); ++index)
    if (!node.inputs[index].empty() && !isAbsent(node.inputs[index]))
      define(body, function.body.inputs[index].name, *lookup(node.inputs[index]), &node);
  return true;
}

void GraphImporter::importCall(const onnx::Node &node, const onnx::Function &function, Scope &scope) {
  Scope body;
  if (!bindCall(node, function, scope, body))
    return poison(node, scope);
  // Inputs that the call leaves out stay undefined in the body; nodes may pass them on as absent operands.
  for (const onnx::ValueInfo &input : function.body.inputs)
    if (!body.values.count(input.name))
      body.absent.insert(input.name);
  {
    llvm::scope_exit restore([this, outer = current] { current = outer; });
    current = &body;
    importNodes(function.body, body);
  }
  for (size_t index = 0; index < node.outputs.size(); ++index) {
    if (node.outputs[index].empty())
      continue;
    auto found = body.values.find(function.body.outputs[index].name);
    if (found == body.values.end())
      report({Diagnostic::Invalid, "TW1204",
              "the model-local function does not define its output '" +
                  std::string(function.body.outputs[index].name) + "'",
              "", std::string(node.name), std::string(node.opType), ""});
    define(scope, node.outputs[index], found == body.values.end() ? Value() : found->second, &node);
  }
}

ImportResult importModel(const onnx::Model &model, MLIRContext &context, const ImportOptions &options) {
  context.loadDialect<graph::GraphDialect, func::FuncDialect>();
  return GraphImporter(model, context, options).run();
}

} // namespace tilewright::frontend
