// The table of root families, and what is the same for all of them.
#include "codegen/space/Space.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using llvm::SmallVector;
using llvm::StringRef;

namespace tilewright::codegen {

using kernel::ScheduleAttr;

//===- Domains ------------------------------------------------------------------------------===//

bool Domain::contains(int64_t value) const {
  if (orZero && value == 0)
    return true;
  const bool isStep = powersOfTwo ? llvm::isPowerOf2_64(uint64_t(value)) : (value - low) % step == 0;
  return value >= low && value <= high && isStep;
}

int64_t Domain::size() const {
  const int64_t steps = powersOfTwo ? llvm::Log2_64(high) - llvm::Log2_64(low) : (high - low) / step;
  return steps + 1 + (orZero && low > 0);
}

int64_t Domain::operator[](int64_t index) const {
  if (orZero && low > 0) {
    if (index == 0)
      return 0;
    --index;
  }
  return powersOfTwo ? low << index : low + index * step;
}

std::string Domain::text() const {
  std::string text = orZero && low > 0 ? "0 or " : "";
  text += std::to_string(low);
  if (high >= low + step)
    text += " to " + std::to_string(high);
  if (powersOfTwo)
    return text + ", a power of two";
  return step > 1 && high > low ? text + " in steps of " + std::to_string(step) : text;
}

int64_t roughly(llvm::ArrayRef<mlir::AffineExpr> sizes, int64_t unknown) {
  double product = 1;
  for (mlir::AffineExpr size : sizes)
    product *= double(constantOf(size).value_or(unknown));
  return int64_t(std::min(product, double(int64_t(1) << 40)));
}

//===- Families -----------------------------------------------------------------------------===//

static const Family &tableOf(kernel::FuncOp kernel) {
  static const Family *const families[] = {&productFamily, &rowChainFamily, &convolutionFamily, &serialFamily,
                                           &rowsFamily,    &windowFamily,   &loopsFamily};
  const kernel::RootFamily family = kernel::familyOf(kernel);
  return **llvm::find_if(families, [=](const Family *one) { return one->family == family; });
}

SmallVector<Algorithm> spaceOf(kernel::FuncOp kernel, const TargetInfo &target, const Wish &wish) {
  return target.isGpu ? threadSpace(kernel, target) : tableOf(kernel).space(kernel, target, wish);
}

static const Algorithm *algorithmNamed(llvm::ArrayRef<Algorithm> space, StringRef name) {
  const Algorithm *found = llvm::find_if(space, [&](const Algorithm &one) { return one.name == name; });
  return found == space.end() ? nullptr : found;
}

ScheduleAttr chooseSchedule(kernel::FuncOp kernel, const TargetInfo &target, const Wish &wish) {
  const auto space = spaceOf(kernel, target, wish);
  const Algorithm *algorithm = wish.algorithm.empty() ? space.begin() : algorithmNamed(space, wish.algorithm);
  if (space.empty() || !algorithm)
    return {};
  mlir::Builder b(kernel.getContext());
  mlir::NamedAttrList parameters;
  for (const Parameter &parameter : algorithm->parameters)
    parameters.set(parameter.name, b.getI64IntegerAttr(parameter.preferred));
  return ScheduleAttr::get(kernel.getContext(), b.getStringAttr(kernel::nameOf(tableOf(kernel).family)),
                           b.getStringAttr(algorithm->name), parameters.getDictionary(kernel.getContext()));
}

/// "a, b and c".
static std::string listed(llvm::ArrayRef<std::string> names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return text;
}

static std::string parameterObstacle(const Algorithm &algorithm, ScheduleAttr schedule) {
  for (mlir::NamedAttribute given : schedule.getParameters())
    if (llvm::none_of(algorithm.parameters,
                      [&](const Parameter &one) { return given.getName() == StringRef(one.name); })) {
      SmallVector<std::string> names;
      for (const Parameter &parameter : algorithm.parameters)
        names.push_back(parameter.name.str());
      return "algorithm '" + algorithm.name.str() + "' has no parameter '" + given.getName().str() +
             "'; its parameters: " + (names.empty() ? "none" : listed(names));
    }
  for (const Parameter &parameter : algorithm.parameters) {
    const auto value = schedule.find(parameter.name);
    if (!value)
      return "parameter '" + parameter.name.str() + "' is missing";
    if (!parameter.domain.contains(*value))
      return "'" + parameter.name.str() + "' is " + std::to_string(*value) + ", and may be " +
             parameter.domain.text();
  }
  return "";
}

std::string obstacleOf(kernel::FuncOp kernel, ScheduleAttr schedule, const TargetInfo &target) {
  const Family &family = tableOf(kernel);
  if (schedule.getFamily() != kernel::nameOf(family.family))
    return "the kernel is of the family '" + kernel::nameOf(family.family).str() + "', not '" +
           schedule.getFamily().str() + "'";
  const auto space = spaceOf(kernel, target);
  const Algorithm *algorithm = algorithmNamed(space, schedule.getAlgorithm());
  if (!algorithm) {
    SmallVector<std::string> names;
    for (const Algorithm &one : space)
      names.push_back("'" + one.name.str() + "'");
    return space.empty() ? "the target has no code for it"
                         : "there is no algorithm '" + schedule.getAlgorithm().str() + "' for it; there is " +
                               listed(names);
  }
  std::string obstacle = parameterObstacle(*algorithm, schedule);
  return obstacle.empty() && !target.isGpu ? family.obstacle(kernel, schedule, target) : obstacle;
}

double estimate(kernel::FuncOp kernel, ScheduleAttr schedule, const TargetInfo &target) {
  return target.isGpu ? estimateThreads(kernel) : tableOf(kernel).estimate(kernel, schedule, target);
}

} // namespace tilewright::codegen
