// Factors of output channels go into constant weights and biases.
// RUN: tilewright-opt %s --fold-scales | FileCheck %s

// Batch normalisation: conv(x, w) * s + t keeps the sum only.
// CHECK: func.func @batch_norm
// CHECK: %[[W:.*]] = graph.binary <mul> %{{.*}}, %{{.*}} : tensor<8x3x3xf32>
// CHECK: graph.conv %arg0, %[[W]]
// CHECK-NOT: graph.binary <mul>
// CHECK: graph.binary <add>
// CHECK: return
func.func @batch_norm(%x: tensor<?x3x16xf32, affine_map<()[s0] -> (s0, 3, 16)>>) -> tensor<?x8x14xf32, affine_map<()[s0] -> (s0, 8, 14)>> {
  %w = graph.constant dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]> : tensor<1x3x3xf32> : tensor<1x3x3xf32>
  %w8 = graph.broadcast %w [0, 1, 2] : tensor<1x3x3xf32> -> tensor<8x3x3xf32>
  %s = graph.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32> : tensor<8xf32>
  %0 = graph.conv %x, %w8 {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<?x3x16xf32, affine_map<()[s0] -> (s0, 3, 16)>>, tensor<8x3x3xf32> -> tensor<?x8x14xf32, affine_map<()[s0] -> (s0, 8, 14)>>
  %1 = graph.broadcast %s [1] : tensor<8xf32> -> tensor<?x8x14xf32, affine_map<()[s0] -> (s0, 8, 14)>>
  %2 = graph.binary <mul> %0, %1 : tensor<?x8x14xf32, affine_map<()[s0] -> (s0, 8, 14)>>
  %3 = graph.binary <add> %2, %1 : tensor<?x8x14xf32, affine_map<()[s0] -> (s0, 8, 14)>>
  return %3 : tensor<?x8x14xf32, affine_map<()[s0] -> (s0, 8, 14)>>
}

// A bias in between is scaled too, also by a scalar.
// CHECK: func.func @scaled_linear
// CHECK: graph.binary <mul> {{.*}} : tensor<4x2xf32>
// CHECK: graph.contract
// CHECK: graph.binary <mul> {{.*}} : tensor<2xf32>
// CHECK: graph.binary <add> {{.*}} : tensor<5x2xf32>
// CHECK-NEXT: return
func.func @scaled_linear(%x: tensor<5x4xf32>) -> tensor<5x2xf32> {
  %w = graph.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32> : tensor<4x2xf32>
  %b = graph.constant dense<[1.0, 2.0]> : tensor<2xf32> : tensor<2xf32>
  %c = graph.constant dense<0.3> : tensor<f32> : tensor<f32>
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<5x4xf32>, tensor<4x2xf32> -> tensor<5x2xf32>
  %1 = graph.broadcast %b [1] : tensor<2xf32> -> tensor<5x2xf32>
  %2 = graph.binary <add> %1, %0 : tensor<5x2xf32>
  %3 = graph.broadcast %c [] : tensor<f32> -> tensor<5x2xf32>
  %4 = graph.binary <mul> %2, %3 : tensor<5x2xf32>
  return %4 : tensor<5x2xf32>
}

// Not where the product is needed unscaled, where the factor varies along rows, or where it is not constant.
// CHECK: func.func @not_folded
// CHECK: graph.contract
// CHECK-COUNT-3: graph.binary <mul> {{.*}} : tensor<5x2xf32>
// CHECK: return
func.func @not_folded(%x: tensor<5x4xf32>, %s: tensor<2xf32>) -> (tensor<5x2xf32>, tensor<5x2xf32>, tensor<5x2xf32>) {
  %w = graph.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32> : tensor<4x2xf32>
  %r = graph.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0]> : tensor<5xf32> : tensor<5xf32>
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<5x4xf32>, tensor<4x2xf32> -> tensor<5x2xf32>
  %1 = graph.broadcast %r [0] : tensor<5xf32> -> tensor<5x2xf32>
  %2 = graph.binary <mul> %0, %1 : tensor<5x2xf32>
  %3 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<5x4xf32>, tensor<4x2xf32> -> tensor<5x2xf32>
  %4 = graph.broadcast %s [1] : tensor<2xf32> -> tensor<5x2xf32>
  %5 = graph.binary <mul> %3, %4 : tensor<5x2xf32>
  %6 = graph.binary <mul> %3, %3 : tensor<5x2xf32>
  return %2, %5, %6 : tensor<5x2xf32>, tensor<5x2xf32>, tensor<5x2xf32>
}

// What is rounded to whole numbers is multiplied as it is written: the last bit may decide.
// CHECK: func.func @quantized_linear
// CHECK: %[[P:.*]] = graph.contract
// CHECK: %[[Q:.*]] = graph.binary <mul> %[[P]]
// CHECK: graph.unary <round> %[[Q]]
func.func @quantized_linear(%x: tensor<5x4xf32>) -> tensor<5x2xf32> {
  %w = graph.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32> : tensor<4x2xf32>
  %c = graph.constant dense<0.3> : tensor<f32> : tensor<f32>
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<5x4xf32>, tensor<4x2xf32> -> tensor<5x2xf32>
  %1 = graph.broadcast %c [] : tensor<f32> -> tensor<5x2xf32>
  %2 = graph.binary <mul> %0, %1 : tensor<5x2xf32>
  %3 = graph.unary <round> %2 : tensor<5x2xf32> -> tensor<5x2xf32>
  return %3 : tensor<5x2xf32>
}
