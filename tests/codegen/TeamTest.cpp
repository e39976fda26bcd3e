//===- TeamTest.cpp - random programs, a team of any size, any interleaving -------------------===//
#include "TeamModel.h"
#include "codegen/program/Convert.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <chrono>
#include <gtest/gtest.h>

using namespace mlir;

namespace tilewright::codegen {
namespace {

/// Every element of a result depends on elements that other threads compute.
const char *const kernels = R"(
  "kernel.func"() <{sym_name = "mix"}> ({
  ^bb0(%a: tensor<8xsi64>, %b: tensor<8xsi64>):
    %r = graph.slice %a affine_map<() -> (7)> [-1] : tensor<8xsi64> -> tensor<8xsi64>
    %c = graph.constant dense<3> : tensor<i64> : tensor<si64>
    %three = graph.broadcast %c [] : tensor<si64> -> tensor<8xsi64>
    %m = graph.binary <mul> %r, %three : tensor<8xsi64>
    %s = graph.binary <add> %m, %b : tensor<8xsi64>
    kernel.yield %s : tensor<8xsi64>
  }) : () -> ()
  "kernel.func"() <{sym_name = "two"}> ({
  ^bb0(%a: tensor<8xsi64>):
    %r = graph.slice %a affine_map<() -> (7)> [-1] : tensor<8xsi64> -> tensor<8xsi64>
    %n = graph.unary <neg> %a : tensor<8xsi64> -> tensor<8xsi64>
    kernel.yield %r, %n : tensor<8xsi64>, tensor<8xsi64>
  }) : () -> ()
  "kernel.func"() <{sym_name = "grid"}> ({
  ^bb0(%a: tensor<2x4xsi64>):
    %t = graph.slice %a affine_map<() -> (1, 3)> [-1, -1] : tensor<2x4xsi64> -> tensor<2x4xsi64>
    %s = graph.binary <sub> %a, %t : tensor<2x4xsi64>
    kernel.yield %s : tensor<2x4xsi64>
  }) : () -> ()
  "kernel.func"() <{sym_name = "keep"}> ({
  ^bb0(%a: tensor<8xsi64>):
    %k = graph.cast %a : tensor<8xsi64> -> tensor<8xsi64>
    kernel.yield %k : tensor<8xsi64>
  }) : () -> ()
  "kernel.func"() <{sym_name = "number"}> ({
  ^bb0(%a: tensor<8xsi64>):
    %sum = graph.reduce <sum> %a [0] : tensor<8xsi64> -> tensor<si64>
    %c = graph.constant dense<4> : tensor<i64> : tensor<si64>
    %n = graph.binary <mod> %sum, %c : tensor<si64>
    kernel.yield %n : tensor<si64>
  }) : () -> ()
  "kernel.func"() <{sym_name = "holds"}> ({
  ^bb0(%a: tensor<8xsi64>):
    %sum = graph.reduce <sum> %a [0] : tensor<8xsi64> -> tensor<si64>
    %c = graph.constant dense<3> : tensor<i64> : tensor<si64>
    %n = graph.binary <mod> %sum, %c : tensor<si64>
    %z = graph.constant dense<0> : tensor<i64> : tensor<si64>
    %h = graph.compare <gt> %n, %z : tensor<si64> -> tensor<i1>
    kernel.yield %h : tensor<i1>
  }) : () -> ()
  "kernel.func"() <{sym_name = "use"}> ({
  ^bb0(%a: tensor<8xsi64>, %i: tensor<si64>):
    %b = graph.broadcast %i [] : tensor<si64> -> tensor<8xsi64>
    %s = graph.binary <add> %a, %b : tensor<8xsi64>
    kernel.yield %s : tensor<8xsi64>
  }) : () -> ()
  "kernel.func"() <{sym_name = "fill"}> ({
  ^bb0(%a: tensor<8xsi64>):
    %i = graph.iota 0 : tensor<?xsi64, affine_map<()[s0] -> (s0)>>
    %m = graph.reduce <rmax> %a [0] : tensor<8xsi64> -> tensor<si64>
    %b = graph.broadcast %m [] : tensor<si64> -> tensor<?xsi64, affine_map<()[s0] -> (s0)>>
    %s = graph.binary <add> %i, %b : tensor<?xsi64, affine_map<()[s0] -> (s0)>>
    kernel.yield %s : tensor<?xsi64, affine_map<()[s0] -> (s0)>>
  }) : () -> ()
  "kernel.func"() <{sym_name = "negate"}> ({
  ^bb0(%x: tensor<?xsi64, affine_map<()[s0] -> (s0)>>):
    %y = graph.unary <neg> %x : tensor<?xsi64, affine_map<()[s0] -> (s0)>> -> tensor<?xsi64, affine_map<()[s0] -> (s0)>>
    kernel.yield %y : tensor<?xsi64, affine_map<()[s0] -> (s0)>>
  }) : () -> ()
  "kernel.func"() <{sym_name = "gathered"}> ({
  ^bb0(%x: tensor<?xsi64, affine_map<()[s0] -> (s0)>>, %a: tensor<8xsi64>):
    %sum = graph.reduce <sum> %x [0] : tensor<?xsi64, affine_map<()[s0] -> (s0)>> -> tensor<si64>
    %b = graph.broadcast %sum [] : tensor<si64> -> tensor<8xsi64>
    %s = graph.binary <sub> %a, %b : tensor<8xsi64>
    kernel.yield %s : tensor<8xsi64>
  }) : () -> ()
  "kernel.func"() <{sym_name = "total"}> ({
  ^bb0(%x: tensor<?x8xsi64, affine_map<()[s0] -> (s0, 8)>>):
    %s = graph.reduce <sum> %x [0] : tensor<?x8xsi64, affine_map<()[s0] -> (s0, 8)>> -> tensor<8xsi64>
    kernel.yield %s : tensor<8xsi64>
  }) : () -> ()
)";

/// A random program over tensors of eight numbers, as text.
class RandomProgram {
public:
  explicit RandomProgram(unsigned seed) : random(seed) {}

