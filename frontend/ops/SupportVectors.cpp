/// SupportVectors.cpp - SVMRegressor and SVMClassifier of ai.onnx.ml.
#include "frontend/ops/Classical.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

/// K(x, v) for each row of x and each of `count` vectors, which lie behind each other: [rows, count]. Null,
/// with a diagnostic, where their lengths differ, or the model knows another kernel.
static Value kernelValues(NodeImporter &n, Value x, ArrayRef<double> vectors, int64_t count,
                          StringRef kernel) {
  AffineExpr columns = n.dim(int64_t(vectors.size()) / count);
  if (!n.requireEqual(dimsOf(x)[1], columns, "the columns of X and the vectors"))
    return {};
  x = withSize(n, x, 1, columns);
  SmallVector<double> parameters = numbersAttr(n, "kernel_params"); // gamma, coef0, degree
  parameters.resize(3);
  auto number = [&](double value) { return n.like(x, value); };
  Value matrix = n.reshape(numberVector(n, vectors, n.elementType(x)), {n.dim(count), columns});
  if (kernel == "RBF") { // |x - v|^2 term by term: no digits are lost between large squares
    Value difference = n.sub(n.unsqueeze(x, {1}), matrix);
    Value square = n.reduce(ReduceKind::sum, n.mul(difference, difference), {2});
    return n.unary(UnaryKind::exp, n.mul(square, number(-parameters[0])));
  }
  Value product = n.contract(x, matrix, {}, {}, {1}, {1});
  if (kernel == "LINEAR")
    return product;
  Value scaled = n.add(n.mul(product, number(parameters[0])), number(parameters[1]));
  if (kernel == "POLY")
    return n.binary(graph::BinaryKind::pow, scaled, number(parameters[2]));
  if (kernel == "SIGMOID")
    return n.unary(UnaryKind::tanh, scaled);
  n.fail("TW1205", "kernel_type is '" + kernel + "'; it must be LINEAR, POLY, RBF or SIGMOID");
  return {};
}

/// values [rows, columns] times the transposed table [outputs, columns], plus a number for each output.
static Value combined(NodeImporter &n, Value values, ArrayRef<double> table, ArrayRef<double> shifts) {
  int64_t outputs = int64_t(shifts.size());
  Type element = n.elementType(values);
  Value matrix =
      n.reshape(numberVector(n, table, element), {n.dim(outputs), n.dim(int64_t(table.size()) / outputs)});
  return n.add(n.contract(values, matrix, {}, {}, {1}, {1}), numberVector(n, shifts, element));
}

void importSvmRegressor(NodeImporter &n) {
  Value x = require(n, 1) ? features(n) : Value();
  if (!x)
    return;
  SmallVector<double> factors = numbersAttr(n, "coefficients"), vectors = numbersAttr(n, "support_vectors"),
                      rho = numbersAttr(n, "rho");
  int64_t count = n.intAttr("n_supports", 0), rows = count > 0 ? count : 1;
  ArrayRef<double> table = count > 0 ? vectors : factors;
  if (rho.empty() || table.empty() || table.size() % size_t(rows) ||
      (count > 0 && int64_t(factors.size()) != count))
    return n.fail("TW1205", "support vectors, coefficients and rho do not fit");
  Value y = kernelValues(n, x, table, rows, count > 0 ? n.stringAttr("kernel_type", "LINEAR") : "LINEAR");
  if (!y)
    return;
  y = count > 0 ? combined(n, y, factors, rho[0]) : n.add(y, n.like(y, rho[0]));
  if (n.intAttr("one_class", 0))
    y = n.select(n.compare(CompareKind::gt, y, n.like(y, 0)), n.like(y, 1), n.like(y, -1));
  if (Value result = postTransform(n, y, n.stringAttr("post_transform", "NONE")))
    n.result(0, n.cast(result, n.b.getF32Type()));
}

//===- Classifiers --------------------------------------------------------------------===//
// Each pair of classes i < j has a score: positive for i. A class's support vectors lie together; vector v of
// class i has a coefficient for each other class: coefficients[j - 1][v] for j > i, coefficients[j][v] for
// j < i.

namespace {
struct Pairs {
  int64_t classes = 0, vectors = 0;
  SmallVector<int64_t> first; ///< of each class, its first vector; then how many vectors there are
  SmallVector<double> rho, probA, probB;
  SmallVector<std::pair<int64_t, int64_t>> list; ///< (i, j), in the order of rho
};
} // namespace

/// Above this many coefficients, over all pairs, a model is refused.
static constexpr int64_t mostCoefficients = int64_t(1) << 26;

