// Products with one weight store one packing of it, however many rows each has; a small weight may be packed for each.
// RUN: tilewright-opt %s --fuse --schedule --pack-constants --target=cpu:skylake-avx512 | FileCheck %s

// CHECK: columns = [[WIDTH:[0-9]+]],
// CHECK: columns = [[WIDTH]],
// CHECK: func.func @one_weight
// CHECK: kernel.launch {{.*}}[[PANELS:tensor<[0-9]+x768x[0-9]+xf32>]]) ->
// CHECK: kernel.launch {{.*}}[[PANELS]]) ->
func.func @one_weight(%x: tensor<1x768xf32>, %y: tensor<500x768xf32>) -> (tensor<1x512xf32>, tensor<500x512xf32>) {
  %w = graph.weight "weights" at 0 for 1572864 : tensor<768x512xf32>
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<1x768xf32>, tensor<768x512xf32> -> tensor<1x512xf32>
  %1 = graph.contract %y, %w batch [] [] contract [1] [0] : tensor<500x768xf32>, tensor<768x512xf32> -> tensor<500x512xf32>
  return %0, %1 : tensor<1x512xf32>, tensor<500x512xf32>
}
