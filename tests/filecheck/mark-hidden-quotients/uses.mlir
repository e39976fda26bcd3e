// A quotient is marked if only sums of many elements read it, through whatever keeps elements apart.
// RUN: tilewright-opt %s --mark-hidden-quotients | FileCheck %s

// CHECK-LABEL: func.func @product
// CHECK: graph.binary <div> %arg0, %arg1 {graph.hidden_quotient}
// CHECK: graph.contract
func.func @product(%x: tensor<4x4xf32>, %s: tensor<4x4xf32>, %v: tensor<4x2xf32>) -> tensor<4x2xf32> {
  %0 = graph.binary <div> %x, %s : tensor<4x4xf32>
  %1 = graph.binary <mul> %0, %x : tensor<4x4xf32>
  %2 = graph.transpose %1 [1, 0] : tensor<4x4xf32> -> tensor<4x4xf32>
  %3 = graph.contract %2, %v batch [] [] contract [1] [0] : tensor<4x4xf32>, tensor<4x2xf32> -> tensor<4x2xf32>
  return %3 : tensor<4x2xf32>
}

// An output tells, directly or behind element-wise ops; so does a largest element.
// CHECK-LABEL: func.func @outputs
// CHECK-NOT: hidden_quotient
func.func @outputs(%x: tensor<4x4xf32>, %s: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4xf32>) {
  %0 = graph.binary <div> %x, %s : tensor<4x4xf32>
  %1 = graph.binary <add> %0, %x : tensor<4x4xf32>
  %2 = graph.binary <div> %s, %x : tensor<4x4xf32>
  %3 = graph.reduce <rmax> %2 [1] : tensor<4x4xf32> -> tensor<4xf32>
  return %1, %3 : tensor<4x4xf32>, tensor<4xf32>
}

// One use that is a step is enough, however many sums there are: floor, a comparison, a cast to integers.
// CHECK-LABEL: func.func @steps
// CHECK-NOT: hidden_quotient
func.func @steps(%x: tensor<4x4xf32>, %s: tensor<4x4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xsi32>) {
  %0 = graph.binary <div> %x, %s : tensor<4x4xf32>
  %1 = graph.reduce <sum> %0 [1] : tensor<4x4xf32> -> tensor<4xf32>
  %2 = graph.unary <floor> %0 : tensor<4x4xf32> -> tensor<4x4xf32>
  %3 = graph.reduce <sum> %2 [1] : tensor<4x4xf32> -> tensor<4xf32>
  %4 = graph.binary <div> %s, %x : tensor<4x4xf32>
  %5 = graph.compare <lt> %4, %x : tensor<4x4xf32> -> tensor<4x4xi1>
  %6 = graph.select %5, %x, %s : tensor<4x4xi1>, tensor<4x4xf32>
  %7 = graph.reduce <sum> %6 [1] : tensor<4x4xf32> -> tensor<4xf32>
  %8 = graph.binary <add> %1, %7 : tensor<4xf32>
  %9 = graph.binary <div> %x, %x : tensor<4x4xf32>
  %10 = graph.cast %9 : tensor<4x4xf32> -> tensor<4x4xsi32>
  %11 = graph.reduce <sum> %10 [1] : tensor<4x4xsi32> -> tensor<4xsi32>
  return %8, %3, %11 : tensor<4xf32>, tensor<4xf32>, tensor<4xsi32>
}

// Nothing to mark: integers, and other ops.
// CHECK-LABEL: func.func @none
// CHECK-NOT: hidden_quotient
func.func @none(%x: tensor<4x4xsi32>, %f: tensor<4x4xf32>) -> (tensor<4xsi32>, tensor<4xf32>) {
  %0 = graph.binary <div> %x, %x : tensor<4x4xsi32>
  %1 = graph.reduce <sum> %0 [1] : tensor<4x4xsi32> -> tensor<4xsi32>
  %2 = graph.binary <mul> %f, %f : tensor<4x4xf32>
  %3 = graph.reduce <sum> %2 [1] : tensor<4x4xf32> -> tensor<4xf32>
  return %1, %3 : tensor<4xsi32>, tensor<4xf32>
}
