// A convolution of one tap that touches nothing but its pixel is a product; with a border, a stride, more taps or groups it
// stays; what is no convolution does, too.
// RUN: tilewright-opt %s --pointwise-to-products | FileCheck %s
// RUN: tilewright-opt %s --pointwise-to-products --target=cuda:sm_80 | FileCheck %s

// CHECK-LABEL: @pixel
// CHECK: %[[W:.*]] = graph.reshape %arg1 : tensor<1x1x64x8xf32> -> tensor<64x8xf32>
// CHECK: graph.contract %arg0, %[[W]] batch [] [] contract [3] [0]
// CHECK-NOT: graph.conv
// CHECK-LABEL: @stride
// CHECK: graph.conv
// CHECK-LABEL: @border
// CHECK: graph.conv
// CHECK-LABEL: @taps
// CHECK: graph.conv
// CHECK-LABEL: @groups
// CHECK: graph.conv
// CHECK-LABEL: @none
// CHECK: graph.unary
func.func @pixel(%x: tensor<1x7x7x64xf32>, %w: tensor<1x1x64x8xf32>) -> tensor<1x7x7x8xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (0, 0)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64, channelsLast} : tensor<1x7x7x64xf32>, tensor<1x1x64x8xf32> -> tensor<1x7x7x8xf32>
  return %0 : tensor<1x7x7x8xf32>
}
func.func @stride(%x: tensor<1x7x7x64xf32>, %w: tensor<1x1x64x8xf32>) -> tensor<1x4x4x8xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 2, 2>, low = affine_map<() -> (0, 0)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64, channelsLast} : tensor<1x7x7x64xf32>, tensor<1x1x64x8xf32> -> tensor<1x4x4x8xf32>
  return %0 : tensor<1x4x4x8xf32>
}
func.func @border(%x: tensor<1x7x7x64xf32>, %w: tensor<1x1x64x8xf32>) -> tensor<1x9x9x8xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (1, 1)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64, channelsLast} : tensor<1x7x7x64xf32>, tensor<1x1x64x8xf32> -> tensor<1x9x9x8xf32>
  return %0 : tensor<1x9x9x8xf32>
}
func.func @taps(%x: tensor<1x7x7x64xf32>, %w: tensor<1x3x64x8xf32>) -> tensor<1x7x5x8xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (0, 0)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64, channelsLast} : tensor<1x7x7x64xf32>, tensor<1x3x64x8xf32> -> tensor<1x7x5x8xf32>
  return %0 : tensor<1x7x5x8xf32>
}
func.func @groups(%x: tensor<1x7x7x64xf32>, %w: tensor<1x1x32x8xf32>) -> tensor<1x7x7x8xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (0, 0)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 2 : i64, channelsLast} : tensor<1x7x7x64xf32>, tensor<1x1x32x8xf32> -> tensor<1x7x7x8xf32>
  return %0 : tensor<1x7x7x8xf32>
}
func.func @none(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = graph.unary <exp> %x : tensor<8xf32> -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
