// On a GPU, kernels that threads can compute have schedules of threads, and the others have none.
// RUN: tilewright-opt %s --fuse --schedule --target=cuda:sm_80 | FileCheck %s

// CHECK: schedule = #kernel.schedule<rows teams, access_bytes = 16, {{.*}}row_threads = 512, threads = 256,
// CHECK: schedule = #kernel.schedule<loops elements, access_bytes = 16, threads = 256>
// CHECK-NOT: product
// CHECK: func.func @product
func.func @product(%x: tensor<64x96xf32>, %w: tensor<96x100xf32>) -> tensor<64x100xf32> {
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<64x96xf32>, tensor<96x100xf32> -> tensor<64x100xf32>
  return %0 : tensor<64x100xf32>
}
func.func @elements(%x: tensor<96xf32>) -> tensor<96xf32> {
  %0 = graph.unary <exp> %x : tensor<96xf32> -> tensor<96xf32>
  return %0 : tensor<96xf32>
}
func.func @rows(%x: tensor<8x96xf32>) -> tensor<8xf32> {
  %0 = graph.reduce <sum> %x [1] : tensor<8x96xf32> -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
