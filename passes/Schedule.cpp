// Every kernel gets a schedule: the default choice, what a caller wants instead, and one width for panels
// that several kernels read.
#include "codegen/space/Space.h"
#include "ir/ConstantRecipes.h"
#include "ir/GraphBuilder.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/SHA256.h"
#include <map>

using namespace mlir;
using llvm::SmallVector;
using llvm::StringRef;

namespace tilewright::passes {
namespace {

/// Below this, a packing of its own for each kernel costs nothing worth saving.
constexpr int64_t smallWeight = 64 << 10;

struct Launched {
  kernel::FuncOp kernel;
  kernel::LaunchOp launch;
};

class Scheduler {
public:
  Scheduler(ModuleOp module, const codegen::TargetInfo &target, const ScheduleOverrides &overrides)
      : module(module), target(target), overrides(overrides) {}

  std::string run() {
    llvm::StringMap<kernel::FuncOp> kernels;
    for (auto kernel : module.getOps<kernel::FuncOp>())
      kernels[kernel.getSymName()] = kernel;
    module.walk(
        [&](kernel::LaunchOp launch) { launched.push_back({kernels.lookup(launch.getKernel()), launch}); });
    for (Launched &one : launched)
      describe(one);
    for (Launched &one : launched)
      if (auto choice = codegen::chooseSchedule(one.kernel, target))
        one.kernel.setScheduleAttr(choice);
    sharePanels();
    for (Launched &one : launched)
      if (std::string problem = override(one.kernel); !problem.empty())
        return problem;
    return "";
  }

private:
  /// What the launch tells of the kernel, and its name for overrides.
  void describe(Launched &one) {
    SmallVector<int64_t> constants;
    for (auto [i, operand] : llvm::enumerate(one.launch.getOperands()))
      if (graph::isConstantExpression(operand))
        constants.push_back(i);
    if (one.kernel.getHash()) // scheduled before
      return;
    if (!constants.empty())
      one.kernel.setConstants(constants);
    const std::string text = kernelText(one.kernel);
    const auto digest =
        llvm::SHA256::hash(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(text.data()), text.size()));
    one.kernel.setHash(llvm::toHex(llvm::ArrayRef(digest).take_front(8), /*LowerCase=*/true));
  }

  /// The weight of a packed product, as it is before the movement that the kernel's body begins with.
  struct Shared {
    Launched *user;
    double work; ///< multiply-adds
  };

  /// A weight that several kernels multiply is packed once, as the one that does most work with it likes it
  /// best.
  void sharePanels() {
    ConstantRecipes recipes;
    std::map<std::pair<void *, std::string>, SmallVector<Shared>> byWeight;
    for (Launched &one : launched) {
      auto schedule = one.kernel.getScheduleAttr();
      if (!schedule || schedule.find("packed").value_or(0) == 0 ||
          schedule.getAlgorithm() != StringRef(codegen::algorithm::tiles))
        continue;
      const auto right = codegen::constantRightOf(one.kernel);
      auto type = llvm::cast<RankedTensorType>(right->use->get().getType());
      if (type.getNumElements() * graph::byteWidth(type.getElementType()) <= smallWeight)
        continue;
      Value weight = one.launch.getOperand(right->argument.getArgNumber());
      byWeight[{recipes.representative(weight).getAsOpaquePointer(), orderOf(one.kernel, *right)}].push_back(
          {&one, workOf(one.kernel)});
    }
    for (auto &[weight, users] : byWeight)
      settle(users);
  }

  /// Two of one weight that agree in this, too, may share one packing: the way to the root, what the root
  /// does with each dimension, how many k a step takes.
  static std::string orderOf(kernel::FuncOp kernel, const codegen::ConstantRight &right) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    for (Operation *movement : right.movements)
      stream << movement->getName() << movement->getAttrDictionary() << movement->getResult(0).getType();
    Operation *root = right.use->getOwner();
    stream << root->getName() << kernel.getScheduleAttr()["group"];
    if (auto contract = dyn_cast<graph::ContractOp>(root)) {
      llvm::interleaveComma(contract.getRhsBatch(), stream << " b");
      llvm::interleaveComma(contract.getRhsContract(), stream << " k");
    } else {
      stream << " groups " << cast<graph::ConvOp>(root).getGroups();
    }
    return text;
  }

  static double workOf(kernel::FuncOp kernel) {
    return double(codegen::roughly(dimsOf(kernel::rootOf(kernel)->getResult(0)), 512));
  }

  void settle(llvm::ArrayRef<Shared> users) {
    const Shared *most =
        std::max_element(users.begin(), users.end(), [](auto &a, auto &b) { return a.work < b.work; });
    const int64_t columns = most->user->kernel.getScheduleAttr()["columns"];
    for (const Shared &user : users)
      if (user.user->kernel.getScheduleAttr()["columns"] != columns)
        user.user->kernel.setScheduleAttr(codegen::chooseSchedule(user.user->kernel, target, {{}, columns}));
  }

  /// The caller's numbers in place of the default ones of the same algorithm. What is wrong with them, or "".
  std::string override(kernel::FuncOp kernel) {
    auto wanted = overrides.find(*kernel.getHash());
    if (wanted == overrides.end())
      return "";
    kernel::ScheduleAttr schedule = kernel.getScheduleAttr();
    const ScheduleOverride &given = wanted->second;
    const auto family =
        StringAttr::get(kernel.getContext(), given.family.empty() ? kernel::nameOf(kernel::familyOf(kernel))
                                                                  : StringRef(given.family));
    if (!given.algorithm.empty() && (!schedule || schedule.getAlgorithm() != given.algorithm))
      schedule = codegen::chooseSchedule(kernel, target, {given.algorithm, {}});
    if (!schedule) // an algorithm that the kernel lacks: obstacleOf() says which there are
      schedule = kernel::ScheduleAttr::get(kernel.getContext(), family,
                                           StringAttr::get(kernel.getContext(), given.algorithm),
                                           DictionaryAttr::get(kernel.getContext()));
    for (auto &[name, value] : given.parameters)
      schedule = schedule.with(name, value);
    schedule = kernel::ScheduleAttr::get(kernel.getContext(), family, schedule.getAlgorithm(),
                                         schedule.getParameters());
    std::string obstacle = codegen::obstacleOf(kernel, schedule, target);
    if (!obstacle.empty())
      return "the schedule given for kernel " + kernel.getHash()->str() + " (" + kernel.getSymName().str() +
             ") is not legal: " + obstacle;
    kernel.setScheduleAttr(schedule);
    return "";
  }

  ModuleOp module;
  const codegen::TargetInfo &target;
  const ScheduleOverrides &overrides;
  SmallVector<Launched> launched;
};

} // namespace

std::string schedule(ModuleOp module, const codegen::TargetInfo &target, const ScheduleOverrides &overrides) {
  return Scheduler(module, target, overrides).run();
}

LogicalResult verifySchedules(ModuleOp module, const codegen::TargetInfo &target) {
  for (auto kernel : module.getOps<kernel::FuncOp>()) {
    auto schedule = kernel.getScheduleAttr();
    if (!schedule && target.isGpu) // its back end has no code for this kernel, and says so
      continue;
    const std::string obstacle =
        schedule ? codegen::obstacleOf(kernel, schedule, target) : std::string("there is none");
    if (!obstacle.empty())
      return kernel.emitOpError("has no legal schedule: ") << obstacle;
  }
  return success();
}

} // namespace tilewright::passes
