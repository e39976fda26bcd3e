/// Einsum.cpp - Einstein summation as a chain of contractions, left to right.
///
/// Every dimension has a label: a letter, or a number for each dimension that an ellipsis stands for.
/// Diagonals are taken and labels that nobody else needs are summed before two terms meet; what two terms
/// share is a batch dimension while it is still needed, else contracted.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::CompareKind;
using graph::ReduceKind;

namespace {
using Labels = SmallVector<int, 8>;
constexpr int firstEllipsisLabel = 256;

/// A value and the label of each of its dimensions.
struct Term {
  Value value;
  Labels labels;
};

class Einsum {
public:
  explicit Einsum(NodeImporter &n) : n(n) {}
  void run();

private:
  std::optional<Labels> parseTerm(StringRef text, std::optional<int64_t> rank);
  bool parse(StringRef text);
  void implicitOutput();
  bool bindSizes();
  Term diagonal(Term term);
  Term sumUnneeded(Term term, const Labels &needed);
  Term combine(Term left, Term right, const Labels &needed);
  Term multiply(Term left, Term right);
  Labels neededAfter(size_t input) const;

  NodeImporter &n;
  SmallVector<Term> terms;
  Labels output;
  int64_t ellipsisRank = 0;
  DenseMap<int, AffineExpr> sizes;
};
} // namespace

static bool contains(const Labels &labels, int label) { return llvm::is_contained(labels, label); }
static int64_t positionOf(const Labels &labels, int label) {
  return llvm::find(labels, label) - labels.begin();
}

/// The labels of one term; an ellipsis stands for what `rank` leaves (inputs), or for all ellipsis dimensions
/// (the output).
std::optional<Labels> Einsum::parseTerm(StringRef text, std::optional<int64_t> rank) {
  std::string letters = text.str();
  llvm::erase(letters, ' ');
  size_t dots = letters.find("...");
  int64_t named = letters.size() - (dots == std::string::npos ? 0 : 3);
  int64_t covered = dots == std::string::npos ? 0 : rank ? *rank - named : ellipsisRank;
  Labels labels;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (i == dots) {
      for (int64_t k = 0; k < covered; ++k) // right-aligned, as broadcasting is
        labels.push_back(firstEllipsisLabel + int(64 - covered + k));
      i += 2;
    } else if (llvm::isAlpha(letters[i])) {
      labels.push_back(letters[i]);
    } else {
      n.fail("TW1205", "the equation has an unexpected '" + llvm::Twine(letters[i]) + "'");
      return std::nullopt;
    }
  }
  if (rank && (covered < 0 || covered > 64 || int64_t(labels.size()) != *rank)) {
    n.fail("TW2004",
           "the term '" + llvm::Twine(letters) + "' does not fit an operand of rank " + llvm::Twine(*rank));
    return std::nullopt;
  }
  if (rank)
    ellipsisRank = std::max(ellipsisRank, covered);
  return labels;
}

/// Without "->" the output has the ellipsis first and then the letters that occur once, in ASCII order.
void Einsum::implicitOutput() {
  for (int64_t k = 0; k < ellipsisRank; ++k)
    output.push_back(firstEllipsisLabel + int(64 - ellipsisRank + k));
  for (int letter = 0; letter < firstEllipsisLabel; ++letter) {
    int64_t uses = 0;
    for (const Term &term : terms)
      uses += llvm::count(term.labels, letter);
    if (uses == 1)
      output.push_back(letter);
  }
}

bool Einsum::parse(StringRef text) {
  auto [left, right] = text.split("->");
  bool isExplicit = text.contains("->");
  SmallVector<StringRef> parts;
  left.split(parts, ',');
  if (parts.size() != n.operandCount()) {
    n.fail("TW1205", "the equation '" + text + "' has " + llvm::Twine(parts.size()) + " terms for " +
                         llvm::Twine(n.operandCount()) + " operands");
    return false;
  }
  for (auto [index, part] : llvm::enumerate(parts)) {
    Value value = n.operand(index);
    std::optional<Labels> labels = parseTerm(part, GraphBuilder::rank(value));
    if (!labels)
      return false;
    terms.push_back({value, *labels});
  }
  if (!isExplicit)
    return implicitOutput(), true;
  std::optional<Labels> labels = parseTerm(right, std::nullopt);
  if (labels)
    output = *labels;
  return labels.has_value();
}

/// Gives each label its size, and every dimension of more than one element exactly that size.
bool Einsum::bindSizes() {
  for (Term &term : terms)
    for (auto [label, size] : llvm::zip_equal(term.labels, dimsOf(term.value))) {
      AffineExpr &known = sizes[label];
      if (!known || constantOf(known) == 1)
        known = size;
      else if (constantOf(size) == 1)
        continue;
      else if (bool spread = label >= firstEllipsisLabel;
               !n.holds({spread ? graph::RelationKind::either : graph::RelationKind::equal, known, size,
                         "the sizes of one label"}))
        return false;
      else if (spread)
        known = n.symbols.broadcast(known, size);
      else if (constantOf(size))
        known = size;
    }
  for (int label : output)
    if (!sizes.count(label)) {
      n.fail("TW1205", "the output names a label that no operand has");
      return false;
    }
  for (Term &term : terms)
    for (size_t i = 0; i < term.labels.size(); ++i) {
      AffineExpr have = dimsOf(term.value)[i], size = sizes[term.labels[i]];
      if (constantOf(have) == 1 || provablyEqual(have, size))
        continue;
      Dims shape = dimsOf(term.value);
      shape[i] = size;
      bool broadcasts = term.labels[i] >= firstEllipsisLabel;
      term.value = broadcasts ? n.broadcastTo(term.value, shape) : n.reshape(term.value, shape);
    }
  return true;
}

