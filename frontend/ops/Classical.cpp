/// Classical.cpp - the operators of ai.onnx.ml whose values are numbers: encoding and scaling of features,
/// linear models. Support vectors: SupportVectors.cpp; trees: Trees.cpp.
#include "frontend/ops/Classical.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

void importSvmClassifier(NodeImporter &n);          // SupportVectors.cpp
void importSvmRegressor(NodeImporter &n);           // SupportVectors.cpp
void importTreeEnsemble(NodeImporter &n);           // Trees.cpp
void importTreeEnsembleClassifier(NodeImporter &n); // Trees.cpp
void importTreeEnsembleRegressor(NodeImporter &n);  // Trees.cpp

//===- What the families share --------------------------------------------------------===//

Value numberVector(NodeImporter &n, ArrayRef<double> values, Type element) {
  auto type = RankedTensorType::get({int64_t(values.size())}, element);
  if (element.isF64())
    return n.constant(DenseElementsAttr::get(type, values));
  SmallVector<float> floats(values.begin(), values.end());
  return n.constant(DenseElementsAttr::get(type, ArrayRef<float>(floats)));
}

SmallVector<double> numbersAttr(NodeImporter &n, StringRef name) {
  SmallVector<float> values = n.floatsAttr(name).value_or(SmallVector<float>());
  return SmallVector<double>(values.begin(), values.end());
}

Value features(NodeImporter &n) {
  Value x = n.operand(0);
  if (!requireRank(n, x, 1, 2, "X"))
    return {};
  if (!isFloat(x) && !isInteger(x)) {
    requireFloat(n, x);
    return {};
  }
  if (n.rank(x) == 1)
    x = n.unsqueeze(x, {0});
  return n.elementType(x).isF64() ? x : n.cast(x, n.b.getF32Type());
}

static Value logistic(NodeImporter &n, Value x) { return n.unary(UnaryKind::sigmoid, x); }

/// The quantile function of the normal distribution, by Winitzki's formula for the inverse of erf.
static Value probit(NodeImporter &n, Value p) {
  auto number = [&](double value) { return n.like(p, value); };
  Value x = n.sub(n.mul(p, number(2)), number(1));
  Value log = n.unary(UnaryKind::log, n.mul(n.sub(number(1), x), n.add(number(1), x)));
  Value v = n.add(number(2 / (3.14159265358979 * 0.147)), n.mul(log, number(0.5)));
  Value root = n.unary(UnaryKind::sqrt, n.sub(n.mul(v, v), n.mul(log, number(1 / 0.147))));
  Value size = n.unary(UnaryKind::sqrt, n.sub(root, v));
  return n.mul(n.mul(n.unary(UnaryKind::sign, x), size), number(1.41421356237309));
}

/// Softmax in which what is (almost) zero stays so.
static Value softmaxZero(NodeImporter &n, Value x) {
  Value most = n.reduce(ReduceKind::rmax, x, {1}, /*keepDims=*/true);
  Value exp = n.unary(UnaryKind::exp, n.sub(x, most));
  Value small = n.mul(x, n.unary(UnaryKind::exp, n.unary(UnaryKind::neg, most)));
  Value is = n.compare(CompareKind::gt, n.unary(UnaryKind::abs, x), n.like(x, 1e-7));
  Value y = n.select(is, exp, small);
  return n.div(y, n.reduce(ReduceKind::sum, y, {1}, /*keepDims=*/true));
}

Value postTransform(NodeImporter &n, Value scores, StringRef transform) {
  if (transform == "NONE")
    return scores;
  if (transform == "LOGISTIC")
    return logistic(n, scores);
  if (transform == "SOFTMAX")
    return softmax(n, scores, 1);
  if (transform == "SOFTMAX_ZERO")
    return softmaxZero(n, scores);
  if (transform == "PROBIT")
    return probit(n, scores);
  n.fail("TW1205",
         "post_transform is '" + transform + "'; it must be NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT");
  return {};
}

std::optional<SmallVector<int64_t>> classLabels(NodeImporter &n, StringRef ints, StringRef strings) {
  SmallVector<int64_t> labels = n.intsAttr(ints).value_or(SmallVector<int64_t>());
  const onnx::Attribute *names = n.attr(strings);
  if (names && !names->strings.empty()) {
    if (n.wants(0)) {
      n.unsupported("TW1202", "labels that are strings are not supported",
                    "convert the model with integer labels, or use its scores only");
      return std::nullopt;
    }
    labels = llvm::to_vector(llvm::seq<int64_t>(0, names->strings.size()));
  }
  if (labels.empty()) {
    n.fail("TW1205", "there are no class labels");
    return std::nullopt;
  }
  return labels;
}

