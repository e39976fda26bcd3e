// What follows a contraction or convolution element by element joins its kernel; what would be computed for every tile
// again does not.
// RUN: tilewright-opt %s --fuse | FileCheck %s

// CHECK-LABEL: kernel.func
// CHECK: graph.contract
// CHECK: graph.binary <add>
// CHECK: graph.binary <max>
// CHECK: kernel.yield
// CHECK: func.func @bias_and_relu
// CHECK-COUNT-1: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @bias_and_relu(%x: tensor<32x64xf32>, %w: tensor<64x48xf32>, %b: tensor<48xf32>) -> tensor<32x48xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %zeros = graph.broadcast %zero [] : tensor<f32> -> tensor<32x48xf32>
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<32x64xf32>, tensor<64x48xf32> -> tensor<32x48xf32>
  %1 = graph.broadcast %b [1] : tensor<48xf32> -> tensor<32x48xf32>
  %2 = graph.binary <add> %0, %1 : tensor<32x48xf32>
  %3 = graph.binary <max> %2, %zeros : tensor<32x48xf32>
  return %3 : tensor<32x48xf32>
}
