// Constant right operands are stored in panels: the argument keeps the logical type and says how it lies, the body reads it
// as it is, and the launch applies the recipe.
// RUN: tilewright-opt %s --fuse --schedule --pack-constants --target=cpu:haswell | FileCheck %s
// RUN: tilewright-opt %s --fuse --schedule --pack-constants --target=cpu:skylake-avx512 | FileCheck %s

// CHECK: kernel.func
// CHECK-SAME: constants = array<i64: 1>
// CHECK-SAME: layouts = [unit, #kernel.layout<
// CHECK-SAME: packed = 1
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<64x96xf32>, %[[W:.*]]: tensor<96x100xf32>):
// CHECK-NEXT: graph.contract %{{.*}}, %[[W]]
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
