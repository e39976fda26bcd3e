//===- GemmText.cpp - a matrix product as loop IR -------------------------===//
#include "GemmText.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using llvm::formatv;

namespace tilewright::codegen::testing {
namespace {

/// Writes the text. Values are numbered as they come; addresses are bytes in i64.
class Writer {
public:
  explicit Writer(const GemmShape &shape)
      : shape(shape), vectors(shape.columns / shape.lanes),
        vectorType(formatv("vector<{0}xf32>", shape.lanes)) {}
  std::string function(const std::string &name);

private:
  std::string value(const llvm::Twine &right) {
    std::string name = "%v" + std::to_string(next++);
    out << "    " << name << " = " << right << "\n";
    return name;
  }
  std::string constant(int64_t number) { return value(formatv("arith.constant {0} : i64", number).str()); }
  std::string add(const std::string &a, const std::string &b) {
    return value("arith.addi " + a + ", " + b + " : i64");
  }
  std::string multiply(const std::string &a, int64_t factor) {
    const std::string number = constant(factor);
    return value("arith.muli " + a + ", " + number + " : i64");
  }
  std::string address(const std::string &base, const std::string &offset) {
    return value("llvm.getelementptr " + base + "[" + offset + "] : (!llvm.ptr, i64) -> !llvm.ptr, i8");
  }
  std::string address(const std::string &base, int64_t offset) {
    return value(formatv("llvm.getelementptr {0}[{1}] : (!llvm.ptr) -> !llvm.ptr, i8", base, offset).str());
  }
  void microKernel();
  void multiplyRow();
  std::string accumulators(const char *prefix, const char *separator, bool initialised);

  const GemmShape &shape;
  const unsigned vectors;
  const std::string vectorType;
  std::string text;
  llvm::raw_string_ostream out{text};
  unsigned next = 0;
};

/// "%acc0 = %zero, %acc1 = %zero..." or a list of types.
std::string Writer::accumulators(const char *prefix, const char *separator, bool initialised) {
  std::string list;
  for (unsigned i = 0; i < shape.rows * vectors; ++i) {
    list += i ? separator : "";
    list += initialised ? formatv("{0}{1} = %zero", prefix, i).str() : vectorType;
  }
  return list;
}

/// One row k of the panel times one column of A, into all accumulators.
void Writer::multiplyRow() {
  const std::string panelRow = address("%panel", multiply("%k", shape.columns * 4));
  const std::string column = address("%rows", multiply("%k", 4));
  std::vector<std::string> b;
  for (unsigned j = 0; j < vectors; ++j) {
    const std::string at = address(panelRow, j * shape.lanes * 4);
    b.push_back(value("llvm.load " + at + " {alignment = 4 : i64} : !llvm.ptr -> " + vectorType));
  }
  for (unsigned j = 0; j < vectors && shape.prefetchRows; ++j) {
    const std::string ahead = address(panelRow, (shape.prefetchRows * shape.columns + j * shape.lanes) * 4);
    out << "    \"llvm.intr.prefetch\"(" << ahead
        << ") <{cache = 1 : i32, hint = 3 : i32, rw = 0 : i32}> : (!llvm.ptr) -> ()\n";
  }
  std::string results, types;
  for (unsigned i = 0; i < shape.rows; ++i) {
    const std::string a = value("llvm.load " + address(column, i * shape.k * 4) + " : !llvm.ptr -> f32");
    const std::string wide = value("vector.broadcast " + a + " : f32 to " + vectorType);
    for (unsigned j = 0; j < vectors; ++j) {
      const unsigned index = i * vectors + j;
      results += (index ? ", " : "") +
                 value(formatv("vector.fma {0}, {1}, %acc{2} : {3}", wide, b[j], index, vectorType).str());
    }
  }
  out << "    scf.yield " << results << " : " << accumulators("", ", ", false) << "\n";
}

void Writer::microKernel() {
  out << "    %zero = arith.constant dense<0.0> : " << vectorType << "\n";
  out << "    %tile:" << shape.rows * vectors << " = scf.for %k = %c0 to %K step %c1 iter_args("
      << accumulators("%acc", ", ", true) << ") -> (" << accumulators("", ", ", false) << ") : i64 {\n";
  multiplyRow();
  out << "    }\n";
  for (unsigned i = 0; i < shape.rows; ++i)
    for (unsigned j = 0; j < vectors; ++j) {
      const std::string at = address("%target", (i * shape.n + j * shape.lanes) * 4);
      out << formatv("    llvm.store %tile#{0}, {1} {{alignment = 4 : i64} : {2}, !llvm.ptr\n",
                     i * vectors + j, at, vectorType);
    }
}

std::string Writer::function(const std::string &name) {
  out << "  func.func @" << name
      << "(%a: !llvm.ptr {llvm.noalias}, %b: !llvm.ptr {llvm.noalias}, %c: !llvm.ptr {llvm.noalias}) {\n";
  for (auto [constantName, number] : {std::pair<const char *, int64_t>{"c0", 0},
                                      {"c1", 1},
                                      {"K", shape.k},
                                      {"panels", shape.n / shape.columns},
                                      {"tiles", shape.m / shape.rows}})
    out << formatv("    %{0} = arith.constant {1} : i64\n", constantName, number);
  out << "    scf.for %p = %c0 to %panels step %c1 : i64 {\n";
  const std::string panel = multiply("%p", shape.k * shape.columns * 4);
  out << "    %panel = llvm.getelementptr %b[" << panel << "] : (!llvm.ptr, i64) -> !llvm.ptr, i8\n";
  const std::string column = multiply("%p", shape.columns * 4);
  out << "    scf.for %t = %c0 to %tiles step %c1 : i64 {\n";
  const std::string rows = multiply("%t", shape.rows * shape.k * 4);
  out << "    %rows = llvm.getelementptr %a[" << rows << "] : (!llvm.ptr, i64) -> !llvm.ptr, i8\n";
  const std::string row = multiply("%t", shape.rows * shape.n * 4);
  const std::string corner = add(row, column);
  out << "    %target = llvm.getelementptr %c[" << corner << "] : (!llvm.ptr, i64) -> !llvm.ptr, i8\n";
  microKernel();
  out << "    }\n    }\n    return\n  }\n";
  return text;
}

} // namespace

std::string gemmText(const std::string &name, const GemmShape &shape) { return Writer(shape).function(name); }

} // namespace tilewright::codegen::testing
