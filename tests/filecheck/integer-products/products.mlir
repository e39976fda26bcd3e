// Products of dequantised operands multiply the integers.
// RUN: tilewright-opt %s --integer-products --simplify | FileCheck %s

// (a - 3) * 0.5 times b * 0.25: the sums of b's columns take a's zero point away.
// CHECK-LABEL: func.func @linear
// CHECK: %[[B:.*]] = graph.weight
// CHECK: %[[SUMS:.*]] = graph.contract %arg0, %[[B]] {{.*}} -> tensor<5x64xsi32>
// CHECK: %[[COLUMNS:.*]] = graph.reduce <sum> %{{.*}} [0] : tensor<32x64xsi32> -> tensor<64xsi32>
// CHECK: graph.binary <mul> {{.*}} : tensor<64xsi32>
// CHECK: graph.binary <sub> %[[SUMS]], {{.*}} : tensor<5x64xsi32>
// CHECK: graph.cast {{.*}} : tensor<5x64xsi32> -> tensor<5x64xf32>
// CHECK: graph.binary <mul> {{.*}} : tensor<5x64xf32>
// CHECK-NEXT: return
func.func @linear(%a: tensor<5x32xui8>) -> tensor<5x64xf32> {
  %b = graph.weight "weights.bin" at 0 for 2048 : tensor<32x64xsi8>
  %three = graph.constant dense<3.0> : tensor<f32> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %quarter = graph.constant dense<0.25> : tensor<f32> : tensor<f32>
  %0 = graph.cast %a : tensor<5x32xui8> -> tensor<5x32xf32>
  %1 = graph.broadcast %three [] : tensor<f32> -> tensor<5x32xf32>
  %2 = graph.binary <sub> %0, %1 : tensor<5x32xf32>
  %3 = graph.broadcast %half [] : tensor<f32> -> tensor<5x32xf32>
  %4 = graph.binary <mul> %2, %3 : tensor<5x32xf32>
  %5 = graph.cast %b : tensor<32x64xsi8> -> tensor<32x64xf32>
  %6 = graph.broadcast %quarter [] : tensor<f32> -> tensor<32x64xf32>
  %7 = graph.binary <mul> %5, %6 : tensor<32x64xf32>
  %8 = graph.contract %4, %7 batch [] [] contract [1] [0] : tensor<5x32xf32>, tensor<32x64xf32> -> tensor<5x64xf32>
  return %8 : tensor<5x64xf32>
}