static std::optional<Pairs> readPairs(NodeImporter &n, ArrayRef<int64_t> vectorsPerClass, size_t labels) {
  Pairs p;
  p.classes = int64_t(labels);
  p.rho = numbersAttr(n, "rho");
  p.probA = numbersAttr(n, "prob_a");
  p.probB = numbersAttr(n, "prob_b");
  size_t pairs = labels * (labels - 1) / 2, coefficients = numbersAttr(n, "coefficients").size(),
         numbers = numbersAttr(n, "support_vectors").size();
  bool fits = labels > 1 && vectorsPerClass.size() == labels && p.rho.size() == pairs &&
              p.probA.size() == p.probB.size() && (p.probA.empty() || p.probA.size() == pairs);
  for (int64_t count : vectorsPerClass) {
    fits &= count >= 0 && count <= int64_t(coefficients);
    p.first.push_back(p.vectors);
    p.vectors += fits ? count : 0;
  }
  p.first.push_back(p.vectors);
  if (!fits || p.vectors == 0 || numbers == 0 || numbers % size_t(p.vectors) ||
      coefficients / size_t(p.vectors) != labels - 1 || coefficients % size_t(p.vectors)) {
    n.fail("TW1205",
           "labels, vectors_per_class, support_vectors, coefficients, rho, prob_a and prob_b do not "
           "fit together");
    return std::nullopt;
  }
  if (int64_t(pairs) > mostCoefficients / p.vectors) {
    n.unsupported("TW1203", llvm::Twine(labels) + " classes with " + llvm::Twine(p.vectors) +
                                " support vectors are more than are supported");
    return std::nullopt;
  }
  for (int64_t i = 0; i < p.classes; ++i)
    for (int64_t j = i + 1; j < p.classes; ++j)
      p.list.push_back({i, j});
  return p;
}

/// [rows, pairs]
static Value pairScores(NodeImporter &n, const Pairs &p, Value kernels) {
  SmallVector<double> factors = numbersAttr(n, "coefficients"), table(p.list.size() * size_t(p.vectors));
  for (auto [pair, classes] : llvm::enumerate(p.list))
    for (auto [mine, other] : {std::pair(classes.first, classes.second - 1), {classes.second, classes.first}})
      for (int64_t v = p.first[mine]; v < p.first[mine + 1]; ++v)
        table[pair * size_t(p.vectors) + size_t(v)] = factors[size_t(other * p.vectors + v)];
  return combined(n, kernels, table, p.rho);
}

/// In how many of its pairs each class wins: [rows, classes].
static Value votes(NodeImporter &n, const Pairs &p, Value scores) {
  SmallVector<double> table(size_t(p.classes) * p.list.size()), lost(size_t(p.classes));
  for (auto [pair, classes] : llvm::enumerate(p.list)) {
    table[size_t(classes.first) * p.list.size() + pair] = 1;
    table[size_t(classes.second) * p.list.size() + pair] = -1;
    lost[size_t(classes.second)] += 1;
  }
  Value wins = n.cast(n.compare(CompareKind::gt, scores, n.like(scores, 0)), n.b.getF32Type());
  return combined(n, wins, table, lost);
}

/// R[row][i][j], the probability of i among i and j; 0 where i is j.
static Value pairProbabilities(NodeImporter &n, const Pairs &p, Value scores) {
  Type element = n.elementType(scores);
  Value exponent = n.add(n.mul(scores, numberVector(n, p.probA, element)), numberVector(n, p.probB, element));
  Value likely = clamp(n, n.unary(UnaryKind::sigmoid, n.unary(UnaryKind::neg, exponent)), 1e-7, 1 - 1e-7);
  Value rest = n.sub(n.like(likely, 1), likely);
  Value none = filled(n, {dimsOf(likely)[0], n.dim(1)}, n.elementType(likely), 0);
  int64_t pairs = int64_t(p.list.size());
  SmallVector<int64_t> places(size_t(p.classes * p.classes), 2 * pairs);
  for (auto [pair, classes] : llvm::enumerate(p.list)) {
    places[size_t(classes.first * p.classes + classes.second)] = int64_t(pair);
    places[size_t(classes.second * p.classes + classes.first)] = pairs + int64_t(pair);
  }
  Value table = n.gather(n.concat({likely, rest, none}, 1), n.intVector(places), 1);
  return n.reshape(table, {dimsOf(scores)[0], n.dim(p.classes), n.dim(p.classes)});
}

namespace {
/// The minimisation of sum over i != j of (R[j][i] P[i] - R[i][j] P[j])^2, for each row: Wu, Lin and Weng,
/// "Probability Estimates for Multi-class Classification by Pairwise Coupling" (2004), algorithm 2.
struct Coupling {
  NodeImporter &n;
  int64_t classes;
  Value q, diagonal; ///< [rows, classes, classes], [rows, classes]

  Value column(Value values, Value t) { return n.gather(values, t, 1); } ///< values[:, t]
  Value spread(Value values) { return n.unsqueeze(values, {1}); }        ///< [rows, 1]