void giveClasses(NodeImporter &n, Value scores, ArrayRef<int64_t> labels, StringRef transform,
                 std::optional<double> threshold, FirstScore first) {
  Value table = n.intVector(labels), best;
  Type index = si64(n);
  if (threshold) { // one score for two classes
    Value positive = n.compare(CompareKind::gt, n.squeeze(scores, {1}), n.like(scores, *threshold));
    best = n.cast(positive, index);
    Value minus = n.unary(UnaryKind::neg, scores);
    if (first == FirstScore::Zero)
      scores = postTransform(n, n.concat({n.sub(scores, scores), scores}, 1), transform);
    else if (transform == "PROBIT")
      scores = probit(n, scores);
    else if (transform == "LOGISTIC")
      scores = n.concat({logistic(n, minus), logistic(n, scores)}, 1);
    else
      scores = n.concat({first == FirstScore::Negative ? minus : n.add(n.like(minus, 1), minus), scores}, 1);
  } else {
    best = n.argReduce(scores, 1, /*isMax=*/true, /*lastIndex=*/false, /*keepDims=*/false);
    scores = postTransform(n, scores, transform);
  }
  if (!scores)
    return;
  n.result(0, n.gather(table, best, 0));
  n.result(1, n.cast(scores, n.b.getF32Type()));
}

//===- Features -----------------------------------------------------------------------===//

/// A vector for each column of x, or one number for all.
static Value perColumn(NodeImporter &n, Value x, StringRef name, double fallback) {
  SmallVector<double> values = numbersAttr(n, name);
  if (values.empty())
    values.push_back(fallback);
  AffineExpr columns = dimsOf(x)[n.rank(x) - 1];
  if (values.size() != 1 &&
      !n.requireEqual(n.dim(int64_t(values.size())), columns, "the numbers of " + name + " and the columns"))
    return {};
  Value vector = numberVector(n, values, n.elementType(x));
  return values.size() == 1 ? n.reshape(vector, {}) : withSize(n, vector, 0, columns);
}

static void importScaler(NodeImporter &n) {
  Value x = require(n, 1) ? features(n) : Value();
  Value offset = x ? perColumn(n, x, "offset", 0) : Value(),
        scale = x ? perColumn(n, x, "scale", 1) : Value();
  if (!offset || !scale)
    return;
  Value y = n.cast(n.mul(n.sub(x, offset), scale), n.b.getF32Type());
  n.result(0, n.reshape(y, dimsOf(n.operand(0))));
}

static void importNormalizer(NodeImporter &n) {
  Value x = require(n, 1) ? features(n) : Value();
  if (!x)
    return;
  std::string norm = n.stringAttr("norm", "MAX");
  Value size = n.unary(UnaryKind::abs, x);
  if (norm == "MAX")
    size = n.reduce(ReduceKind::rmax, x, {1}, /*keepDims=*/true);
  else if (norm == "L1")
    size = n.reduce(ReduceKind::sum, size, {1}, /*keepDims=*/true);
  else if (norm == "L2")
    size = n.unary(UnaryKind::sqrt, n.reduce(ReduceKind::sum, n.mul(x, x), {1}, /*keepDims=*/true));
  else
    return n.fail("TW1205", "norm is '" + norm + "'; it must be MAX, L1 or L2");
  Value divisor = n.select(n.compare(CompareKind::eq, size, n.like(size, 0)), n.like(size, 1), size);
  n.result(0, n.reshape(n.cast(n.div(x, divisor), n.b.getF32Type()), dimsOf(n.operand(0))));
}

static void importBinarizer(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  Value above = n.compare(CompareKind::gt, x, n.like(x, n.floatAttr("threshold", 0)));
  n.result(0, n.cast(above, n.elementType(x)));
}

static void importArrayFeatureExtractor(NodeImporter &n) {
  if (!require(n, 2) || !requireRank(n, n.operand(0), 1, INT64_MAX))
    return;
  Value x = n.operand(0), at = indices(n, n.operand(1));
  if (!at)
    return;
  if (n.rank(x) == 1)
    x = n.unsqueeze(x, {0});
  at = n.reshape(at, {productOf(dimsOf(at), n.b.getContext())});
  n.result(0, n.gather(x, at, n.rank(x) - 1));
}

