/// ConstantRecipes.h - which constant expressions are the same recipe.
#pragma once
#include "ir/Graph.h"
#include <map>
#include <vector>

namespace tilewright {

/// Tells constant expressions apart by what they compute: ops, attributes, types and operands, wherever they
/// stand. Values must outlive the object. Not thread-safe.
class ConstantRecipes {
public:
  /// The first value seen with the recipe of `value`, a constant expression: two values have one
  /// representative exactly if one evaluation serves both. Each op is looked at once, without recursion.
  mlir::Value representative(mlir::Value value);

private:
  using Key = std::vector<const void *>; ///< op, attributes, types, representatives of the operands
  Key keyOf(mlir::OpResult value) const;

  llvm::DenseMap<mlir::Value, mlir::Value> known;
  std::map<Key, mlir::Value> byKey;
};

} // namespace tilewright
