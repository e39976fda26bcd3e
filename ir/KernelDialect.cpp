// The kernel dialect: text of schedules and layouts, and the numbered constraints of KernelOps.td.
#include "ir/Layouts.h"
#include "ir/OpFacts.h"
#include "ir/Symbols.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "ir/KernelDialect.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/KernelAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "ir/KernelOps.cpp.inc"

using namespace mlir;
using llvm::ArrayRef;
using llvm::StringRef;

namespace tilewright::kernel {

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/KernelAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/KernelOps.cpp.inc"
      >();
}

//===- Schedules ----------------------------------------------------------------------------===//

std::optional<int64_t> ScheduleAttr::find(StringRef name) const {
  auto value = getParameters().getAs<IntegerAttr>(name);
  return value ? std::optional(value.getInt()) : std::nullopt;
}

int64_t ScheduleAttr::operator[](StringRef name) const {
  auto value = find(name);
  assert(value && "the schedule's algorithm has no such parameter");
  return *value;
}

ScheduleAttr ScheduleAttr::with(StringRef name, int64_t value) const {
  NamedAttrList list(getParameters());
  list.set(name, IntegerAttr::get(IntegerType::get(getContext(), 64), value));
  return get(getContext(), getFamily(), getAlgorithm(), list.getDictionary(getContext()));
}

LogicalResult ScheduleAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, StringAttr, StringAttr,
                                   DictionaryAttr parameters) {
  for (NamedAttribute parameter : parameters) {
    auto value = llvm::dyn_cast<IntegerAttr>(parameter.getValue());
    if (!value || !value.getType().isSignlessInteger(64))
      return emitError() << "S1: schedule parameter '" << parameter.getName() << "' must be a 64-bit number";
  }
  return success();
}

void ScheduleAttr::print(AsmPrinter &printer) const {
  printer << "<" << getFamily().getValue() << " " << getAlgorithm().getValue();
  for (NamedAttribute parameter : getParameters())
    printer << ", " << parameter.getName().getValue() << " = "
            << llvm::cast<IntegerAttr>(parameter.getValue()).getInt();
  printer << ">";
}

Attribute ScheduleAttr::parse(AsmParser &parser, Type) {
  StringRef family, algorithm;
  if (parser.parseLess() || parser.parseKeyword(&family) || parser.parseKeyword(&algorithm))
    return {};
  Builder b(parser.getContext());
  NamedAttrList parameters;
  while (succeeded(parser.parseOptionalComma())) {
    StringRef name;
    int64_t value = 0;
    if (parser.parseKeyword(&name) || parser.parseEqual() || parser.parseInteger(value))
      return {};
    if (parameters.set(name, b.getI64IntegerAttr(value)))
      return parser.emitError(parser.getNameLoc()) << "schedule parameter '" << name << "' is given twice",
             Attribute();
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<ScheduleAttr>(parser.getContext(), b.getStringAttr(family),
                                         b.getStringAttr(algorithm),
                                         parameters.getDictionary(parser.getContext()));
}

//===- Layouts ------------------------------------------------------------------------------===//

LogicalResult LayoutStepAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, StringAttr kind,
                                     DenseI64ArrayAttr numbers) {
  ArrayRef<int64_t> values = numbers;
  if (kind == "transpose") {
    llvm::SmallVector<int64_t> sorted(values);
    llvm::sort(sorted);
    return llvm::equal(sorted, llvm::seq<int64_t>(0, sorted.size()))
               ? success()
               : LogicalResult(emitError() << "L1: a transpose must name every dimension once");
  }
  if (kind != "pad" && kind != "reshape")
    return emitError() << "L1: there is no layout step '" << kind.getValue() << "'";
  if (llvm::any_of(values, [](int64_t value) { return value < 0; }))
    return emitError() << "L1: the numbers of a " << kind.getValue() << " must not be negative";
  return success();
}

void LayoutStepAttr::print(AsmPrinter &printer) const {
  printer << "<" << getKind().getValue() << " [";
  llvm::interleaveComma(ArrayRef<int64_t>(getNumbers()), printer);
  printer << "]>";
}

static LayoutStepAttr parseStep(AsmParser &parser) {
  StringRef kind;
  llvm::SmallVector<int64_t> numbers;
  auto number = [&] { return parser.parseInteger(numbers.emplace_back()); };
  if (parser.parseKeyword(&kind) || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, number))
    return {};
  Builder b(parser.getContext());
  return parser.getChecked<LayoutStepAttr>(parser.getContext(), b.getStringAttr(kind),
                                           b.getDenseI64ArrayAttr(numbers));
}

Attribute LayoutStepAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  LayoutStepAttr step = parseStep(parser);
  return step && succeeded(parser.parseGreater()) ? step : LayoutStepAttr();
}

LogicalResult LayoutAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<LayoutStepAttr> steps) {
  return steps.empty() ? LogicalResult(emitError() << "a layout has at least one step") : success();
}

void LayoutAttr::print(AsmPrinter &printer) const {
  printer << "<";
  llvm::interleaveComma(getSteps(), printer, [&](LayoutStepAttr step) {
    printer << step.getKind().getValue() << " [";
    llvm::interleaveComma(ArrayRef<int64_t>(step.getNumbers()), printer);
    printer << "]";
  });
  printer << ">";
}

Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  llvm::SmallVector<LayoutStepAttr> steps;
  auto one = [&] { return success(bool(steps.emplace_back(parseStep(parser)))); };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater, one))
    return {};
  return parser.getChecked<LayoutAttr>(parser.getContext(), steps);
}