static void importImputer(NodeImporter &n) {
  if (!require(n, 1) || !requireRank(n, n.operand(0), 1, INT64_MAX))
    return;
  Value x = n.operand(0), missing, filling;
  if (isFloat(x)) {
    float replaced = n.floatAttr("replaced_value_float", 0);
    missing = std::isnan(replaced) ? n.unary(UnaryKind::isnan, x)
                                   : n.compare(CompareKind::eq, x, n.like(x, replaced));
    filling = perColumn(n, x, "imputed_value_floats", 0);
  } else {
    missing =
        n.compare(CompareKind::eq, x, n.scalarInt(n.elementType(x), n.intAttr("replaced_value_int64", 0)));
    SmallVector<int64_t> values = n.intsAttr("imputed_value_int64s").value_or(SmallVector<int64_t>{0});
    AffineExpr columns = dimsOf(x)[n.rank(x) - 1];
    if (values.size() != 1 && !n.requireEqual(n.dim(int64_t(values.size())), columns, "the columns"))
      return;
    filling = n.cast(n.intVector(values), n.elementType(x));
    filling = values.size() == 1 ? n.reshape(filling, {}) : withSize(n, filling, 0, columns);
  }
  if (filling)
    n.result(0, n.select(missing, filling, x));
}

static void importFeatureVectorizer(NodeImporter &n) {
  if (!require(n, n.operandCount()) || n.operandCount() == 0)
    return;
  SmallVector<Value> parts;
  for (size_t i = 0; i < n.operandCount(); ++i) {
    Value part = n.operand(i);
    if (!requireRank(n, part, 1, 2))
      return;
    parts.push_back(n.cast(n.rank(part) == 1 ? n.unsqueeze(part, {0}) : part, n.b.getF32Type()));
  }
  if (Value all = joined(n, parts, 1))
    n.result(0, all);
}

//===- Encoding -----------------------------------------------------------------------===//

/// Whether x[...] is keys[k], along a new last dimension; since version 4 NaN is NaN.
static Value matches(NodeImporter &n, Value x, Value keys) {
  x = n.unsqueeze(x, {n.rank(x)});
  Value same = n.compare(CompareKind::eq, x, keys);
  if (!isFloat(x) || n.opset < 4)
    return same;
  Value both = n.binary(graph::BinaryKind::mul, n.cast(n.unary(UnaryKind::isnan, x), n.elementType(x)),
                        n.cast(n.unary(UnaryKind::isnan, keys), n.elementType(x)));
  return n.select(same, same, n.compare(CompareKind::gt, both, n.like(both, 0)));
}

static void importOneHotEncoder(NodeImporter &n) {
  if (!require(n, 1))
    return;
  std::optional<SmallVector<int64_t>> categories = n.intsAttr("cats_int64s");
  if (!categories || categories->empty())
    return n.unsupported("TW1202", "categories that are strings are not supported");
  if (n.intAttr("zeros", 1) == 0)
    return n.unsupported("TW1203", "zeros = 0, which makes unknown categories an error, is not supported");
  Value x = n.operand(0);
  if (!isFloat(x) && !isInteger(x))
    return n.fail("TW2003", "elements are " + typeName(n.elementType(x)) + "; they must be numbers");
  Value keys = n.intVector(*categories);
  n.result(0, n.cast(matches(n, n.cast(x, si64(n)), keys), n.b.getF32Type()));
}

/// Constants of one side of a LabelEncoder: `<side>_int64s`, `<side>_floats` or `<side>_tensor`; null where
/// it has strings.
static Value labels(NodeImporter &n, StringRef side) {
  if (std::optional<SmallVector<int64_t>> values = n.intsAttr((side + "_int64s").str());
      values && !values->empty())
    return n.intVector(*values);
  if (SmallVector<double> values = numbersAttr(n, (side + "_floats").str()); !values.empty())
    return numberVector(n, values, n.b.getF32Type());
  const onnx::Attribute *tensor = n.attr((side + "_tensor").str());
  if (tensor && tensor->kind == onnx::Attribute::Kind::Tensor) {
    Value value = n.tensorAttr(tensor->tensor());
    return value ? n.reshape(value, {elementCount(value.getType())}) : Value();
  }
  n.unsupported("TW1202", "a LabelEncoder of strings is not supported", "encode text before the model");
  return {};
}

