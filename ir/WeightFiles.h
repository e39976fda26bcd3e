// The files that graph.weight names, each opened once for a context.
#pragma once
#include "ir/Graph.h"
#include "mlir/IR/DialectInterface.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <mutex>

namespace tilewright::graph {

/// The bytes behind each path. Whoever opened and checked a file hands it over here, and everybody reads from
/// this mapping: a path is never looked up again, so nobody can put another file in its place. Files that
/// nobody handed over (IR from a text) are mapped when they are first asked for. Thread-safe.
class WeightFiles : public mlir::DialectInterface::Base<WeightFiles> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(WeightFiles)
  struct File {
    llvm::ArrayRef<char> bytes;
    std::shared_ptr<const void> owner; ///< keeps `bytes` alive
  };

  explicit WeightFiles(mlir::Dialect *dialect) : Base(dialect) {}
  /// Those of the context.
  static const WeightFiles &of(mlir::MLIRContext *context);

  /// The file of the model imported last counts.
  void provide(llvm::StringRef path, File file) const;
  llvm::Expected<File> open(llvm::StringRef path) const;

private:
  mutable std::mutex mutex;
  mutable llvm::StringMap<File> files;
};

} // namespace tilewright::graph