//===- kernel.func --------------------------------------------------------------------------===//

LayoutAttr FuncOp::layoutOf(unsigned argument) {
  auto layouts = getLayoutsAttr();
  return layouts ? llvm::dyn_cast<LayoutAttr>(layouts[argument]) : LayoutAttr();
}

void FuncOp::setLayout(unsigned argument, LayoutAttr layout) {
  llvm::SmallVector<Attribute> all(getBody().getNumArguments(), UnitAttr::get(getContext()));
  if (auto layouts = getLayoutsAttr())
    all.assign(layouts.begin(), layouts.end());
  all[argument] = layout ? Attribute(layout) : UnitAttr::get(getContext());
  const bool any = llvm::any_of(all, [](Attribute one) { return llvm::isa<LayoutAttr>(one); });
  setLayoutsAttr(any ? ArrayAttr::get(getContext(), all) : ArrayAttr());
}

bool FuncOp::isConstant(unsigned argument) {
  auto constants = getConstants();
  return constants && llvm::is_contained(*constants, int64_t(argument));
}

static LogicalResult verifyRoots(FuncOp kernel) {
  llvm::SmallVector<Operation *> roots;
  for (Operation &op : kernel.getBody().front())
    if (graph::isProduct(&op) || graph::isSerial(&op))
      roots.push_back(&op);
  const bool chain = roots.size() == 2 && llvm::all_of(roots, llvm::IsaPred<graph::ContractOp>);
  if (roots.size() > 1 && !chain)
    return kernel.emitOpError("K2: has ")
           << roots.size() << " roots, at most one, or two contractions, may be";
  auto schedule = kernel.getScheduleAttr();
  if (schedule && schedule.getFamily() != nameOf(familyOf(kernel)))
    return kernel.emitOpError("K3: is a kernel of the family '")
           << nameOf(familyOf(kernel)) << "', its schedule of '" << schedule.getFamily().getValue() << "'";
  return success();
}

static LogicalResult verifyArguments(FuncOp kernel) {
  const int64_t count = kernel.getBody().getNumArguments();
  ArrayRef<int64_t> constants = kernel.getConstants().value_or(ArrayRef<int64_t>());
  for (auto [i, argument] : llvm::enumerate(constants))
    if (argument < 0 || argument >= count || (i && constants[i - 1] >= argument))
      return kernel.emitOpError("K4: constants must be ascending positions of its ") << count << " arguments";
  auto layouts = kernel.getLayoutsAttr();
  if (!layouts)
    return success();
  if (int64_t(layouts.size()) != count ||
      llvm::any_of(layouts, [](Attribute one) { return !llvm::isa<LayoutAttr, UnitAttr>(one); }))
    return kernel.emitOpError("K5: layouts must be one layout or unit for each of its ")
           << count << " arguments";
  for (int64_t i = 0; i < count; ++i) {
    if (!kernel.layoutOf(i))
      continue;
    Value argument = kernel.getBody().getArgument(i);
    if (!kernel.isConstant(i) || !argument.hasOneUse())
      return kernel.emitOpError("K6: argument ")
             << i << " has a layout, and must be a constant that is read once";
    if (!storedType(kernel, i))
      return kernel.emitOpError("K6: the layout of argument ") << i << " does not fit " << argument.getType();
  }
  return success();
}

LogicalResult FuncOp::verify() {
  if (!isa<YieldOp>(getBody().front().getTerminator()))
    return emitOpError("K1: must end in kernel.yield");
  if (failed(verifyRoots(*this)))
    return failure();
  return verifyArguments(*this);
}

//===- kernel.launch ------------------------------------------------------------------------===//

/// Equal but for sizes that are expressions: those are of the program here and of the kernel there.
static bool fits(Type given, Type wanted) {
  auto x = llvm::cast<RankedTensorType>(given), y = llvm::cast<RankedTensorType>(wanted);
  return x.getElementType() == y.getElementType() && x.getRank() == y.getRank() &&
         llvm::all_of(llvm::zip(x.getShape(), y.getShape()), [](auto sizes) {
           auto [a, b] = sizes;
           return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
         });
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = symbols.lookupNearestSymbolFrom<FuncOp>(*this, getKernelAttr());
  if (!function)
    return emitOpError("N1: there is no kernel @") << getKernel();
  auto yielded = function.getBody().front().getTerminator()->getOperandTypes();
  if (function.getBody().getNumArguments() != getOperands().size() || yielded.size() != getNumResults())
    return emitOpError("N1: @") << getKernel() << " has another number of arguments or results";
  for (auto [i, operand] : llvm::enumerate(getOperands()))
    if (!fits(operand.getType(), storedType(function, i)))
      return emitOpError("N2: operand ") << i << " is " << operand.getType() << ", @" << getKernel()
                                         << " reads " << storedType(function, i);
  for (auto [i, result] : llvm::enumerate(getResults()))
    if (!fits(result.getType(), yielded[i]))
      return emitOpError("N2: result ")
             << i << " is " << result.getType() << ", @" << getKernel() << " yields " << yielded[i];
  return success();
}

} // namespace tilewright::kernel
