// Division by a power of two is multiplication; by another number it stays.
// RUN: tilewright-opt %s --simplify | FileCheck %s

// CHECK-LABEL: func.func @power_of_two
// CHECK: %[[C:.*]] = graph.constant dense<1.250000e-01>
// CHECK: graph.binary <mul> %{{.*}}, %[[C]]
func.func @power_of_two(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant dense<8.0> : tensor<f32> : tensor<f32>
  %b = graph.broadcast %c [] : tensor<f32> -> tensor<4xf32>
  %0 = graph.binary <div> %x, %b : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func.func @scalar
// CHECK: graph.binary <mul>
func.func @scalar(%x: tensor<f32>) -> tensor<f32> {
  %c = graph.constant dense<-2.0> : tensor<f32> : tensor<f32>
  %0 = graph.binary <div> %x, %c : tensor<f32>
  return %0 : tensor<f32>
}

// 1 / 3 is rounded.
// CHECK-LABEL: func.func @rounded
// CHECK: graph.binary <div>
func.func @rounded(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant dense<3.0> : tensor<f32> : tensor<f32>
  %b = graph.broadcast %c [] : tensor<f32> -> tensor<4xf32>
  %0 = graph.binary <div> %x, %b : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// Integers truncate.
// CHECK-LABEL: func.func @integers
// CHECK: graph.binary <div>
func.func @integers(%x: tensor<4xsi32>) -> tensor<4xsi32> {
  %c = graph.constant dense<8> : tensor<4xi32> : tensor<4xsi32>
  %0 = graph.binary <div> %x, %c : tensor<4xsi32>
  return %0 : tensor<4xsi32>
}