// Outside of an image lies its zero point; weights have a scale for each output channel. Bytes without sign and
// a zero point of 128 are bytes with one.
// CHECK-LABEL: func.func @convolution
// CHECK: %[[W:.*]] = graph.bitcast {{.*}} -> tensor<8x4x3xsi8>
// CHECK: %[[X:.*]] = graph.pad <constant> %arg0, {{.*}} -> tensor<1x4x18xui8>
// CHECK: graph.conv %[[X]], %[[W]] {{.*}} -> tensor<1x8x16xsi32>
// CHECK: graph.binary <sub> {{.*}} : tensor<1x8x16xsi32>
// CHECK: graph.cast
// CHECK: graph.binary <mul> {{.*}} : tensor<1x8x16xf32>
// CHECK-NEXT: return
func.func @convolution(%x: tensor<1x4x16xui8>, %s: tensor<8xf32>) -> tensor<1x8x16xf32> {
  %w = graph.weight "weights.bin" at 0 for 96 : tensor<8x4x3xui8>
  %three = graph.constant dense<3.0> : tensor<f32> : tensor<f32>
  %middle = graph.constant dense<128.0> : tensor<f32> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = graph.cast %x : tensor<1x4x16xui8> -> tensor<1x4x16xf32>
  %1 = graph.broadcast %three [] : tensor<f32> -> tensor<1x4x16xf32>
  %2 = graph.binary <sub> %0, %1 : tensor<1x4x16xf32>
  %3 = graph.broadcast %half [] : tensor<f32> -> tensor<1x4x16xf32>
  %4 = graph.binary <mul> %2, %3 : tensor<1x4x16xf32>
  %5 = graph.cast %w : tensor<8x4x3xui8> -> tensor<8x4x3xf32>
  %6 = graph.broadcast %middle [] : tensor<f32> -> tensor<8x4x3xf32>
  %7 = graph.binary <sub> %5, %6 : tensor<8x4x3xf32>
  %8 = graph.broadcast %s [0] : tensor<8xf32> -> tensor<8x4x3xf32>
  %9 = graph.binary <mul> %7, %8 : tensor<8x4x3xf32>
  %10 = graph.conv %4, %9 {strides = array<i64: 1>, low = affine_map<() -> (1)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x4x16xf32>, tensor<8x4x3xf32> -> tensor<1x8x16xf32>
  return %10 : tensor<1x8x16xf32>
}

// Moving, and finding the largest, is done to the integers; quantising with the same scale is nothing.
// CHECK-LABEL: func.func @moved
// CHECK-NEXT: %[[T:.*]] = graph.transpose %arg0 [1, 0] : tensor<5x6xsi8> -> tensor<6x5xsi8>
// CHECK-NEXT: return %[[T]]
func.func @moved(%x: tensor<5x6xsi8>) -> tensor<6x5xsi8> {
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %low = graph.constant dense<-128.0> : tensor<f32> : tensor<f32>
  %high = graph.constant dense<127.0> : tensor<f32> : tensor<f32>
  %0 = graph.cast %x : tensor<5x6xsi8> -> tensor<5x6xf32>
  %1 = graph.broadcast %half [] : tensor<f32> -> tensor<5x6xf32>
  %2 = graph.binary <mul> %0, %1 : tensor<5x6xf32>
  %3 = graph.transpose %2 [1, 0] : tensor<5x6xf32> -> tensor<6x5xf32>
  %4 = graph.broadcast %half [] : tensor<f32> -> tensor<6x5xf32>
  %5 = graph.binary <div> %3, %4 : tensor<6x5xf32>
  %6 = graph.unary <round> %5 : tensor<6x5xf32> -> tensor<6x5xf32>
  %7 = graph.broadcast %low [] : tensor<f32> -> tensor<6x5xf32>
  %8 = graph.binary <max> %6, %7 : tensor<6x5xf32>
  %9 = graph.broadcast %high [] : tensor<f32> -> tensor<6x5xf32>
  %10 = graph.binary <min> %8, %9 : tensor<6x5xf32>
  %11 = graph.cast %10 : tensor<6x5xf32> -> tensor<6x5xsi8>
  return %11 : tensor<6x5xsi8>
}

// Not with another scale,
// CHECK-LABEL: func.func @another_scale
// CHECK: graph.binary <div>
// CHECK: graph.unary <round>
func.func @another_scale(%x: tensor<6xsi8>) -> tensor<6xsi8> {
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %third = graph.constant dense<0.3> : tensor<f32> : tensor<f32>
  %low = graph.constant dense<-128.0> : tensor<f32> : tensor<f32>
  %high = graph.constant dense<127.0> : tensor<f32> : tensor<f32>
  %0 = graph.cast %x : tensor<6xsi8> -> tensor<6xf32>
  %1 = graph.broadcast %half [] : tensor<f32> -> tensor<6xf32>
  %2 = graph.binary <mul> %0, %1 : tensor<6xf32>
  %4 = graph.broadcast %third [] : tensor<f32> -> tensor<6xf32>
  %5 = graph.binary <div> %2, %4 : tensor<6xf32>
  %6 = graph.unary <round> %5 : tensor<6xf32> -> tensor<6xf32>
  %7 = graph.broadcast %low [] : tensor<f32> -> tensor<6xf32>
  %8 = graph.binary <max> %6, %7 : tensor<6xf32>
  %9 = graph.broadcast %high [] : tensor<f32> -> tensor<6xf32>
  %10 = graph.binary <min> %8, %9 : tensor<6xf32>
  %11 = graph.cast %10 : tensor<6xf32> -> tensor<6xsi8>
  return %11 : tensor<6xsi8>
}

// not where scales vary along what is summed, where sums might not fit, or where only one operand is narrow.
// CHECK-LABEL: func.func @floats
// CHECK-NOT: si32
// CHECK: return
func.func @floats(%a: tensor<2x32xui8>, %s: tensor<32xf32>, %c: tensor<2x40000xui8>) -> (tensor<2x64xf32>, tensor<2x1xf32>, tensor<2x64xf32>) {
  %b = graph.weight "weights.bin" at 0 for 2048 : tensor<32x64xsi8>
  %d = graph.weight "weights.bin" at 0 for 40000 : tensor<40000x1xsi8>
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = graph.cast %a : tensor<2x32xui8> -> tensor<2x32xf32>
  %1 = graph.broadcast %half [] : tensor<f32> -> tensor<2x32xf32>
  %2 = graph.binary <mul> %0, %1 : tensor<2x32xf32>
  %3 = graph.cast %b : tensor<32x64xsi8> -> tensor<32x64xf32>
  %4 = graph.broadcast %s [0] : tensor<32xf32> -> tensor<32x64xf32>
  %5 = graph.binary <mul> %3, %4 : tensor<32x64xf32>
  %6 = graph.contract %2, %5 batch [] [] contract [1] [0] : tensor<2x32xf32>, tensor<32x64xf32> -> tensor<2x64xf32>
  %7 = graph.cast %c : tensor<2x40000xui8> -> tensor<2x40000xf32>
  %8 = graph.broadcast %half [] : tensor<f32> -> tensor<2x40000xf32>
  %9 = graph.binary <mul> %7, %8 : tensor<2x40000xf32>
  %10 = graph.cast %d : tensor<40000x1xsi8> -> tensor<40000x1xf32>
  %11 = graph.broadcast %half [] : tensor<f32> -> tensor<40000x1xf32>
  %12 = graph.binary <mul> %10, %11 : tensor<40000x1xf32>
  %13 = graph.contract %9, %12 batch [] [] contract [1] [0] : tensor<2x40000xf32>, tensor<40000x1xf32> -> tensor<2x1xf32>
  %14 = graph.broadcast %half [] : tensor<f32> -> tensor<32x64xf32>
  %15 = graph.binary <mul> %3, %14 : tensor<32x64xf32>
  %16 = graph.contract %0, %15 batch [] [] contract [1] [0] : tensor<2x32xf32>, tensor<32x64xf32> -> tensor<2x64xf32>
  return %6, %13, %16 : tensor<2x64xf32>, tensor<2x1xf32>, tensor<2x64xf32>
}

// Nor where zeros, which are no zero points, are spread between elements; that is found without making ops, or
// this would not end.
// CHECK-LABEL: func.func @spread
// CHECK-NOT: si32
// CHECK: return
func.func @spread(%x: tensor<1x4x8xui8>) -> tensor<1x8x16xf32> {
  %w = graph.weight "weights.bin" at 0 for 32 : tensor<8x4x2xsi4>
  %three = graph.constant dense<3.0> : tensor<f32> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = graph.cast %x : tensor<1x4x8xui8> -> tensor<1x4x8xf32>
  %1 = graph.broadcast %three [] : tensor<f32> -> tensor<1x4x8xf32>
  %2 = graph.binary <sub> %0, %1 : tensor<1x4x8xf32>
  %3 = graph.broadcast %half [] : tensor<f32> -> tensor<1x4x8xf32>
  %4 = graph.binary <mul> %2, %3 : tensor<1x4x8xf32>
  %5 = graph.cast %w : tensor<8x4x2xsi4> -> tensor<8x4x2xf32>
  %6 = graph.broadcast %half [] : tensor<f32> -> tensor<8x4x2xf32>
  %7 = graph.binary <mul> %5, %6 : tensor<8x4x2xf32>
  %8 = graph.conv %4, %7 {strides = array<i64: 1>, low = affine_map<() -> (1)>, lhsDilation = array<i64: 2>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x4x8xf32>, tensor<8x4x2xf32> -> tensor<1x8x16xf32>
  return %8 : tensor<1x8x16xf32>
}

// Nothing is dequantised: nothing changes.
// CHECK-LABEL: func.func @plain
// CHECK-NEXT: graph.contract
// CHECK-NEXT: return
func.func @plain(%a: tensor<5x32xf32>, %b: tensor<32x64xf32>) -> tensor<5x64xf32> {
  %0 = graph.contract %a, %b batch [] [] contract [1] [0] : tensor<5x32xf32>, tensor<32x64xf32> -> tensor<5x64xf32>
  return %0 : tensor<5x64xf32>
}
