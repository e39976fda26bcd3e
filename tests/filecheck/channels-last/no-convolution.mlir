// Without convolutions and windows nothing is moved.
// RUN: tilewright-opt %s --channels-last | FileCheck %s

// CHECK-LABEL: func.func @nothing
// CHECK-NEXT: graph.transpose %{{.*}} [0, 2, 1]
// CHECK-NEXT: graph.unary <exp>
// CHECK-NEXT: return
func.func @nothing(%x: tensor<2x3x4xf32>) -> tensor<2x4x3xf32> {
  %0 = graph.transpose %x [0, 2, 1] : tensor<2x3x4xf32> -> tensor<2x4x3xf32>
  %1 = graph.unary <exp> %0 : tensor<2x4x3xf32> -> tensor<2x4x3xf32>
  return %1 : tensor<2x4x3xf32>
}
