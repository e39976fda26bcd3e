// The CPU's schedules are not for GPUs.
// RUN: tilewright-opt %s --fuse --schedule --target=cuda:sm_80 | FileCheck %s

// CHECK-NOT: product tiles
// CHECK: func.func @product
func.func @product(%x: tensor<64x96xf32>, %w: tensor<96x100xf32>) -> tensor<64x100xf32> {
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<64x96xf32>, tensor<96x100xf32> -> tensor<64x100xf32>
  return %0 : tensor<64x100xf32>
}
