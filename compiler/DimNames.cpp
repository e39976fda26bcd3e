#include "compiler/DimNames.h"
#include "codegen/program/Program.h"
#include "llvm/ADT/IntEqClasses.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
namespace tilewright::compiler {
namespace {

/// Places "input/axis" by the name that the model gives them, in the order of its inputs.
using Places = llvm::MapVector<llvm::StringRef, std::vector<std::string>>;

Places placesOf(const onnx::Model &model) {
  llvm::StringSet<llvm::MallocAllocator> constants;
  for (const onnx::Tensor &tensor : model.graph.initializers)
    constants.insert(tensor.name);
  Places places;
  for (const onnx::ValueInfo &input : model.graph.inputs)
    for (auto [axis, dim] : llvm::enumerate(input.type.shape))
      if (dim.kind == onnx::Dimension::Kind::Name && dim.name != "?" && !constants.contains(input.name))
        places[dim.name].push_back((llvm::Twine(input.name) + "/" + llvm::Twine(axis)).str());
  places.remove_if([](const auto &entry) { return entry.second.size() < 2; });
  return places;
}

/// Which places a run must find equal.
class Meetings {
public:
  Meetings(const Places &places, const SymbolTable &symbols) : symbols(symbols) {
    for (auto &[name, list] : places)
      for (const std::string &place : list) {
        nameOf[place] = name;
        numbers.try_emplace(place, numbers.size());
      }
    classes.grow(numbers.size());
  }

  /// The two sizes are compared: dimensions of one name on either side are one.
  void compare(AffineExpr a, AffineExpr b) {
    llvm::SmallVector<unsigned> left, right;
    collect(a, left);
    collect(b, right);
    for (unsigned l : left)
      for (unsigned r : right)
        if (nameOf.lookup(symbols[l].name) == nameOf.lookup(symbols[r].name))
          classes.join(numbers.lookup(symbols[l].name), numbers.lookup(symbols[r].name));
  }

  bool same(llvm::StringRef a, llvm::StringRef b) const {
    return classes.findLeader(numbers.lookup(a)) == classes.findLeader(numbers.lookup(b));
  }

private:
  /// The input dimensions that an expression depends on, directly or through a rule.
  void collect(AffineExpr expr, llvm::SmallVectorImpl<unsigned> &found) {
    symbols.walk(expr, [&](unsigned index) {
      const Symbol &symbol = symbols[index];
      if (symbol.origin == Symbol::Input && nameOf.count(symbol.name))
        found.push_back(index);
    });
  }

  const SymbolTable &symbols;
  llvm::StringMap<llvm::StringRef> nameOf; ///< declared names by place
  llvm::StringMap<unsigned> numbers;       ///< of places
  llvm::IntEqClasses classes;
};

frontend::Diagnostic severalSizes(llvm::StringRef name, const std::string &places) {
  return {frontend::Diagnostic::Warning,
          "TW1214",
          ("dimensions that the inputs call '" + name + "' need not be equal: " + places).str(),
          "no operator brings them together; give those that may differ names of their own",
          "",
          "",
          ""};
}

} // namespace

SeparateDims separateDims(const onnx::Model &model, MLIRContext &context,
                          const frontend::ImportOptions &options) {
  Places places = placesOf(model);
  if (places.empty())
    return {};
  frontend::ImportOptions apart = options;
  for (auto &[name, list] : places)
    for (const std::string &place : list)
      apart.renamedDims[place] = place;
  frontend::ImportResult imported = frontend::importModel(model, context, apart);
  if (!imported.module)
    return {};
  SeparateDims found;
  {
    SymbolTable symbols(*imported.module);
    Meetings meetings(places, symbols);
    for (const codegen::ShapeCheck &check :
         codegen::collectShapeChecks(imported.module->lookupSymbol<func::FuncOp>("main"), symbols))
      meetings.compare(check.have, check.want);
    for (auto &[name, list] : places) {
      std::string apart;
      for (size_t i = 1; i < list.size(); ++i) {
        size_t first = 0; // the first place that must be equal gives the name; the first of all keeps its own
        while (!meetings.same(list[first], list[i]))
          ++first;
        if (first > 0)
          found.renamed[list[i]] = (name + "@" + list[first]).str();
        if (first == i)
          apart += ", " + list[i];
      }
      if (!apart.empty())
        found.warnings.push_back(severalSizes(name, list[0] + apart));
    }
  }
  return found;
}

} // namespace tilewright::compiler
