// What is printed is parsed again to the same.
// RUN: tilewright-opt %s > %t
// RUN: tilewright-opt %t | diff %t -
// RUN: FileCheck %s < %t

// CHECK-LABEL: func.func @every_form
func.func @every_form(%x: tensor<2x3x8xf32>, %i: tensor<4xsi64>, %d: tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>) -> tensor<2x3x8xf32> {
  // CHECK: graph.constant dense<1.000000e+00> : tensor<f32> : tensor<f32>
  %c = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  // CHECK: graph.weight "weights" at 16 for 8 : tensor<2xf32>
  %w = graph.weight "weights" at 16 for 8 : tensor<2xf32>
  // CHECK: graph.dims
  %n = graph.dims affine_map<()[s0] -> (s0 * 2)> : tensor<si64>
  // CHECK: graph.iota 1 : tensor<2x3xsi32>
  %a = graph.iota 1 : tensor<2x3xsi32>
  // CHECK: graph.unary <rsqrt>
  %0 = graph.unary <rsqrt> %x : tensor<2x3x8xf32> -> tensor<2x3x8xf32>
  // CHECK: graph.compare <lt>
  %1 = graph.compare <lt> %0, %x : tensor<2x3x8xf32> -> tensor<2x3x8xi1>
  // CHECK: graph.select
  %2 = graph.select %1, %0, %x : tensor<2x3x8xi1>, tensor<2x3x8xf32>
  // CHECK: graph.cast %{{.*}} saturate : tensor<2x3x8xf32> -> tensor<2x3x8xf8E4M3FN>
  %3 = graph.cast %2 saturate : tensor<2x3x8xf32> -> tensor<2x3x8xf8E4M3FN>
  // CHECK: graph.bitcast
  %4 = graph.bitcast %3 : tensor<2x3x8xf8E4M3FN> -> tensor<2x3x8xui8>
  // CHECK: graph.gather %{{.*}} axis 1
  %5 = graph.gather %x, %i axis 1 : tensor<2x3x8xf32>, tensor<4xsi64> -> tensor<2x4x8xf32>
  // CHECK: graph.arg_reduce
  %6 = graph.arg_reduce %5 axis 2 {isMax = true, lastIndex = false} : tensor<2x4x8xf32> -> tensor<2x4xsi64>
  // CHECK: graph.sort
  %7, %8 = graph.sort %5 axis 2 {descending = true} : tensor<2x4x8xf32> -> tensor<2x4x3xf32>, tensor<2x4x3xsi64>
  // CHECK: graph.scatter_elements <sadd>
  %9 = graph.scatter_elements <sadd> %7, %8, %7 axis 1 : tensor<2x4x3xf32>, tensor<2x4x3xsi64>, tensor<2x4x3xf32>
  // CHECK: graph.define %{{.*}} [1] : tensor<si64>
  graph.define %n [1] : tensor<si64>
  return %x : tensor<2x3x8xf32>
}
