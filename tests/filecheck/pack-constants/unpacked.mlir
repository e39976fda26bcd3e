// Operands that are no constants keep their order, and so do kernels without products.
// RUN: tilewright-opt %s --fuse --schedule --pack-constants | FileCheck %s

// CHECK-NOT: layouts
// CHECK: func.func @both_computed
// CHECK-NOT: layouts
// CHECK: func.func @no_product
func.func @both_computed(%x: tensor<64x96xf32>, %w: tensor<96x100xf32>) -> tensor<64x100xf32> {
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<64x96xf32>, tensor<96x100xf32> -> tensor<64x100xf32>
  return %0 : tensor<64x100xf32>
}
func.func @no_product(%x: tensor<96xf32>) -> tensor<96xf32> {
  %w = graph.weight "weights" at 0 for 384 : tensor<96xf32>
  %0 = graph.binary <mul> %x, %w : tensor<96xf32>
  return %0 : tensor<96xf32>
}
