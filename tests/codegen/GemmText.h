//===- GemmText.h - a matrix product as loop IR -----------------*- C++ -*-===//
#ifndef TILEWRIGHT_TESTS_CODEGEN_GEMMTEXT_H
#define TILEWRIGHT_TESTS_CODEGEN_GEMMTEXT_H

#include <cstdint>
#include <string>

namespace tilewright::codegen::testing {

/// C[M,N] = A[M,K] * B, with B packed into panels [N / columns][K][columns]; all f32, row-major.
struct GemmShape {
  int64_t m = 0, n = 0, k = 0;
  unsigned rows = 8, columns = 48; ///< the register tile; columns must divide n, and rows must divide m
  unsigned lanes = 16;             ///< elements of a native vector
  unsigned prefetchRows = 16;      ///< rows of a panel to prefetch ahead; 0: none
};

/// func.func @NAME(a, b, c: !llvm.ptr {llvm.noalias}): the loops over panels and row tiles around the
/// micro-kernel.
std::string gemmText(const std::string &name, const GemmShape &shape);

} // namespace tilewright::codegen::testing

#endif // TILEWRIGHT_TESTS_CODEGEN_GEMMTEXT_H