  std::string text() {
    values = {"%x"};
    ops(3 + pick(8), 0);
    const std::string first = keep(any()), second = keep(any());
    line("return " + first + ", " + second + " : tensor<8xsi64>, tensor<8xsi64>");
    std::string symbols;
    for (unsigned i = 0; i < symbolCount; ++i)
      symbols += (i ? ", " : "") + std::string("{hi = 100 : i64, lo = 0 : i64, name = \"n") +
                 std::to_string(i) + "\", origin = 2 : i64}";
    return "module attributes {graph.symbols = [" + symbols + "]} {" + kernels +
           "func.func @main(%x: tensor<8xsi64>) -> (tensor<8xsi64>, tensor<8xsi64>)\n"
           "    attributes {graph.input_names = [\"x\"], graph.output_names = [\"y\", \"z\"]} {\n" +
           body + "}\n}\n";
  }

private:
  unsigned pick(unsigned below) { return unsigned(random() % below); }
  const std::string &any() {
    return values[values.size() - 1 - pick(unsigned(std::min<size_t>(values.size(), 6)))];
  }
  std::string fresh() { return "%v" + std::to_string(next++); }
  void line(const std::string &text) { body += "  " + text + "\n"; }

  std::string launch(const std::string &kernel, const std::string &operands, const std::string &types,
                     const std::string &result, const std::string &map = "affine_map<() -> ()>") {
    std::string name = fresh();
    line(name + " = kernel.launch @" + kernel + "(" + operands + ") " + map + " : (" + types + ") -> " +
         result);
    return name;
  }
  std::string keep(const std::string &value) { return launch("keep", value, eight, eight); }

  /// s_k as the only dimension of a type, or as a launch's only symbol.
  std::string symbolMap(unsigned k, const std::string &dims) {
    std::string list;
    for (unsigned i = 0; i <= k; ++i)
      list += (i ? ", s" : "s") + std::to_string(i);
    return "affine_map<()[" + list + "] -> (s" + std::to_string(k) + dims + ")>";
  }

