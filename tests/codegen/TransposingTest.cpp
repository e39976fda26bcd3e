//===- TransposingTest.cpp - tiles of values that lie the other way -------===//
#include "KernelCase.h"

#include <gtest/gtest.h>

using namespace mlir;

namespace tilewright::codegen::testing {
namespace {

/// Transposed matrices of these widths next to each other; all are `rows` high.
void checkConcat(int64_t rows, std::initializer_list<int64_t> widths) {
  for (const char *name : {"cpu:haswell", "cpu:skylake-avx512"}) {
    const TargetInfo target = llvm::cantFail(resolveTarget(name));
    if (!hostCanRun(target))
      continue;
    SCOPED_TRACE(name);
    KernelCase c;
    llvm::SmallVector<Value> pieces;
    for (int64_t width : widths)
      pieces.push_back(c.g->transpose(c.argument({width, rows}), {1, 0}));
    c.yield(c.g->concat(pieces, 1));
    c.compile(target);
    c.check({}, 3, 0);
  }
}

TEST(Transposing, OnePiece) {
  for (int64_t rows : {1, 8, 16, 33})
    for (int64_t width : {1, 7, 16, 50})
      checkConcat(rows, {width});
}

TEST(Transposing, Pieces) { checkConcat(19, {16, 9, 40}); }

TEST(Transposing, PiecesOfOneColumn) {
  checkConcat(19, {1, 20});
  checkConcat(19, {20, 1});
  checkConcat(19, {1, 1});
}

} // namespace
} // namespace tilewright::codegen::testing
