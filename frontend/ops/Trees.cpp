/// Trees.cpp - ensembles of decision trees: all rows walk down all trees at once, one level a step.
///
/// Nodes of all trees stand in tables; a leaf leads to itself. After as many steps as the deepest tree has
/// levels every row is at one leaf of each tree, and what the leaves say is added up.
#include "frontend/ops/Classical.h"
#include <map>

using namespace mlir;
namespace tilewright::frontend {
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

namespace {

enum class Mode : uint8_t { LessEqual, Less, GreaterEqual, Greater, Equal, NotEqual, Member, Leaf };

/// The trees of one node, in tables over all their nodes.
struct Forest {
  std::vector<Mode> modes;
  std::vector<int64_t> features, onTrue, onFalse, roots;
  std::vector<double> values;
  std::vector<bool> nanIsTrue;
  /// What node `leaf` adds to target `target`.
  struct Weight {
    int64_t leaf, target;
    double weight;
  };
  std::vector<Weight> weights;

  size_t size() const { return modes.size(); }
  void resize(size_t count) {
    modes.resize(count, Mode::Leaf);
    features.resize(count), onTrue.resize(count), onFalse.resize(count);
    values.resize(count);
    nanIsTrue.resize(count);
  }
};

struct Walk {
  NodeImporter &n;
  const Forest &forest;
  Value x;

