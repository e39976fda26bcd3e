/// Branches.cpp - what an If's branches leave, brought together; also values whose rank the condition
/// decides.
///
/// Where the branches give a result of one rank, the If has it, with a fresh symbol for each size that
/// differs. Else the If has two results, one for either branch, of which the other is a dummy; nobody sees
/// but one of them. A node that uses such a value is imported twice, in the branches of an If of its own on
/// the same condition, until what comes out has one rank again. All checks of a branch are made where it
/// runs; a branch whose shapes cannot fit is left out, and the run fails where it would be taken.
#include "frontend/GraphImporter.h"
#include "frontend/ops/Composites.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
namespace tilewright::frontend {

/// Nodes imported for both ranks of an operand, in all, and inside each other where several conditions meet.
constexpr size_t maxSplits = 10000;
constexpr unsigned maxSplitDepth = 4;

//===- Joining ------------------------------------------------------------------------===//

namespace {
/// Builds the types of an If's results, and what the branches yield for them.
class Joining {
public:
  Joining(GraphBuilder &g, graph::IfOp draft) : g(g), draft(draft) {}

  void same(Value onTrue, Value onFalse) {
    Dims shape;
    for (auto [a, b] : llvm::zip_equal(dimsOf(onTrue), dimsOf(onFalse)))
      shape.push_back(joined(a, b));
    add(tensorType(shape, GraphBuilder::elementType(onTrue)), onTrue, onFalse);
  }

  /// A result for one branch; the other puts something there that has no elements, or that nobody reads.
  void only(bool branch, Value value) {
    Dims shape, dummy;
    for (AffineExpr size : dimsOf(value)) {
      bool known = constantOf(size).has_value();
      dummy.push_back(known ? size : g.dim(0));
      shape.push_back(known ? size : branch ? joined(size, dummy.back()) : joined(dummy.back(), size));
    }
    OpBuilder::InsertionGuard guard(g.b);
    g.b.setInsertionPointToEnd(&(branch ? draft.getElseRegion() : draft.getThenRegion()).front());
    Value other = filled(g, dummy, GraphBuilder::elementType(value), 0);
    Type type = tensorType(shape, GraphBuilder::elementType(value));
    branch ? add(type, value, other) : add(type, other, value);
  }

  graph::IfOp finish() {
    OpBuilder::InsertionGuard guard(g.b);
    for (auto [region, values] :
         {std::pair(&draft.getThenRegion(), &onTrue), {&draft.getElseRegion(), &onFalse}}) {
      g.b.setInsertionPointToEnd(&region->front());
      graph::YieldOp::create(g.b, g.loc, *values);
    }
    g.b.setInsertionPoint(draft);
    MLIRContext *context = g.b.getContext();
    auto op = graph::IfOp::create(g.b, g.loc, types, draft.getCondition(), symbols, mapOf(thenDims, context),
                                  mapOf(elseDims, context));
    op.getThenRegion().takeBody(draft.getThenRegion());
    op.getElseRegion().takeBody(draft.getElseRegion());
    draft.erase();
    return op;
  }

private:
  void add(Type type, Value a, Value b) {
    types.push_back(type);
    onTrue.push_back(a);
    onFalse.push_back(b);
  }

  /// One fresh symbol for each pair of sizes that differ.
  AffineExpr joined(AffineExpr a, AffineExpr b) {
    // What a broadcast gives is checked where it is made, and holds nowhere else.
    auto derived = [&](unsigned index) { return g.symbols[index].rule != Symbol::None; };
    if (provablyEqual(a, b) && llvm::none_of(symbolsIn(a), derived))
      return a;
    for (size_t index = 0; index < symbols.size(); ++index)
      if (thenDims[index] == a && elseDims[index] == b)
        return getAffineSymbolExpr(symbols[index], g.b.getContext());
    int64_t lo = std::min(g.symbols.lowerBound(a), g.symbols.lowerBound(b));
    int64_t hi = std::max(g.symbols.upperBound(a), g.symbols.upperBound(b));
    AffineExpr fresh = g.symbols.defined("if", std::max<int64_t>(lo, 0), hi);
    symbols.push_back(cast<AffineSymbolExpr>(fresh).getPosition());
    thenDims.push_back(a);
    elseDims.push_back(b);
    return fresh;
  }