  /// One class t after the other: its best probability while the others stay in proportion. Carried: P, Q P
  /// and P Q P.
  LoopValues step(Value t, ArrayRef<Value> carried) {
    Value p = carried[0], qp = carried[1], pqp = carried[2];
    Value own = column(diagonal, t), one = n.like(own, 1);
    Value change = n.div(n.sub(pqp, column(qp, t)), own), scale = n.add(one, change);
    Value is = n.compare(CompareKind::eq, n.iota({n.dim(classes)}, GraphBuilder::elementType(t), 0), t);
    p = n.div(n.select(is, n.add(p, spread(change)), p), spread(scale));
    Value more = n.add(n.mul(change, own), n.mul(column(qp, t), n.like(own, 2)));
    pqp = n.div(n.add(pqp, n.mul(change, more)), n.mul(scale, scale));
    qp = n.div(n.add(qp, n.mul(spread(change), column(q, t))), spread(scale));
    return {.carried = {p, qp, pqp}, .stacked = {}};
  }

  /// All classes once, for the rows that are not near enough yet.
  LoopValues round(Value p) {
    Value qp = n.contract(q, p, {0}, {0}, {2}, {1});
    Value pqp = n.reduce(ReduceKind::sum, n.mul(p, qp), {1});
    Value error = n.reduce(ReduceKind::rmax, n.unary(UnaryKind::abs, n.sub(qp, spread(pqp))), {1});
    Value near = n.compare(CompareKind::lt, error, n.like(error, 0.005 / double(classes)));
    LoopValues next = countedLoop(n, n.dim(classes), {p, qp, pqp},
                                  [&](Value t, ArrayRef<Value> carried) { return step(t, carried); });
    Value far = n.select(near, n.like(error, 0), n.like(error, 1));
    Value any = n.reduce(ReduceKind::rmax, far, {0});
    return {.carried = {n.select(spread(near), p, next.carried[0])},
            .stacked = {},
            .goesOn = n.compare(CompareKind::gt, any, n.like(any, 0))};
  }
};
} // namespace

/// Probabilities of the classes, [rows, classes], from those of their pairs.
static Value coupled(NodeImporter &n, int64_t classes, Value pairs) {
  Value turned = n.transpose(pairs, {0, 2, 1}), rows = n.iota({n.dim(classes), n.dim(classes)}, si64(n), 0),
        columns = n.iota({n.dim(classes), n.dim(classes)}, si64(n), 1);
  Value diagonal = n.reduce(ReduceKind::sum, n.mul(pairs, pairs), {1});
  Value q = n.select(n.compare(CompareKind::eq, rows, columns), n.unsqueeze(diagonal, {1}),
                     n.unary(UnaryKind::neg, n.mul(pairs, turned)));
  Coupling coupling{n, classes, q, diagonal};
  Value equal = filled(n, dimsOf(diagonal), n.elementType(diagonal), 1.0 / double(classes));
  return countedLoop(n, n.dim(std::max<int64_t>(100, classes)), {equal},
                     [&](Value, ArrayRef<Value> carried) { return coupling.round(carried[0]); })
      .carried[0];
}

static void importPairs(NodeImporter &n, Value x, ArrayRef<int64_t> labels, ArrayRef<int64_t> perClass) {
  std::optional<Pairs> p = readPairs(n, perClass, labels.size());
  Value kernels = p ? kernelValues(n, x, numbersAttr(n, "support_vectors"), p->vectors,
                                   n.stringAttr("kernel_type", "LINEAR"))
                    : Value();
  if (!kernels)
    return;
  std::string transform = n.stringAttr("post_transform", "NONE");
  Value scores = pairScores(n, *p, kernels);
  Value best = n.argReduce(votes(n, *p, scores), 1, /*isMax=*/true, /*lastIndex=*/false, /*keepDims=*/false);
  if (!p->probA.empty())
    scores = coupled(n, p->classes, pairProbabilities(n, *p, scores));
  else if (p->classes == 2)
    scores = n.concat({n.unary(UnaryKind::neg, scores), scores}, 1);
  if (Value result = postTransform(n, scores, transform)) {
    n.result(0, n.gather(n.intVector(labels), best, 0));
    n.result(1, n.cast(result, n.b.getF32Type()));
  }
}

void importSvmClassifier(NodeImporter &n) {
  Value x = require(n, 1) ? features(n) : Value();
  auto labels = x ? classLabels(n, "classlabels_ints", "classlabels_strings") : std::nullopt;
  if (!labels)
    return;
  SmallVector<int64_t> perClass = n.intsAttr("vectors_per_class").value_or(SmallVector<int64_t>());
  if (llvm::any_of(perClass, [](int64_t count) { return count != 0; }))
    return importPairs(n, x, *labels, perClass);
  SmallVector<double> factors = numbersAttr(n, "coefficients"), rho = numbersAttr(n, "rho");
  int64_t classes = int64_t(labels->size());
  if (rho.empty() || factors.empty() || factors.size() % size_t(classes))
    return n.fail("TW1205", "coefficients and rho do not fit the number of labels");
  Value scores = kernelValues(n, x, factors, classes, "LINEAR");
  if (scores)
    giveClasses(n, n.add(scores, n.like(scores, rho[0])), *labels, n.stringAttr("post_transform", "NONE"),
                std::nullopt, FirstScore::Complement);
}

} // namespace tilewright::frontend