  void ops(unsigned count, unsigned depth) {
    for (unsigned i = 0; i < count; ++i) {
      const unsigned kind = pick(depth < 3 ? 10 : 6);
      if (kind < 3) {
        values.push_back(launch("mix", any() + ", " + any(), eight + ", " + eight, eight));
      } else if (kind == 3) {
        const std::string both = fresh();
        line(both + ":2 = kernel.launch @two(" + any() + ") affine_map<() -> ()> : (" + eight + ") -> (" +
             eight + ", " + eight + ")");
        values.push_back(both + "#0");
        values.push_back(both + "#1");
      } else if (kind == 4) {
        view();
      } else if (kind == 5) {
        dynamic();
      } else if (kind < 8) {
        branches(depth);
      } else {
        loop(depth);
      }
    }
  }

  void view() {
    const std::string in = fresh(), out = fresh();
    line(in + " = graph.reshape " + any() + " : tensor<8xsi64> -> tensor<2x4xsi64>");
    const std::string grid = launch("grid", in, "tensor<2x4xsi64>", "tensor<2x4xsi64>");
    line(out + " = graph.reshape " + grid + " : tensor<2x4xsi64> -> tensor<8xsi64>");
    values.push_back(out);
  }

  /// Buffers whose size only the program knows.
  void dynamic() {
    const unsigned symbol = symbolCount++;
    const std::string map = symbolMap(symbol, ""), type = "tensor<?xsi64, " + map + ">";
    const std::string size = launch("number", any(), eight, "tensor<si64>");
    line("graph.define " + size + " [" + std::to_string(symbol) + "] : tensor<si64>");
    std::string value = launch("fill", any(), eight, type, map);
    for (unsigned i = pick(4); i > 0; --i)
      value = launch("negate", value, type, type, map);
    values.push_back(launch("gathered", value + ", " + any(), type + ", " + eight, eight, map));
  }

  void branches(unsigned depth) {
    const std::string condition = launch("holds", any(), eight, "tensor<i1>"), result = fresh();
    line(result + " = \"graph.if\"(" + condition +
         ") <{elseDims = affine_map<() -> ()>, symbols = array<i64>, thenDims = affine_map<() -> ()>}> ({");
    for (unsigned branch = 0; branch < 2; ++branch) {
      const std::vector<std::string> outside = values;
      ops(pick(4), depth + 1);
      const std::string last = keep(any());
      line("graph.yield " + last + " : " + eight);
      line(branch ? "}) : (tensor<i1>) -> " + eight : "}, {");
      values = outside;
    }
    values.push_back(result);
  }

  /// Carries a value, and stacks slices.
  void loop(unsigned depth) {
    const unsigned symbol = symbolCount++;
    const std::string map = symbolMap(symbol, ", 8"), stacked = "tensor<?x8xsi64, " + map + ">";
    const std::string count = launch("number", any(), eight, "tensor<si64>"),
                      start = launch("holds", any(), eight, "tensor<i1>"), result = fresh(), i = fresh(),
                      carried = fresh();
    line(result + ":2 = \"graph.loop\"(" + count + ", " + start + ", " + any() +
         ") <{iterations = " + std::to_string(symbol) + " : i64}> ({");
    line("^bb0(" + i + ": tensor<si64>, " + carried + ": " + eight + "):");
    const std::vector<std::string> outside = values;
    values.push_back(carried);
    values.push_back(launch("use", carried + ", " + i, eight + ", tensor<si64>", eight));
    ops(pick(4), depth + 1);
    const std::string again = launch("holds", any(), eight, "tensor<i1>"), last = keep(any()),
                      slice = keep(any());
    line("graph.yield " + again + ", " + last + ", " + slice + " : tensor<i1>, " + eight + ", " + eight);
    line("}) : (tensor<si64>, tensor<i1>, " + eight + ") -> (" + eight + ", " + stacked + ")");
    values = outside;
    values.push_back(result + "#0");
    values.push_back(launch("total", result + "#1", stacked, eight, symbolMap(symbol, "")));
  }