  GraphBuilder &g;
  graph::IfOp draft;
  SmallVector<Type> types;
  SmallVector<Value> onTrue, onFalse;
  SmallVector<int64_t> symbols;
  Dims thenDims, elseDims;
};
} // namespace

SmallVector<Value> GraphImporter::joinBranches(GraphBuilder &g, graph::IfOp draft, ArrayRef<Value> onTrue,
                                               ArrayRef<Value> onFalse) {
  Value condition = draft.getCondition();
  Joining joining(g, draft);
  SmallVector<bool> joins;
  for (auto [a, b] : llvm::zip_equal(onTrue, onFalse)) {
    joins.push_back(GraphBuilder::elementType(a) == GraphBuilder::elementType(b) &&
                    GraphBuilder::rank(a) == GraphBuilder::rank(b));
    if (joins.back()) {
      joining.same(a, b);
    } else {
      joining.only(true, a);
      joining.only(false, b);
    }
  }
  SmallVector<Dims> shapes;
  for (auto [index, join] : llvm::enumerate(joins))
    if (!join)
      shapes.append({dimsOf(onTrue[index]), dimsOf(onFalse[index])});
  graph::IfOp op = joining.finish();
  SmallVector<Value> results;
  unsigned next = 0, shape = 0;
  for (bool join : joins) {
    results.push_back(op.getResult(next));
    if (!join) {
      eithers[op.getResult(next)] = {
          condition, {op.getResult(next), op.getResult(next + 1)}, {shapes[shape], shapes[shape + 1]}};
      shape += 2;
    }
    next += join ? 1 : 2;
  }
  return results;
}

//===- Branches that cannot run -------------------------------------------------------===//

void GraphImporter::keepRunnable(GraphBuilder &g, graph::IfOp draft, bool branch, const Diagnostic &problem) {
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(draft);
    GraphBuilder there(builder, locationOf(problem.op, problem.node), symbols);
    assume(there, draft.getCondition(), branch)
        ->setAttr(graph::DefineOp::branchAttribute, builder.getUnitAttr());
  }
  keepBranch(draft, branch ? draft.getThenRegion() : draft.getElseRegion());
}

//===- Nodes that use values of undecided rank ----------------------------------------===//

/// The names that a node reads, those inside its subgraphs included.
static void readNames(const onnx::Node &node, SmallVectorImpl<std::string_view> &names) {
  llvm::append_range(names, node.inputs);
  for (const onnx::Attribute &attribute : node.attributes)
    for (const onnx::Graph &graph : attribute.graphs) {
      for (const onnx::Node &inner : graph.nodes)
        readNames(inner, names);
      for (const onnx::ValueInfo &output : graph.outputs)
        names.push_back(output.name);
    }
}

static SmallVector<std::string_view> readNames(const onnx::Node &node) {
  SmallVector<std::string_view> names;
  readNames(node, names);
  return names;
}

const GraphImporter::Either *GraphImporter::eitherOperand(const onnx::Node &node) const {
  if (eithers.empty())
    return nullptr;
  for (std::string_view name : readNames(node)) {
    Value value = name.empty() ? Value() : lookup(name).value_or(Value());
    if (auto found = value ? eithers.find(value) : eithers.end(); found != eithers.end())
      return &found->second;
  }
  return nullptr;
}

/// In one branch every operand that the same condition decides is what it is there, with its own sizes.
void GraphImporter::bindSides(const onnx::Node &node, Scope &scope, Value condition, bool branch) {
  GraphBuilder g(builder, locationOf(node), symbols);
  for (std::string_view name : readNames(node)) {
    Value value = name.empty() ? Value() : lookup(name).value_or(Value());
    auto found = value ? eithers.find(value) : eithers.end();
    if (found == eithers.end() || found->second.condition != condition || scope.values.contains(name))
      continue;
    const Either either = found->second;
    Value side = either.sides[branch ? 0 : 1];
    for (auto [axis, size] : llvm::enumerate(either.shapes[branch ? 0 : 1]))
      side = withSize(g, side, int64_t(axis), size);
    if (side == value) // an op of its own: this one is decided
      side = graph::ReshapeOp::create(builder, g.loc, side.getType(), side);
    scope.values[name] = side;
  }
}

GraphImporter::Side GraphImporter::importSide(const onnx::Node &node, const Scope &scope, int opset,
                                              Value condition, bool branch) {
  Scope inner;
  inner.parent = &scope;
  inner.function = scope.function;
  inner.call = scope.call;
  inner.depth = scope.depth + 1;
  llvm::scope_exit restore([this, outer = current] { current = outer; });
  current = &inner;
  Side side;
  size_t mark = diagnostics.size();
  bindSides(node, inner, condition, branch);
  importOperator(node, inner, opset);
  for (std::string_view name : node.outputs)
    if (!name.empty())
      side.values.push_back(inner.values.lookup(name));
  // What is undecided inside cannot be told outside.
  if (llvm::any_of(side.values, [&](Value value) { return value && eithers.contains(value); }))
    report({Diagnostic::Unsupported, "TW2007", "several conditions together decide the rank of its results",
            "let the branches of If give one rank",
            std::string(node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name),
            std::string(node.opType), ""});
  side.failed = llvm::is_contained(side.values, Value()) || diagnostics.size() > mark;
  side.problems.assign(diagnostics.begin() + mark, diagnostics.end());
  diagnostics.resize(mark);
  return side;
}