  /// In 32 bits, which hold every node (`scores`) and column: more of a forest fits into the cache.
  Value table(ArrayRef<int64_t> values) const;
  Value step(Value at) const;
  Value decide(Value have, Value want, Value at) const;
};

} // namespace

/// How many steps lead from the roots to the deepest leaf; nothing where the nodes are no trees.
static std::optional<int64_t> depthOf(const Forest &forest) {
  std::vector<int64_t> level(forest.size(), -1);
  std::vector<int64_t> pending;
  int64_t depth = 0;
  for (int64_t root : forest.roots) {
    level[root] = 0;
    pending.push_back(root);
  }
  while (!pending.empty()) {
    int64_t node = pending.back();
    pending.pop_back();
    depth = std::max(depth, level[node]);
    if (forest.modes[node] == Mode::Leaf)
      continue;
    for (int64_t child : {forest.onTrue[node], forest.onFalse[node]}) {
      if (forest.modes[child] != Mode::Leaf && level[child] >= 0)
        return std::nullopt; // reached twice: a loop, or no tree
      level[child] = level[node] + 1;
      pending.push_back(child);
    }
  }
  return depth;
}

Value Walk::table(ArrayRef<int64_t> values) const {
  SmallVector<int32_t> narrow(values.begin(), values.end());
  auto type = RankedTensorType::get({int64_t(values.size())}, signedType(n, 32));
  return n.constant(DenseElementsAttr::get(type, ArrayRef<int32_t>(narrow)));
}

static CompareKind kindOf(Mode mode) {
  switch (mode) {
  case Mode::Less:
    return CompareKind::lt;
  case Mode::GreaterEqual:
    return CompareKind::ge;
  case Mode::Greater:
    return CompareKind::gt;
  case Mode::Equal:
    return CompareKind::eq;
  case Mode::NotEqual:
    return CompareKind::ne;
  default:
    return CompareKind::le;
  }
}

/// Whether the row goes to the true branch of node `at`, by the node's own comparison.
Value Walk::decide(Value have, Value want, Value at) const {
  std::vector<int64_t> kinds;
  llvm::SmallVector<Mode> modes;
  for (Mode mode : forest.modes) {
    kinds.push_back(int64_t(mode));
    if (mode != Mode::Leaf && !llvm::is_contained(modes, mode))
      modes.push_back(mode);
  }
  Value taken = n.compare(kindOf(modes.front()), have, want);
  if (modes.size() > 1) {
    Value kind = n.gather(table(kinds), at, 0);
    for (Mode mode : llvm::drop_begin(modes))
      taken = n.select(n.compare(CompareKind::eq, kind, n.scalarInt(signedType(n, 32), int64_t(mode))),
                       n.compare(kindOf(mode), have, want), taken);
  }
  if (llvm::is_contained(forest.nanIsTrue, true)) {
    std::vector<int64_t> tracks(forest.nanIsTrue.begin(), forest.nanIsTrue.end());
    Value track = n.gather(table(tracks), at, 0);
    Value missing = n.select(n.unary(UnaryKind::isnan, have), track, n.scalarInt(signedType(n, 32), 0));
    taken = n.select(n.compare(CompareKind::gt, missing, n.scalarInt(signedType(n, 32), 0)),
                     n.scalarInt(n.b.getI1Type(), 1), taken);
  }
  return taken;
}

Value Walk::step(Value at) const {
  Value have = gatherElements(n, x, n.gather(table(forest.features), at, 0), 1);
  Value want = n.gather(numberVector(n, forest.values, n.elementType(x)), at, 0);
  return n.select(decide(have, want, at), n.gather(table(forest.onTrue), at, 0),
                  n.gather(table(forest.onFalse), at, 0));
}

/// The leaves [rows, trees] that the rows of x end at; null, with a diagnostic, where these are no trees.
static Value leaves(NodeImporter &n, const Forest &forest, Value x) {
  std::optional<int64_t> depth = depthOf(forest);
  if (!depth) {
    n.fail("TW1205", "the nodes are not trees: some are reached in two ways");
    return {};
  }
  int64_t most = forest.features.empty() ? 0 : *llvm::max_element(forest.features);
  std::optional<int64_t> columns = constantOf(dimsOf(x)[1]);
  if (llvm::any_of(forest.features, [](int64_t feature) { return feature < 0; }) ||
      most >= columns.value_or(int64_t(1) << 31)) {
    n.fail("TW2005",
           "a node asks for column " + llvm::Twine(most) + " of an input of shape " + shapeText(n, x));
    return {};
  }
  Walk walk{n, forest, x};
  Value at = n.broadcastTo(walk.table(forest.roots), {dimsOf(x)[0], n.dim(int64_t(forest.roots.size()))});
  if (*depth == 0)
    return at;
  auto step = [&](Value, ArrayRef<Value> state) { return LoopValues{{walk.step(state[0])}, {}}; };
  return countedLoop(n, n.dim(*depth), {at}, step).carried[0];
}

/// Scores [rows, targets] of x.
static Value scores(NodeImporter &n, const Forest &forest, Value x, int64_t targets, StringRef aggregate,
                    ArrayRef<double> base) {
  if (targets < 1 || targets > 100000 || forest.size() * size_t(targets) > (size_t(1) << 28)) {
    n.unsupported("TW1203", "trees of " + llvm::Twine(forest.size()) + " nodes with " + llvm::Twine(targets) +
                                " targets are not supported");
    return {};
  }
  std::vector<double> table(forest.size() * size_t(targets));
  for (const Forest::Weight &weight : forest.weights) {
    if (weight.target < 0 || weight.target >= targets) {
      n.fail("TW1205", "target " + llvm::Twine(weight.target) + " is outside the " + llvm::Twine(targets) +
                           " that there are");
      return {};
    }
    table[size_t(weight.leaf * targets + weight.target)] += weight.weight;
  }
  Value at = leaves(n, forest, x);
  if (!at)
    return {};
  Type element = n.elementType(x);
  Value weights = n.reshape(numberVector(n, table, element), {n.dim(int64_t(forest.size())), n.dim(targets)});
  Value each = n.gather(weights, at, 0); // [rows, trees, targets]
  Value sum;
  if (aggregate == "MIN" || aggregate == "MAX")
    sum = n.reduce(aggregate == "MIN" ? ReduceKind::rmin : ReduceKind::rmax, each, {1});
  else if (aggregate == "SUM" || aggregate == "AVERAGE")
    sum = n.reduce(ReduceKind::sum, each, {1});
  else {
    n.fail("TW1205", "aggregate_function is '" + aggregate + "'; it must be SUM, AVERAGE, MIN or MAX");
    return {};
  }
  if (aggregate == "AVERAGE")
    sum = n.div(sum, n.like(sum, double(forest.roots.size())));
  if (!base.empty() && base.size() != size_t(targets)) {
    n.fail("TW1205", "base_values has " + llvm::Twine(base.size()) + " entries for " + llvm::Twine(targets) +
                         " targets");
    return {};
  }
  return base.empty() ? sum : n.add(sum, numberVector(n, base, element));
}

//===- Reading: versions 1 to 4 -------------------------------------------------------===//

static std::optional<Mode> modeOf(std::string_view name) {
  static const std::pair<std::string_view, Mode> modes[] = {{"BRANCH_LEQ", Mode::LessEqual},
                                                            {"BRANCH_LT", Mode::Less},
                                                            {"BRANCH_GTE", Mode::GreaterEqual},
                                                            {"BRANCH_GT", Mode::Greater},
                                                            {"BRANCH_EQ", Mode::Equal},
                                                            {"BRANCH_NEQ", Mode::NotEqual},
                                                            {"LEAF", Mode::Leaf}};
  for (auto [known, mode] : modes)
    if (known == name)
      return mode;
  return std::nullopt;
}

/// A list of numbers as floats, or as a tensor of doubles.
static SmallVector<double> floatsOrTensor(NodeImporter &n, StringRef name) {
  const onnx::Attribute *tensor = n.attr((name + "_as_tensor").str());
  if (!tensor || tensor->kind != onnx::Attribute::Kind::Tensor)
    return numbersAttr(n, name);
  Value value = n.tensorAttr(tensor->tensor());
  return value ? n.constantFloats(value).value_or(SmallVector<double>()) : SmallVector<double>();
}

static SmallVector<int64_t> integers(NodeImporter &n, StringRef name) {
  return n.intsAttr(name).value_or(SmallVector<int64_t>());
}

/// `kind` is what the attributes of leaves are called after: class or target.
static std::optional<Forest> readForest(NodeImporter &n, const std::string &kind) {
  SmallVector<int64_t> trees = integers(n, "nodes_treeids"), ids = integers(n, "nodes_nodeids"),
                       yes = integers(n, "nodes_truenodeids"), no = integers(n, "nodes_falsenodeids"),
                       features = integers(n, "nodes_featureids"),
                       missing = integers(n, "nodes_missing_value_tracks_true");
  SmallVector<double> values = floatsOrTensor(n, "nodes_values"),
                      weights = floatsOrTensor(n, kind + "_weights");
  SmallVector<int64_t> leafTrees = integers(n, kind + "_treeids"), leafNodes = integers(n, kind + "_nodeids"),
                       targets = integers(n, kind + "_ids");
  const onnx::Attribute *modes = n.attr("nodes_modes");
  size_t count = ids.size();
  auto fit = [&](size_t size) { return size == count; };
  if (n.hasFailed() || count == 0 || !fit(trees.size()) || !fit(yes.size()) || !fit(no.size()) ||
      !fit(features.size()) || !fit(values.size()) || !modes || !fit(modes->strings.size()) ||
      (!missing.empty() && !fit(missing.size())) || leafTrees.size() != weights.size() ||
      leafNodes.size() != weights.size() || targets.size() != weights.size()) {
    n.fail("TW1205", "the lists of nodes and leaves are empty or of different lengths");
    return std::nullopt;
  }
  Forest forest;
  forest.resize(count);
  std::map<std::pair<int64_t, int64_t>, int64_t> position;
  std::map<int64_t, bool> seen;
  for (size_t i = 0; i < count; ++i) {
    position.emplace(std::pair(trees[i], ids[i]), int64_t(i));
    if (seen.emplace(trees[i], true).second)
      forest.roots.push_back(int64_t(i));
  }
  auto find = [&](int64_t tree, int64_t id) {
    auto found = position.find({tree, id});
    if (found == position.end())
      n.fail("TW1205", "tree " + llvm::Twine(tree) + " has no node " + llvm::Twine(id));
    return found == position.end() ? 0 : found->second;
  };
  for (size_t i = 0; i < count && !n.hasFailed(); ++i) {
    std::optional<Mode> mode = modeOf(modes->strings[i]);
    if (!mode) {
      n.unsupported("TW1203", "the mode '" + llvm::Twine(StringRef(modes->strings[i])) +
                                  "' of a tree's node is not supported");
      break;
    }
    forest.modes[i] = *mode;
    bool leaf = *mode == Mode::Leaf;
    forest.features[i] = leaf ? 0 : features[i];
    forest.values[i] = leaf ? 0 : values[i];
    forest.onTrue[i] = leaf ? int64_t(i) : find(trees[i], yes[i]);
    forest.onFalse[i] = leaf ? int64_t(i) : find(trees[i], no[i]);
    forest.nanIsTrue[i] = !missing.empty() && missing[i] != 0 && !leaf;
  }
  for (size_t i = 0; i < weights.size() && !n.hasFailed(); ++i)
    forest.weights.push_back({find(leafTrees[i], leafNodes[i]), targets[i], weights[i]});
  return n.hasFailed() ? std::nullopt : std::optional(std::move(forest));
}

void importTreeEnsembleRegressor(NodeImporter &n) {
  Value x = require(n, 1) ? features(n) : Value();
  std::optional<Forest> forest = x ? readForest(n, "target") : std::nullopt;
  if (!forest)
    return;
  Value y = scores(n, *forest, x, n.intAttr("n_targets", 1), n.stringAttr("aggregate_function", "SUM"),
                   floatsOrTensor(n, "base_values"));
  y = y ? postTransform(n, y, n.stringAttr("post_transform", "NONE")) : Value();
  if (y)
    n.result(0, n.cast(y, n.b.getF32Type()));
}

void importTreeEnsembleClassifier(NodeImporter &n) {
  Value x = require(n, 1) ? features(n) : Value();
  std::optional<Forest> forest = x ? readForest(n, "class") : std::nullopt;
  auto labels = forest ? classLabels(n, "classlabels_int64s", "classlabels_strings") : std::nullopt;
  if (!labels)
    return;
  // Two classes with weights for one of them: one score decides. Exporters give it the number 0, though it is
  // the second class's; with the number 1 it stands alone, as in ONNX Runtime.
  bool binary = labels->size() == 2, positive = true;
  for (Forest::Weight &weight : forest->weights) {
    binary &= weight.target == forest->weights.front().target;
    positive &= weight.weight >= 0;
  }
  SmallVector<double> base = floatsOrTensor(n, "base_values");
  bool second = binary && !forest->weights.empty() && forest->weights.front().target == 1;
  if (binary) {
    for (Forest::Weight &weight : forest->weights)
      weight.target = 0;
    if (base.size() == 2)
      base = {base[1]};
    if (second)
      base.clear();
  }
  Value y = scores(n, *forest, x, binary ? 1 : int64_t(labels->size()), "SUM", base);
  if (y)
    giveClasses(n, y, *labels, n.stringAttr("post_transform", "NONE"),
                binary ? std::optional(positive ? 0.5 : 0.0) : std::nullopt,
                second     ? FirstScore::Zero
                : positive ? FirstScore::Complement
                           : FirstScore::Negative);
}

//===- Reading: version 5 -------------------------------------------------------------===//

static SmallVector<double> tensorNumbers(NodeImporter &n, StringRef name) {
  const onnx::Attribute *tensor = n.attr(name);
  if (!tensor || tensor->kind != onnx::Attribute::Kind::Tensor)
    return {};
  Value value = n.tensorAttr(tensor->tensor());
  return value ? n.constantFloats(value).value_or(SmallVector<double>()) : SmallVector<double>();
}

/// Inner nodes come first, then leaves.
static std::optional<Forest> readTables(NodeImporter &n) {
  SmallVector<int64_t> features = integers(n, "nodes_featureids"), yes = integers(n, "nodes_truenodeids"),
                       no = integers(n, "nodes_falsenodeids"), yesLeaf = integers(n, "nodes_trueleafs"),
                       noLeaf = integers(n, "nodes_falseleafs"), roots = integers(n, "tree_roots"),
                       targets = integers(n, "leaf_targetids"),
                       missing = integers(n, "nodes_missing_value_tracks_true");
  SmallVector<double> splits = tensorNumbers(n, "nodes_splits"), modes = tensorNumbers(n, "nodes_modes"),
                      weights = tensorNumbers(n, "leaf_weights");
  size_t inner = features.size(), leaves = targets.size();
  auto fit = [&](size_t size) { return size == inner; };
  if (n.hasFailed() || inner == 0 || leaves == 0 || roots.empty() || !fit(yes.size()) || !fit(no.size()) ||
      !fit(yesLeaf.size()) || !fit(noLeaf.size()) || !fit(splits.size()) || !fit(modes.size()) ||
      weights.size() != leaves || (!missing.empty() && !fit(missing.size()))) {
    n.fail("TW1205", "the lists of nodes and leaves are empty or of different lengths");
    return std::nullopt;
  }
  Forest forest;
  forest.resize(inner + leaves);
  auto target = [&](int64_t index, bool leaf) {
    if (index < 0 || size_t(index) >= (leaf ? leaves : inner))
      n.fail("TW1205", "a node leads to node " + llvm::Twine(index) + ", which is not there");
    return n.hasFailed() ? 0 : leaf ? int64_t(inner) + index : index;
  };
  for (size_t i = 0; i < inner && !n.hasFailed(); ++i) {
    if (!(modes[i] >= 0 && modes[i] <= double(Mode::NotEqual))) {
      n.unsupported("TW1203",
                    "the mode " + std::to_string(int(modes[i])) + " of a tree's node is not supported");
      break;
    }
    forest.modes[i] = Mode(int(modes[i]));
    forest.features[i] = features[i];
    forest.values[i] = splits[i];
    forest.onTrue[i] = target(yes[i], yesLeaf[i] != 0);
    forest.onFalse[i] = target(no[i], noLeaf[i] != 0);
    forest.nanIsTrue[i] = !missing.empty() && missing[i] != 0;
  }
  for (size_t i = 0; i < leaves; ++i) {
    forest.onTrue[inner + i] = forest.onFalse[inner + i] = int64_t(inner + i);
    forest.weights.push_back({int64_t(inner + i), targets[i], weights[i]});
  }
  for (int64_t root : roots) {
    // A tree that is a single leaf is written as a node whose branches are that leaf.
    forest.roots.push_back(target(root, false));
  }
  return n.hasFailed() ? std::nullopt : std::optional(std::move(forest));
}

void importTreeEnsemble(NodeImporter &n) {
  Value x = require(n, 1) ? features(n) : Value();
  std::optional<Forest> forest = x ? readTables(n) : std::nullopt;
  if (!forest)
    return;
  static const StringRef aggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"},
                         transforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  int64_t aggregate = n.intAttr("aggregate_function", 1), transform = n.intAttr("post_transform", 0);
  if (aggregate < 0 || aggregate > 3 || transform < 0 || transform > 4)
    return n.fail("TW1205", "aggregate_function or post_transform is out of range");
  Value y = scores(n, *forest, x, n.intAttr("n_targets", 1), aggregates[aggregate], {});
  y = y ? postTransform(n, y, transforms[transform]) : Value();
  if (y)
    n.result(0, n.cast(y, n.elementType(n.operand(0))));
}

} // namespace tilewright::frontend
