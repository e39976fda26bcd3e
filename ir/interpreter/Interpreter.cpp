/// Interpreter.cpp - dispatch of one op to its family, and what families share: shapes, symbols, errors.
#include "ir/interpreter/Interpreter.h"
#include "ir/interpreter/Elements.h"
#include "ir/interpreter/Evaluation.h"
#include "llvm/ADT/TypeSwitch.h"
#include <limits>

using namespace mlir;

namespace tilewright::interpreter {

char Failure::ID = 0;

void Failure::log(llvm::raw_ostream &stream) const { stream << "TW" << int(kind) << ": " << message; }

static std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << '[';
  llvm::interleaveComma(shape, stream);
  stream << ']';
  return text;
}

llvm::Error Evaluation::fail(Failure::Kind kind, const llvm::Twine &message) const {
  return llvm::make_error<Failure>(kind, op->getLoc(), message);
}

llvm::Expected<int64_t> Evaluation::value(AffineExpr expr) const {
  for (unsigned symbol : symbolsIn(expr))
    if (symbol < symbols.size() && symbols[symbol] == mismatchedSymbol)
      return fail(Failure::ShapeMismatch,
                  "two dimensions that are broadcast together have different sizes, neither of them 1");
    else if (symbol >= symbols.size() || symbols[symbol] == unboundSymbol)
      return fail(Failure::Unsupported, "symbol " + llvm::Twine(symbol) + " has no value yet");
  if (auto number = tilewright::evaluate(expr, symbols))
    return *number;
  return fail(Failure::Memory, "a size does not fit in 63 bits");
}

llvm::Expected<Shape> Evaluation::values(AffineMap map) const {
  Shape result;
  for (AffineExpr expr : map.getResults()) {
    auto number = value(expr);
    if (!number)
      return number.takeError();
    result.push_back(*number);
  }
  return result;
}

Type Evaluation::resultElement(unsigned index) const {
  return cast<RankedTensorType>(op->getResult(index).getType()).getElementType();
}

llvm::Expected<Shape> Evaluation::resultShape(unsigned index) const {
  Shape shape;
  for (AffineExpr dim : dimsOf(op->getResult(index))) {
    auto size = value(dim);
    if (!size)
      return size.takeError();
    if (*size < 0)
      return fail(Failure::ShapeMismatch, "a dimension of the result would be " + llvm::Twine(*size));
    shape.push_back(*size);
  }
  return shape;
}

llvm::Expected<Tensor> Evaluation::makeResult(unsigned index) const {
  auto shape = resultShape(index);
  if (!shape)
    return shape.takeError();
  return make(resultElement(index), *shape);
}

llvm::Expected<Tensor> Evaluation::make(Type elementType, llvm::ArrayRef<int64_t> shape) const {
  constexpr int64_t limit = int64_t(1) << 40;
  int64_t bytes = storedBytes(elementType);
  for (int64_t size : shape)
    if (llvm::MulOverflow(bytes, size, bytes))
      bytes = limit + 1;
  if (llvm::is_contained(shape, 0))
    bytes = 0;
  if (bytes <= limit)
    if (Tensor result(elementType, shape); result.data())
      return result;
  return fail(Failure::Memory, "a tensor of shape " + shapeText(shape) + " does not fit in memory");
}

llvm::Error Evaluation::requireShape(const llvm::Twine &what, llvm::ArrayRef<int64_t> actual,
                                     llvm::ArrayRef<int64_t> expected) const {
  if (actual == expected)
    return llvm::Error::success();
  return fail(Failure::ShapeMismatch,
              what + " has shape " + shapeText(actual) + " where " + shapeText(expected) + " is needed");
}

llvm::Error Evaluation::requireResultShapes(llvm::ArrayRef<Tensor> results) const {
  for (unsigned index = 0; index < results.size(); ++index) {
    auto shape = resultShape(index);
    if (!shape)
      return shape.takeError();
    if (llvm::Error error = requireShape("result " + llvm::Twine(index), results[index].shape, *shape))
      return error;
  }
  return llvm::Error::success();
}