  const std::string eight = "tensor<8xsi64>";
  std::mt19937 random;
  std::vector<std::string> values;
  std::string body;
  unsigned next = 0, symbolCount = 0;
};

class Team : public testing::Test {
protected:
  void SetUp() override {
    context.loadDialect<graph::GraphDialect, kernel::KernelDialect, program::ProgramDialect,
                        func::FuncDialect>();
    context.printOpOnDiagnostic(false);
  }

  /// Parses a random program, converts it and runs it one op after the other.
  void make(unsigned seed) {
    module = parseSourceString<ModuleOp>(RandomProgram(seed).text(), &context);
    ASSERT_TRUE(module) << RandomProgram(seed).text();
    auto main = module->lookupSymbol<func::FuncOp>("main");
    program = convertToProgram(main, SymbolTable(*module), {});
    Type element = IntegerType::get(&context, 64, IntegerType::Signed);
    inputs = {interpreter::Tensor::fromInts(element, {8}, {3, 1, 4, 1, 5, 9, 2, int64_t(seed % 7)})};
    auto results = interpreter::Evaluator(*module).run(main, inputs);
    ASSERT_TRUE(bool(results)) << llvm::toString(results.takeError());
    expected.clear();
    for (const interpreter::Tensor &tensor : *results)
      expected.emplace_back(reinterpret_cast<const char *>(tensor.data()), tensor.bytes());
  }

  /// Why a run of the program differs from the sequential one; empty: it does not.
  std::string difference(ModuleOp made, unsigned threads, unsigned seed) {
    TeamModel team(programOf(made), *module, threads, seed);
    auto outputs = team.run(inputs);
    if (!outputs)
      return team.problem;
    return *outputs == expected ? "" : "another result";
  }