static void importLabelEncoder(NodeImporter &n) {
  Value keys = require(n, 1) ? labels(n, "keys") : Value(), values = keys ? labels(n, "values") : Value();
  if (!values)
    return;
  Value x = n.operand(0);
  if (!requireSameElements(n, {x, keys}) ||
      !n.requireEqual(dimsOf(keys)[0], dimsOf(values)[0], "the keys and the values"))
    return;
  Value fallback = isFloat(values) ? n.like(values, n.floatAttr("default_float", -0.0f))
                                   : n.scalarInt(n.elementType(values), n.intAttr("default_int64", -1));
  if (const onnx::Attribute *given = n.attr("default_tensor");
      given && given->kind == onnx::Attribute::Kind::Tensor) {
    Value value = n.tensorAttr(given->tensor());
    if (!value)
      return;
    fallback = n.cast(n.reshape(value, {}), n.elementType(values));
  }
  Value found = n.cast(matches(n, x, keys), n.b.getF32Type());
  Value at = n.argReduce(found, n.rank(x), /*isMax=*/true, /*lastIndex=*/false, /*keepDims=*/false);
  Value any = n.reduce(ReduceKind::rmax, found, {n.rank(x)});
  n.result(0, n.select(n.compare(CompareKind::gt, any, n.like(any, 0)), n.gather(values, at, 0), fallback));
}

//===- Linear models ------------------------------------------------------------------===//

/// x [rows, columns] times the coefficients [outputs, columns] of attribute `coefficients`, plus intercepts.
static Value linear(NodeImporter &n, Value x, int64_t outputs) {
  SmallVector<double> factors = numbersAttr(n, "coefficients"), shifts = numbersAttr(n, "intercepts");
  if (outputs < 1 || factors.empty() || factors.size() % size_t(outputs) ||
      (!shifts.empty() && int64_t(shifts.size()) != outputs)) {
    n.fail("TW1205", "coefficients and intercepts do not fit the number of outputs");
    return {};
  }
  int64_t columns = int64_t(factors.size()) / outputs;
  if (!n.requireEqual(dimsOf(x)[1], n.dim(columns), "the columns of X and the coefficients"))
    return {};
  x = withSize(n, x, 1, n.dim(columns));
  Value matrix = n.reshape(numberVector(n, factors, n.elementType(x)), {n.dim(outputs), n.dim(columns)});
  Value y = n.contract(x, matrix, {}, {}, {1}, {1});
  return shifts.empty() ? y : n.add(y, numberVector(n, shifts, n.elementType(x)));
}

static void importLinearRegressor(NodeImporter &n) {
  Value x = require(n, 1) ? features(n) : Value();
  Value y = x ? linear(n, x, n.intAttr("targets", 1)) : Value();
  y = y ? postTransform(n, y, n.stringAttr("post_transform", "NONE")) : Value();
  if (y)
    n.result(0, n.cast(y, n.b.getF32Type()));
}

static void importLinearClassifier(NodeImporter &n) {
  Value x = require(n, 1) ? features(n) : Value();
  auto labels = x ? classLabels(n, "classlabels_ints", "classlabels_strings") : std::nullopt;
  if (!labels)
    return;
  size_t intercepts = numbersAttr(n, "intercepts").size();
  int64_t outputs = intercepts ? int64_t(intercepts) : int64_t(labels->size());
  Value scores = linear(n, x, outputs);
  if (!scores)
    return;
  bool binary = outputs == 1 && labels->size() == 2;
  if (!binary && outputs != int64_t(labels->size()))
    return n.fail("TW1205", "there are " + llvm::Twine(labels->size()) + " labels for " +
                                llvm::Twine(outputs) + " scores");
  giveClasses(n, scores, *labels, n.stringAttr("post_transform", "NONE"),
              binary ? std::optional(0.0) : std::nullopt, FirstScore::Complement);
}

llvm::ArrayRef<OpEntry> classicalOps() {
  static const StringRef domain = "ai.onnx.ml";
  static const OpEntry rows[] = {
      {"ArrayFeatureExtractor", importArrayFeatureExtractor, domain},
      {"Binarizer", importBinarizer, domain},
      {"FeatureVectorizer", importFeatureVectorizer, domain},
      {"Imputer", importImputer, domain},
      {"LabelEncoder", importLabelEncoder, domain},
      {"LinearClassifier", importLinearClassifier, domain},
      {"LinearRegressor", importLinearRegressor, domain},
      {"Normalizer", importNormalizer, domain},
      {"OneHotEncoder", importOneHotEncoder, domain},
      {"SVMClassifier", importSvmClassifier, domain},
      {"SVMRegressor", importSvmRegressor, domain},
      {"Scaler", importScaler, domain},
      {"TreeEnsemble", importTreeEnsemble, domain},
      {"TreeEnsembleClassifier", importTreeEnsembleClassifier, domain},
      {"TreeEnsembleRegressor", importTreeEnsembleRegressor, domain},
  };
  return rows;
}

} // namespace tilewright::frontend