/// Keeps one dimension of each repeated label: elements off the diagonal become 0, then the later dimension
/// is summed.
Term Einsum::diagonal(Term term) {
  for (size_t i = 0; i < term.labels.size(); ++i)
    for (size_t j = term.labels.size() - 1; j > i; --j) {
      if (term.labels[i] != term.labels[j])
        continue;
      Dims shape = dimsOf(term.value);
      if (constantOf(shape[j]) != 1 && constantOf(shape[i]) != 1) {
        Type index = signedType(n, 64);
        Value onDiagonal = n.compare(CompareKind::eq, n.iota(shape, index, i), n.iota(shape, index, j));
        term.value = n.select(onDiagonal, term.value, n.like(term.value, 0));
      } else if (constantOf(shape[i]) == 1) {
        term.value = n.transpose(term.value, [&] {
          SmallVector<int64_t> perm = upTo(shape.size());
          std::swap(perm[i], perm[j]);
          return perm;
        }());
      }
      term.value = n.reduce(ReduceKind::sum, term.value, {int64_t(j)});
      term.labels.erase(term.labels.begin() + j);
    }
  return term;
}

Term Einsum::sumUnneeded(Term term, const Labels &needed) {
  SmallVector<int64_t> dims;
  Labels kept;
  for (auto [i, label] : llvm::enumerate(term.labels))
    if (contains(needed, label))
      kept.push_back(label);
    else
      dims.push_back(i);
  return {n.reduce(ReduceKind::sum, term.value, dims), kept};
}

/// Dimensions of size 1 that the other term has larger carry nothing: they are dropped from `term`.
static Term dropUnit(NodeImporter &n, Term term, const Term &other) {
  Labels kept;
  SmallVector<int64_t> dims;
  Dims shape = dimsOf(term.value);
  for (auto [i, label] : llvm::enumerate(term.labels))
    if (constantOf(shape[i]) == 1 && contains(other.labels, label))
      dims.push_back(i);
    else
      kept.push_back(label);
  return {n.squeeze(term.value, dims), kept};
}

/// Element-wise, over the union of the labels.
Term Einsum::multiply(Term left, Term right) {
  Labels all = left.labels;
  for (int label : right.labels)
    if (!contains(all, label))
      all.push_back(label);
  auto aligned = [&](const Term &term) {
    SmallVector<int64_t> order;
    Dims shape(all.size(), n.dim(1)), from = dimsOf(term.value);
    for (auto [i, label] : llvm::enumerate(all))
      if (contains(term.labels, label)) {
        order.push_back(positionOf(term.labels, label));
        shape[i] = from[order.back()];
      }
    return n.reshape(n.transpose(term.value, order), shape);
  };
  return {n.mul(aligned(left), aligned(right)), all};
}

Term Einsum::combine(Term left, Term right, const Labels &needed) {
  right = dropUnit(n, right, left);
  left = dropUnit(n, left, right);
  SmallVector<int64_t> leftBatch, rightBatch, leftSum, rightSum;
  Labels labels;
  for (auto [i, label] : llvm::enumerate(left.labels))
    if (contains(right.labels, label)) {
      bool keep = contains(needed, label);
      (keep ? leftBatch : leftSum).push_back(i);
      (keep ? rightBatch : rightSum).push_back(positionOf(right.labels, label));
      if (keep)
        labels.push_back(label);
    }
  if (leftSum.empty())
    return multiply(left, right);
  for (const Term *term : {&left, &right})
    for (int label : term->labels)
      if (!(contains(left.labels, label) && contains(right.labels, label)))
        labels.push_back(label);
  return {contractSameType(n, left.value, right.value, leftBatch, rightBatch, leftSum, rightSum), labels};
}

Labels Einsum::neededAfter(size_t input) const {
  Labels needed = output;
  for (size_t later = input + 1; later < terms.size(); ++later)
    llvm::append_range(needed, terms[later].labels);
  return needed;
}

void Einsum::run() {
  std::string equation = n.stringAttr("equation", "");
  if (!require(n, std::max<size_t>(1, n.operandCount())))
    return;
  SmallVector<Value> values;
  for (size_t i = 0; i < n.operandCount(); ++i)
    values.push_back(n.operand(i));
  if (!requireSameElements(n, values) || !parse(equation) || !bindSizes())
    return;
  for (Term &term : terms)
    term = diagonal(term);
  Term sum = sumUnneeded(terms[0], neededAfter(0));
  for (size_t i = 1; i < terms.size(); ++i) {
    Labels needed = neededAfter(i), wanted = needed;
    llvm::append_range(wanted, sum.labels);
    Term next = sumUnneeded(terms[i], wanted);
    sum = sumUnneeded(combine(sum, next, needed), needed);
  }
  SmallVector<int64_t> perm;
  for (int label : output)
    perm.push_back(positionOf(sum.labels, label));
  if (perm.size() != sum.labels.size())
    return n.fail("TW1205", "the output of the equation '" + equation + "' names a label twice");
  Value result = n.transpose(sum.value, perm);
  n.result(0, result);
}

void importEinsum(NodeImporter &n) { Einsum(n).run(); }

} // namespace tilewright::frontend