  bool isSound(ModuleOp made) {
    ScopedDiagnosticHandler quiet(&context, [&](Diagnostic &d) {
      complaint = d.str();
      return success();
    });
    return succeeded(verify(made));
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module, program;
  std::vector<interpreter::Tensor> inputs;
  std::vector<std::string> expected;
  std::string complaint;
};

TEST_F(Team, OfAnySizeComputesWhatOneOpAfterTheOtherDoes) {
  for (unsigned seed = 0; seed < 150; ++seed) {
    make(seed);
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_TRUE(isSound(*program)) << complaint << "\nseed " << seed;
    for (unsigned threads : {1u, 2u, 3u, 5u})
      ASSERT_EQ(difference(*program, threads, seed + threads), "")
          << "seed " << seed << ", " << threads << " threads";
  }
}

//===- Mistakes -------------------------------------------------------------------------===//

using Random = std::mt19937;

template <typename Op> std::vector<Op> all(program::FuncOp func) {
  std::vector<Op> found;
  func.walk<WalkOrder::PreOrder>([&](Op op) { found.push_back(op); });
  return found;
}

template <typename T> T *choose(std::vector<T> &list, Random &random) {
  return list.empty() ? nullptr : &list[random() % list.size()];
}

/// A planner that has forgotten a barrier: later phases, and lives, have smaller numbers.
bool dropPhase(program::FuncOp func, Random &random) {
  auto phases = all<program::PhaseOp>(func);
  auto *chosen = choose(phases, random);
  if (!chosen)
    return false;
  const uint32_t gone = chosen->getNumber();
  auto later = [&](uint32_t number) { return number >= gone ? number - 1 : number; };
  for (program::PhaseOp phase : phases)
    phase.setNumber(later(phase.getNumber()));
  for (program::BufferOp buffer : program::buffersOf(func)) {
    buffer.setBirth(later(buffer.getBirth()));
    buffer.setDeath(later(buffer.getDeath()));
  }
  chosen->erase();
  return true;
}

bool shortenLife(program::FuncOp func, Random &random) {
  std::vector<program::BufferOp> long_;
  for (program::BufferOp buffer : program::buffersOf(func))
    if (buffer.getBirth() < buffer.getDeath() &&
        (buffer.getKind() == program::BufferKind::arena || buffer.getKind() == program::BufferKind::growable))
      long_.push_back(buffer);
  auto *chosen = choose(long_, random);
  if (!chosen)
    return false;
  if (random() % 3)
    chosen->setDeath(chosen->getDeath() - 1 - unsigned(random() % (chosen->getDeath() - chosen->getBirth())));
  else
    chosen->setBirth(chosen->getBirth() + 1);
  return true;
}

bool aliasAnother(program::FuncOp func, Random &random) {
  std::vector<program::BufferOp> growable;
  for (program::BufferOp buffer : program::buffersOf(func))
    if (program::isGrowable(buffer))
      growable.push_back(buffer);
  if (growable.size() < 2)
    return false;
  const size_t second = 1 + random() % (growable.size() - 1), first = random() % second;
  growable[second].getAliasMutable().assign(growable[first].getResult());
  return true;
}

bool moveLaunch(program::FuncOp func, Random &random) {
  auto launches = all<program::LaunchOp>(func);
  auto *chosen = choose(launches, random);
  if (!chosen)
    return false;
  Operation *op = *chosen;
  for (Operation *other = op->getPrevNode(); other; other = other->getPrevNode())
    if (isa<program::PhaseOp>(other)) {
      op->moveBefore(other);
      return true;
    }
  return false;
}

bool dropStep(program::FuncOp func, Random &random) {
  std::vector<Operation *> steps;
  func.walk([&](Operation *op) {
    if (isa<program::GrowOp, program::DefineOp, program::StoreOp, program::LaunchOp>(op))
      steps.push_back(op);
    else if (auto copy = dyn_cast<program::CopyOp>(op); copy && !copy.getAt())
      steps.push_back(op);
  });
  auto *chosen = choose(steps, random);
  if (chosen)
    (*chosen)->erase();
  return chosen;
}

bool moveToAnotherDevice(program::FuncOp func, Random &random) {
  auto launches = all<program::LaunchOp>(func);
  auto *chosen = choose(launches, random);
  if (chosen)
    chosen->setDevice(1);
  return chosen;
}

struct Mistake {
  const char *name;
  bool (*make)(program::FuncOp, Random &);
  /// Whether a verifier that accepts some of them is right: a copy may be left out whose target keeps what it
  /// held, and then the program is sound, only another one.
  bool mayBeAnotherProgram;
  bool showsInRuns = true; ///< the model has one device
};

class Mistakes : public Team, public testing::WithParamInterface<Mistake> {};

/// Whatever the verifier accepts computes the same in every order; and what the model finds wrong is refused.
TEST_P(Mistakes, AreRefusedUnlessTheyChangeNothing) {
  unsigned made = 0, refused = 0, noticed = 0;
  for (unsigned seed = 0; seed < 120; ++seed) {
    make(seed);
    ASSERT_FALSE(HasFatalFailure());
    Random random(seed);
    for (unsigned attempt = 0; attempt < 4; ++attempt) {
      OwningOpRef<ModuleOp> mutant = program->clone();
      if (!GetParam().make(programOf(*mutant), random))
        continue;
      ++made;
      const bool sound = isSound(*mutant);
      refused += !sound;
      for (unsigned run = 0; run < (sound ? 6 : 3); ++run) {
        const std::string why = difference(*mutant, 2 + run % 3, seed + run);
        if (sound && !GetParam().mayBeAnotherProgram)
          ASSERT_EQ(why, "") << "seed " << seed << ", attempt " << attempt;
        if (!sound && !why.empty()) {
          ++noticed;
          break;
        }
      }
    }
  }
  EXPECT_GT(made, 50u);
  EXPECT_GT(refused * 3, made) << "of " << made;
  EXPECT_EQ(noticed > 0, GetParam().showsInRuns) << "in runs of the model";
  std::printf("%s: %u made, %u refused, %u of those seen in a run\n", GetParam().name, made, refused,
              noticed);
}

INSTANTIATE_TEST_SUITE_P(All, Mistakes,
                         testing::Values(Mistake{"DroppedPhase", dropPhase, false},
                                         Mistake{"ShortLife", shortenLife, false},
                                         Mistake{"BadAlias", aliasAnother, false},
                                         Mistake{"MovedLaunch", moveLaunch, false},
                                         Mistake{"DroppedStep", dropStep, true},
                                         Mistake{"OtherDevice", moveToAnotherDevice, false, false}),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace tilewright::codegen
