// What a window reads is stored, however cheap: it would be computed again for every tap.
// RUN: tilewright-opt %s --fuse | FileCheck %s

// CHECK: func.func @pooled_twice
// CHECK: kernel.launch {{.*}}reason = "it would be computed again for every tap of a window"
// CHECK: kernel.launch {{.*}}reason = "it would be computed again for every tap of a window"
// CHECK: kernel.launch {{.*}}reason = "it is an output"
// CHECK: return
func.func @pooled_twice(%x: tensor<1x8x16xf32>) -> tensor<1x8x16xf32> {
  %0 = graph.binary <add> %x, %x : tensor<1x8x16xf32>
  %1 = graph.window <wmax> %0 {kernel = array<i64: 5>, strides = array<i64: 1>, dilations = array<i64: 1>, low = affine_map<() -> (2)>, channelsLast} : tensor<1x8x16xf32> -> tensor<1x8x16xf32>
  %2 = graph.window <wmax> %1 {kernel = array<i64: 5>, strides = array<i64: 1>, dilations = array<i64: 1>, low = affine_map<() -> (2)>, channelsLast} : tensor<1x8x16xf32> -> tensor<1x8x16xf32>
  return %2 : tensor<1x8x16xf32>
}

// Movement is index arithmetic: it costs nothing.
// CHECK: func.func @cropped
// CHECK-COUNT-1: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @cropped(%x: tensor<1x12x16xf32>) -> tensor<1x8x16xf32> {
  %0 = graph.slice %x affine_map<() -> (0, 2, 0)> [1, 1, 1] : tensor<1x12x16xf32> -> tensor<1x8x16xf32>
  %1 = graph.window <wmax> %0 {kernel = array<i64: 5>, strides = array<i64: 1>, dilations = array<i64: 1>, low = affine_map<() -> (2)>, channelsLast} : tensor<1x8x16xf32> -> tensor<1x8x16xf32>
  return %1 : tensor<1x8x16xf32>
}
