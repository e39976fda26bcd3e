// What is simple already stays as it is, in the pass and in the passes before fusion together.
// RUN: tilewright-opt %s --simplify | FileCheck %s
// RUN: tilewright-opt %s --graph-pipeline | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-NEXT: graph.contract
// CHECK-NEXT: graph.unary <tanh>
// CHECK-NEXT: graph.reduce <sum>
// CHECK-NEXT: return
func.func @main(%x: tensor<8x16xf32>, %w: tensor<16x4xf32>) -> tensor<8xf32> {
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<8x16xf32>, tensor<16x4xf32> -> tensor<8x4xf32>
  %1 = graph.unary <tanh> %0 : tensor<8x4xf32> -> tensor<8x4xf32>
  %2 = graph.reduce <sum> %1 [1] : tensor<8x4xf32> -> tensor<8xf32>
  return %2 : tensor<8xf32>
}