llvm::Expected<int64_t> Evaluation::index(int64_t value, int64_t size) const {
  if (value < -size || value >= size)
    return fail(Failure::Index, "index " + llvm::Twine(value) + " is outside [" + llvm::Twine(-size) + ", " +
                                    llvm::Twine(size) + ")");
  return value < 0 ? value + size : value;
}

void forEachIndex(llvm::ArrayRef<int64_t> shape, llvm::function_ref<void(llvm::ArrayRef<int64_t>)> function) {
  if (llvm::is_contained(shape, 0))
    return;
  Shape index(shape.size(), 0);
  while (true) {
    function(index);
    size_t dim = shape.size();
    while (dim > 0 && ++index[dim - 1] == shape[dim - 1])
      index[--dim] = 0;
    if (dim == 0)
      return;
  }
}

double extremeNumber(Type type, bool lowest) {
  const FloatFormat *format = formatOf(type);
  double magnitude = format && format->infCode < 0 ? decodeFloat(*format, format->maxCode)
                                                   : std::numeric_limits<double>::infinity();
  return lowest ? -magnitude : magnitude;
}

int64_t extremeInteger(Type type, bool lowest) {
  unsigned width = type.getIntOrFloatBitWidth();
  if (isUnsigned(type))
    return lowest ? 0 : int64_t(~uint64_t(0) >> (64 - width));
  int64_t highest = int64_t(~uint64_t(0) >> 1 >> (64 - width));
  return lowest ? -highest - 1 : highest;
}

int64_t orderKey(Type type, int64_t value) { return type.isUnsignedInteger(64) ? value ^ INT64_MIN : value; }

/// Families return one tensor or several.
static llvm::Expected<Results> asResults(Outcome outcome) {
  if (!outcome)
    return outcome.takeError();
  return Results{std::move(*outcome)};
}
static llvm::Expected<Results> asResults(llvm::Expected<Results> results) { return results; }

static llvm::Expected<Results> runConstant(graph::ConstantOp op, const Evaluation &e) {
  auto tensor = Tensor::fromAttribute(op.getValue(), e.resultElement());
  if (!tensor)
    return e.fail(Failure::Unsupported, llvm::toString(tensor.takeError()));
  return Results{std::move(*tensor)};
}

static llvm::Expected<Results> runWeight(graph::WeightOp op) {
  ConstantEvaluator constants;
  return asResults(constants.weight(op));
}

static llvm::Expected<Results> dispatch(Operation *op, const Evaluation &e) {
  return llvm::TypeSwitch<Operation *, llvm::Expected<Results>>(op)
      .Case([&](graph::ConstantOp constant) { return runConstant(constant, e); })
      .Case([&](graph::WeightOp weight) { return runWeight(weight); })
      .Case<graph::UnaryOp, graph::BinaryOp, graph::CompareOp, graph::SelectOp, graph::CastOp,
            graph::BitcastOp, graph::BroadcastOp, graph::ReshapeOp, graph::TransposeOp, graph::SliceOp,
            graph::ConcatOp, graph::PadOp, graph::DimsOp, graph::IotaOp, graph::GatherOp,
            graph::GatherElementsOp, graph::GatherNDOp, graph::ScatterElementsOp, graph::ScatterNDOp,
            graph::CompactOp, graph::ReduceOp, graph::ScanOp, graph::WindowOp, graph::ArgReduceOp,
            graph::SortOp, graph::ContractOp, graph::ConvOp>(
          [&](auto known) { return asResults(run(known, e)); })
      .Default([&](Operation *) -> llvm::Expected<Results> {
        return e.fail(Failure::Unsupported,
                      "the interpreter cannot run '" + op->getName().getStringRef() + "' on its own");
      });
}

llvm::Expected<Results> evaluate(Operation *op, llvm::ArrayRef<Tensor> operands,
                                 llvm::ArrayRef<int64_t> symbols) {
  assert(operands.size() == op->getNumOperands());
  Evaluation e(op, operands, symbols);
  auto results = dispatch(op, e);
  if (results)
    if (llvm::Error error = e.requireResultShapes(*results))
      return std::move(error);
  return results;
}

} // namespace tilewright::interpreter
