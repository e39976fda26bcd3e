// Constant right operands are stored in panels; the kernel undoes it, and its schedule says so.
// RUN: tilewright-opt %s --fuse --pack-constants --target=cpu:haswell | FileCheck %s
// RUN: tilewright-opt %s --fuse --pack-constants --target=cpu:skylake-avx512 | FileCheck %s

// CHECK: kernel.func
// CHECK-SAME: panel_argument = 1
// CHECK: graph.slice
// CHECK: graph.contract
// CHECK: func.func @constant_weights
// CHECK: graph.weight
// CHECK: graph.pad <constant>
// CHECK: graph.transpose
// CHECK: kernel.launch
func.func @constant_weights(%x: tensor<64x96xf32>) -> tensor<64x100xf32> {
  %w = graph.weight "weights" at 0 for 38400 : tensor<96x100xf32>
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<64x96xf32>, tensor<96x100xf32> -> tensor<64x100xf32>
  return %0 : tensor<64x100xf32>
}
