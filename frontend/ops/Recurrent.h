/// Recurrent.h - one direction of a recurrent layer, shared by RNN, GRU, LSTM and their fused relatives.
#pragma once
#include "frontend/ops/Composites.h"

namespace tilewright::frontend {

/// One activation function with its parameters.
struct RecurrentActivation {
  std::string name; ///< lower case
  float alpha = 0, beta = 0;
};

/// What a node's attributes and operands say, checked. x is [T, B, I] whatever the layout.
struct RecurrentLayer {
  NodeImporter &n;
  int64_t gates = 1, directions = 1;
  bool firstIsReverse = false, batchFirst = false;
  std::optional<float> clip = {};
  llvm::SmallVector<RecurrentActivation> activations = {}; ///< for every direction in turn
  mlir::Value x = {}, lengths = {};                        ///< lengths: [B] of si64, or null
  mlir::AffineExpr steps = {}, batch = {}, hidden = {};

  /// Reads and checks what all kinds have in common. Operands: x, W, R, B, sequence_lens, initial_h, and
  /// for LSTM initial_c and P.
  bool read(int64_t gateCount, llvm::ArrayRef<llvm::StringRef> defaults, mlir::AffineExpr hiddenSize);
  /// Applies activation `function` (within `direction`) after clipping.
  mlir::Value activate(mlir::Value value, size_t direction, size_t function) const;
  /// Row `direction` of an operand [directions, ...]; null where it is absent.
  mlir::Value part(size_t operand, int64_t direction) const;
  /// Columns [gate * hidden, (gate + count) * hidden) of the last dimension.
  mlir::Value gate(mlir::Value value, int64_t gate, int64_t count = 1) const;
  /// The initial state at `operand` for a direction, [B, hidden]; zeros where it is absent.
  mlir::Value initialState(size_t operand, int64_t direction) const;

  using Step = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value projected,
                                                                 llvm::ArrayRef<mlir::Value> state)>;
  /// Runs `step` over time. `projected` is [T, B, ...]; the step gets one [B, ...] of it. state[0] is the
  /// output.
  LoopValues run(int64_t direction, mlir::Value projected, llvm::ArrayRef<mlir::Value> initial,
                 Step step) const;
  /// Sets the node's results from every direction's loop: Y, then the final states.
  void finish(llvm::ArrayRef<LoopValues> perDirection) const;

private:
  bool readActivations(llvm::ArrayRef<llvm::StringRef> defaults);
  bool checkWeights(mlir::AffineExpr hiddenSize);
  /// Operand `index`, where it is given, has this shape and a fitting element type.
  bool checkOperand(size_t index, llvm::ArrayRef<mlir::AffineExpr> shape, llvm::StringRef what) const;
};

/// x [T, B, I] times weights [rows, I], plus an optional bias [rows]: [T, B, rows]. One large product, before
/// the loop.
mlir::Value projectInput(NodeImporter &n, mlir::Value x, mlir::Value weights, mlir::Value bias);
/// The two halves of a direction's bias, of the input and of the state; nulls where there is none.
std::pair<mlir::Value, mlir::Value> biases(const RecurrentLayer &layer, int64_t direction);

/// How one direction of an LSTM multiplies: floats, or quantised operands.
struct LstmProducts {
  /// x times W plus both biases: [T, B, 4 * hidden].
  std::function<mlir::Value(int64_t direction)> project;
  /// state [B, hidden] times R: [B, 4 * hidden].
  std::function<mlir::Value(int64_t direction, mlir::Value state)> recur;
};
/// Runs all directions of an LSTM whose layer has been read, and sets the node's results.
void runLstm(const RecurrentLayer &layer, const LstmProducts &products);

} // namespace tilewright::frontend
