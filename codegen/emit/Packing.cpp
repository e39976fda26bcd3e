//===- Packing.cpp - operands of a product in scratch ---------------------===//
#include "codegen/emit/Packing.h"

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

/// Lanes of the right operand at `indices` as the sums' type.
Value lanesAt(ValueEmitter &e, const MicroKernel &kernel, const ProductOperand &operand,
              const Indices &indices) {
  Value lanes = e.spread(e.at(operand.value, indices));
  return widen(e, lanes, elementOf(operand.value), kernel.vectorType().getElementType());
}

void storeLanes(ValueEmitter &e, const MicroKernel &kernel, Value lanes, Value pointer) {
  LLVM::StoreOp::create(e.b, e.loc, lanes, pointer, kernel.leftBytes());
}

/// n is fastest: vectors of n, one k after the other.
void packAlongColumns(ValueEmitter &e, const MicroKernel &kernel, const ProductOperand &right, Value batch,
                      int64_t columns, Value panel, Value depth, Value pointer) {
  const int64_t width = kernel.lanes(), bytes = kernel.accumulatorBytes();
  Value n = e.dim(right.free.total(e.b.getContext()));
  const bool exact = e.constantOf(n) && *e.constantOf(n) % columns == 0;
  for (int64_t x = 0; x < columns / width; ++x) {
    Value base = e.add(e.mul(panel, columns), x * width);
    e.lanes = {width, exact ? Value() : e.laneMask(base, n, width)};
    e.loop(e.constant(0), depth, 1, [&](Value k) {
      Value lanes =
          lanesAt(e, kernel, right, indicesAt(e, right, e.uniform(batch), e.lane(base), e.uniform(k)));
      storeLanes(e, kernel, lanes,
                 e.address(e.address(pointer, k, columns * bytes), e.constant(x * width * bytes), 1));
    });
  }
}

/// k is fastest: square blocks, transposed in registers. Columns beyond the operand repeat its last one.
void packAlongDepth(ValueEmitter &e, const MicroKernel &kernel, const ProductOperand &right, Value batch,
                    int64_t columns, Value panel, Value depth, Value pointer) {
  const int64_t width = kernel.lanes(), bytes = kernel.accumulatorBytes();
  Value last = e.add(e.dim(right.free.total(e.b.getContext())), -1);
  e.loop(e.constant(0), e.constant(columns), width, [&](Value x) {
    e.laneLoop(e.constant(0), depth, width, [&](Value k) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < width; ++i) {
        Value column = e.minimum(e.add(e.add(e.mul(panel, columns), x), i), last);
        rows.push_back(
            lanesAt(e, kernel, right, indicesAt(e, right, e.uniform(batch), e.uniform(column), e.lane(k))));
      }
      rows = transposeRegisters(e, std::move(rows));
      Value to = e.address(e.address(pointer, k, columns * bytes), x, bytes);
      for (int64_t i = 0; i < width; ++i)
        storeLanes(e, kernel, rows[i], e.address(to, e.constant(i * columns * bytes), 1));
    });
  });
}

} // namespace

Indices indicesAt(ValueEmitter &e, const ProductOperand &operand, const Index &batchIndex,
                  const Index &freeIndex, const Index &contractedIndex) {
  Indices indices(llvm::cast<RankedTensorType>(operand.value.getType()).getRank(), e.uniform(e.constant(0)));
  spreadOver(e, operand.batch, batchIndex, indices);
  spreadOver(e, operand.free, freeIndex, indices);
  spreadOver(e, operand.contracted, contractedIndex, indices);
  return indices;
}

/// Whether staged rows keep k together: as in the operand, or because a step takes several k.
static bool keepsDepthTogether(const MicroKernel &kernel, const ProductOperand &left) {
  return left.contractedFastest() || kernel.group() > 1;
}

StagedLayout stagedLayout(ValueEmitter &e, const MicroKernel &kernel, const ProductOperand &left,
                          AffineExpr rows, AffineExpr depth, AffineExpr &bytes) {
  const int64_t line = e.kernel.target.cacheLine, perLine = line / kernel.leftBytes();
  const bool depthTogether = keepsDepthTogether(kernel, left);
  // An odd number of cache lines.
  AffineExpr lines = ((depthTogether ? depth : rows) + (perLine - 1)).floorDiv(perLine);
  AffineExpr pitch = canonical((lines.floorDiv(2) * 2 + 1) * line);
  bytes = canonical(pitch * (depthTogether ? rows : depth));
  Value outer = e.dim(pitch), inner = e.constant(kernel.leftBytes() * kernel.group());
  return depthTogether ? StagedLayout{outer, inner} : StagedLayout{inner, outer};
}

void stageRows(ValueEmitter &e, const MicroKernel &kernel, const ProductOperand &left, Value batch,
               Value first, Value count, Value pointer, const StagedLayout &layout) {
  const Lanes saved = e.lanes;
  const bool depthTogether = keepsDepthTogether(kernel, left);
  Value depth = e.dim(left.contracted.total(e.b.getContext()));
  e.loop(e.constant(0), depthTogether ? count : depth, 1, [&](Value slow) {
    Value to = e.address(pointer, e.mul(slow, depthTogether ? layout.rowStride : layout.depthStride), 1);
    e.laneLoop(e.constant(0), depthTogether ? depth : count, kernel.lanes(), [&](Value fast) {
      Value row = e.add(first, depthTogether ? slow : fast);
      const Index rowIndex = depthTogether ? e.uniform(row) : e.lane(row);
      const Index depthIndex = depthTogether ? e.lane(fast) : e.uniform(slow);
      Value lanes = e.spread(e.at(left.value, indicesAt(e, left, e.uniform(batch), rowIndex, depthIndex)));
      storeLanes(e, kernel, kernel.toLeft(lanes, elementOf(left.value)),
                 e.address(to, fast, kernel.leftBytes()));
    });
  });
  e.lanes = saved;
}

void packPanels(ValueEmitter &e, const MicroKernel &kernel, const ProductOperand &right, Value batch,
                int64_t columns, Value first, Value end, Value depth, Value pointer, Value panelPitch) {
  const Lanes saved = e.lanes;
  e.loop(first, end, 1, [&](Value panel) {
    Value to = e.address(pointer, e.mul(e.sub(panel, first), panelPitch), 1);
    auto pack = right.contractedFastest() ? packAlongDepth : packAlongColumns;
    pack(e, kernel, right, batch, columns, panel, depth, to);
  });
  e.lanes = saved;
}

SmallVector<Value> transposeRegisters(ValueEmitter &e, SmallVector<Value> rows) {
  const int64_t width = rows.size();
  for (int64_t distance = 1; distance < width; distance *= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < width; ++lane) {
      low.push_back(lane & distance ? lane - distance + width : lane);
      high.push_back(lane & distance ? lane + width : lane + distance);
    }
    for (int64_t i = 0; i < width; ++i) {
      if (i & distance)
        continue;
      Value x = rows[i], y = rows[i + distance];
      rows[i] = vector::ShuffleOp::create(e.b, e.loc, x, y, low);
      rows[i + distance] = vector::ShuffleOp::create(e.b, e.loc, x, y, high);
    }
  }
  return rows;
}

} // namespace tilewright::codegen
