// Neutral elements go; what is not neutral stays.
// RUN: tilewright-opt %s --simplify | FileCheck %s

// CHECK-LABEL: func.func @neutral
// CHECK-SAME: (%[[X:.*]]: tensor<4x5xf32>)
// CHECK-NEXT: return %[[X]]
func.func @neutral(%x: tensor<4x5xf32>) -> tensor<4x5xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %zeros = graph.broadcast %zero [] : tensor<f32> -> tensor<4x5xf32>
  %ones = graph.broadcast %one [] : tensor<f32> -> tensor<4x5xf32>
  %0 = graph.binary <add> %x, %zeros : tensor<4x5xf32>
  %1 = graph.binary <add> %zeros, %0 : tensor<4x5xf32>
  %2 = graph.binary <sub> %1, %zeros : tensor<4x5xf32>
  %3 = graph.binary <mul> %2, %ones : tensor<4x5xf32>
  %4 = graph.binary <mul> %ones, %3 : tensor<4x5xf32>
  %5 = graph.binary <div> %4, %ones : tensor<4x5xf32>
  %6 = graph.binary <pow> %5, %ones : tensor<4x5xf32>
  return %6 : tensor<4x5xf32>
}

// Integers, too, and constants of the whole shape.
// CHECK-LABEL: func.func @integers
// CHECK-SAME: (%[[X:.*]]: tensor<3xsi32>)
// CHECK-NEXT: return %[[X]]
func.func @integers(%x: tensor<3xsi32>) -> tensor<3xsi32> {
  %ones = graph.constant dense<1> : tensor<3xi32> : tensor<3xsi32>
  %0 = graph.binary <mul> %x, %ones : tensor<3xsi32>
  return %0 : tensor<3xsi32>
}

// 0 - x, 1 / x and x ^ 0 are no identities.
// CHECK-LABEL: func.func @other_side
// CHECK: graph.binary <sub>
// CHECK: graph.binary <div>
// CHECK: graph.binary <pow>
func.func @other_side(%x: tensor<4xf32>) -> tensor<4xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %zeros = graph.broadcast %zero [] : tensor<f32> -> tensor<4xf32>
  %ones = graph.broadcast %one [] : tensor<f32> -> tensor<4xf32>
  %0 = graph.binary <sub> %zeros, %x : tensor<4xf32>
  %1 = graph.binary <div> %ones, %0 : tensor<4xf32>
  %2 = graph.binary <pow> %1, %zeros : tensor<4xf32>
  return %2 : tensor<4xf32>
}

// A constant that is not one number is no neutral element.
// CHECK-LABEL: func.func @not_a_splat
// CHECK: graph.binary <add>
func.func @not_a_splat(%x: tensor<2xf32>) -> tensor<2xf32> {
  %c = graph.constant dense<[0.0, 1.0]> : tensor<2xf32> : tensor<2xf32>
  %0 = graph.binary <add> %x, %c : tensor<2xf32>
  return %0 : tensor<2xf32>
}

// x * 0 is not 0 where x is infinite.
// CHECK-LABEL: func.func @zero_product
// CHECK: graph.binary <mul>
func.func @zero_product(%x: tensor<2xf32>) -> tensor<2xf32> {
  %c = graph.constant dense<0.0> : tensor<2xf32> : tensor<2xf32>
  %0 = graph.binary <mul> %x, %c : tensor<2xf32>
  return %0 : tensor<2xf32>
}