void GraphImporter::importOnSides(const onnx::Node &node, Scope &scope, int opset, Either either) {
  llvm::scope_exit leave([this] { --splitDepth; });
  if (++splitDepth > maxSplitDepth || ++splits > maxSplits || scope.depth >= maxDepth) {
    report({Diagnostic::Unsupported, "TW2007", "the ranks of too many values are decided at run time",
            "let the branches of If give one rank",
            std::string(node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name),
            std::string(node.opType), ""});
    return poison(node, scope);
  }
  Block *block = builder.getBlock();
  GraphBuilder g(builder, locationOf(node), symbols);
  MLIRContext *c = &context;
  auto none = mapOf(ArrayRef<AffineExpr>(), c);
  auto draft =
      graph::IfOp::create(builder, g.loc, TypeRange(), either.condition, ArrayRef<int64_t>(), none, none);
  Side sides[2];
  for (int which : {0, 1}) {
    Region &region = which == 0 ? draft.getThenRegion() : draft.getElseRegion();
    builder.setInsertionPointToEnd(&region.emplaceBlock());
    sides[which] = importSide(node, scope, opset, either.condition, which == 0);
  }
  builder.setInsertionPointToEnd(block);
  auto values = finishBranches(g, draft, sides);
  if (!values)
    return poison(node, scope);
  builder.setInsertionPointToEnd(block);
  auto *value = values->begin();
  for (std::string_view name : node.outputs)
    if (!name.empty())
      define(scope, name, *value++, &node);
}

std::optional<SmallVector<Value>> GraphImporter::finishBranches(GraphBuilder &g, graph::IfOp draft,
                                                                MutableArrayRef<Side> sides) {
  auto isShaped = [](const Side &side) {
    return !side.failed || (!side.problems.empty() && llvm::all_of(side.problems, isAboutShapes));
  };
  if (sides[0].failed != sides[1].failed && isShaped(sides[0]) && isShaped(sides[1])) {
    bool branch = !sides[0].failed;
    SmallVector<Value> values = sides[branch ? 0 : 1].values;
    keepRunnable(g, draft, branch, sides[branch ? 1 : 0].problems.front());
    return values;
  }
  if (!sides[0].failed && !sides[1].failed)
    return joinBranches(g, draft, sides[0].values, sides[1].values);
  // What fails in both has one report.
  for (Diagnostic &problem : sides[0].problems)
    report(problem);
  for (Diagnostic &problem : sides[1].problems)
    if (llvm::none_of(sides[0].problems, [&](const Diagnostic &other) {
          return other.node == problem.node && other.code == problem.code && other.message == problem.message;
        }))
      report(problem);
  return std::nullopt;
}

//===- Where the rank must be known ---------------------------------------------------===//

/// Whether what the branch yields for an If's result is squeezed or unsqueezed there.
static bool changesRank(Value result, bool branch) {
  auto op = result.getDefiningOp<graph::IfOp>();
  if (!op)
    return false;
  Region &region = branch ? op.getThenRegion() : op.getElseRegion();
  Value yielded = region.front().getTerminator()->getOperand(llvm::cast<OpResult>(result).getResultNumber());
  auto name = dyn_cast<NameLoc>(yielded.getLoc());
  StringRef kind = name ? name.getName().getValue().split(':').first : "";
  return kind == "Squeeze" || kind == "Unsqueeze";
}

std::optional<Value> GraphImporter::withRank(Value value, const onnx::ValueInfo &output, bool inBranch) {
  auto found = eithers.find(value);
  if (found == eithers.end())
    return value;
  const Either either = found->second;
  int64_t declared = output.type.hasShape ? int64_t(output.type.shape.size()) : -1;
  bool fits[2];
  for (int side : {0, 1})
    fits[side] = GraphBuilder::rank(either.sides[side]) == declared;
  // Inside another branch exporters declare nothing, and write `squeeze(x) if size == 1 else x` for what had
  // the squeezed rank when the model was traced: that rank is meant, and a run that takes the other branch
  // fails.
  const bool guessed = inBranch && fits[0] == fits[1];
  for (int side : {0, 1})
    fits[side] = guessed ? changesRank(either.sides[side], side == 0) : fits[side];
  auto [op, node] = cast<NameLoc>(value.getLoc()).getName().getValue().split(':');
  if (fits[0] == fits[1]) {
    report({Diagnostic::Unsupported, "TW2007",
            ("the rank of the output '" + llvm::Twine(output.name) + "' is decided at run time").str(),
            "let the branches give one rank, or declare the output's", node.str(), op.str(),
            std::string(output.name)});
    return std::nullopt;
  }
  GraphBuilder g(builder, value.getLoc(), symbols);
  auto assumed = assume(g, either.condition, fits[0]);
  if (!guessed)
    assumed->setAttr(graph::DefineOp::branchAttribute, builder.getUnitAttr());
  Value side = either.sides[fits[0] ? 0 : 1];
  for (auto [axis, size] : llvm::enumerate(either.shapes[fits[0] ? 0 : 1]))
    side = withSize(g, side, int64_t(axis), size);
  return side;
}

} // namespace tilewright::frontend
