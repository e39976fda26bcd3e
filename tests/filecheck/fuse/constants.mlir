// Constants of constants are computed when the artifact is written, unless they are cheap and much larger than what they come
// from.
// RUN: tilewright-opt %s --fuse | FileCheck %s

// A table of cosines.
// CHECK: func.func @table
// CHECK: kernel.launch @{{.*}}(%{{.*}}, %{{.*}}){{.*}} : (tensor<300x300xf32>, tensor<300x300xf32>)
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @table(%x: tensor<300x300xf32>) -> tensor<300x300xf32> {
  %0 = graph.iota 1 : tensor<300x300xf32>
  %1 = graph.unary <cos> %0 : tensor<300x300xf32> -> tensor<300x300xf32>
  %2 = graph.contract %x, %1 batch [] [] contract [1] [0] : tensor<300x300xf32>, tensor<300x300xf32> -> tensor<300x300xf32>
  return %2 : tensor<300x300xf32>
}

// A mask is computed where it is used.
// CHECK: func.func @mask
// CHECK: kernel.launch @{{.*}}(%{{.*}}){{.*}} : (tensor<300x300xf32>) -> tensor<300x300xf32>
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @mask(%x: tensor<300x300xf32>) -> tensor<300x300xf32> {
  %0 = graph.iota 1 : tensor<300x300xsi64>
  %1 = graph.iota 0 : tensor<300x300xsi64>
  %2 = graph.compare <le> %0, %1 : tensor<300x300xsi64> -> tensor<300x300xi1>
  %3 = graph.binary <add> %x, %x : tensor<300x300xf32>
  %4 = graph.select %2, %x, %3 : tensor<300x300xi1>, tensor<300x300xf32>
  return %4 : tensor<300x300xf32>
}
