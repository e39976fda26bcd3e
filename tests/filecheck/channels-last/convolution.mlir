// Convolutions and windows read channels last, between transposes.
// RUN: tilewright-opt %s --channels-last | FileCheck %s

// CHECK-LABEL: func.func @convolution
// CHECK-SAME: (%[[X:.*]]: tensor<1x3x8x9xf32>, %[[W:.*]]: tensor<4x3x5x7xf32>)
// CHECK-DAG: %[[XL:.*]] = graph.transpose %[[X]] [0, 2, 3, 1] : {{.*}} -> tensor<1x8x9x3xf32>
// CHECK-DAG: %[[WL:.*]] = graph.transpose %[[W]] [2, 3, 1, 0] : {{.*}} -> tensor<5x7x3x4xf32>
// CHECK: %[[Y:.*]] = graph.conv %[[XL]], %[[WL]] {channelsLast, {{.*}} -> tensor<1x4x3x4xf32>
// CHECK: graph.transpose %[[Y]] [0, 3, 1, 2] : {{.*}} -> tensor<1x4x4x3xf32>
func.func @convolution(%x: tensor<1x3x8x9xf32>, %w: tensor<4x3x5x7xf32>) -> tensor<1x4x4x3xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (0, 0)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64} : tensor<1x3x8x9xf32>, tensor<4x3x5x7xf32> -> tensor<1x4x4x3xf32>
  return %0 : tensor<1x4x4x3xf32>
}

// CHECK-LABEL: func.func @window
// CHECK: graph.transpose %{{.*}} [0, 2, 1]
// CHECK: graph.window <wmax> {{.*}}channelsLast
// CHECK: graph.transpose %{{.*}} [0, 2, 1]
func.func @window(%x: tensor<1x3x8xf32>) -> tensor<1x3x4xf32> {
  %0 = graph.window <wmax> %x {kernel = array<i64: 2>, strides = array<i64: 2>, dilations = array<i64: 1>, low = affine_map<() -> (0)>} : tensor<1x3x8xf32> -> tensor<1x3x4xf32>
  return %0 : tensor<1x3x4xf32>
}

// What is channels last already stays as it is.
// CHECK-LABEL: func.func @already
// CHECK-NOT: graph.transpose
// CHECK: graph.conv
// CHECK-NOT: graph.transpose
// CHECK: return
func.func @already(%x: tensor<1x8x3xf32>, %w: tensor<1x3x4xf32>) -> tensor<1x8x4xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64, channelsLast} : tensor<1x8x3xf32>, tensor<1x3x4xf32> -> tensor<1x8x4xf32>
  return %0 : tensor<1x8x4xf32>
}
