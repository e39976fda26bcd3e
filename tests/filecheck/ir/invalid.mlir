// The numbered constraints of GraphOps.td: each violation is one error.
// RUN: tilewright-opt %s --split-input-file --verify-diagnostics

func.func @constant() {
  // expected-error @+1 {{C1: shape of the value is not the result's}}
  %0 = graph.constant dense<1.0> : tensor<2xf32> : tensor<3xf32>
  return
}
// -----
func.func @weight() {
  // expected-error @+1 {{C2: length 7 is not the size of 'tensor<2xf32>'}}
  %0 = graph.weight "weights" at 0 for 7 : tensor<2xf32>
  return
}
// -----
func.func @dims() {
  // expected-error @+1 {{C1: result must be a scalar or vector of si64 or si32 with one element an expression}}
  %0 = graph.dims affine_map<()[s0] -> (s0)> : tensor<2xsi64>
  return
}
// -----
func.func @iota() {
  // expected-error @+1 {{axis 2 is outside a rank of 2}}
  %0 = graph.iota 2 : tensor<2x3xsi64>
  return
}
// -----
func.func @define(%x: tensor<2xsi64>) {
  // expected-error @+1 {{C1: needs one element for each symbol}}
  graph.define %x [0] : tensor<2xsi64>
  return
}
// -----
func.func @unary(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: types differ: 'tensor<2xf32>' and 'tensor<3xf32>'}}
  %0 = graph.unary <exp> %x : tensor<2xf32> -> tensor<3xf32>
  return
}
// -----
func.func @compare(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: result must be i1}}
  %0 = graph.compare <lt> %x, %x : tensor<2xf32> -> tensor<2xf32>
  return
}
// -----
func.func @select(%c: tensor<2xui8>, %x: tensor<2xf32>) {
  // expected-error @+1 {{C1: condition must be i1}}
  %0 = graph.select %c, %x, %x : tensor<2xui8>, tensor<2xf32>
  return
}
// -----
func.func @cast(%x: tensor<2xf32>) {
  // expected-error @+1 {{operands and result need one shape}}
  %0 = graph.cast %x : tensor<2xf32> -> tensor<3xsi32>
  return
}
// -----
func.func @bitcast(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: element types differ in width}}
  %0 = graph.bitcast %x : tensor<2xf32> -> tensor<2xsi64>
  return
}
// -----
func.func @broadcast_order(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{dimensions must be strictly increasing and below 3}}
  %0 = graph.broadcast %x [1, 0] : tensor<2x3xf32> -> tensor<3x2x4xf32>
  return
}
// -----
func.func @broadcast_size(%x: tensor<2xf32>) {
  // expected-error @+1 {{C2: cannot repeat}}
  %0 = graph.broadcast %x [0] : tensor<2xf32> -> tensor<4xf32>
  return
}
// -----
func.func @reshape(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: 6 elements cannot be reshaped into 5}}
  %0 = graph.reshape %x : tensor<2x3xf32> -> tensor<5xf32>
  return
}
// -----
func.func @transpose(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{perm is not a permutation}}
  %0 = graph.transpose %x [0, 0] : tensor<2x3xf32> -> tensor<2x2xf32>
  return
}
// -----
func.func @transpose_shape(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{result shape does not follow the permutation}}
  %0 = graph.transpose %x [1, 0] : tensor<2x3xf32> -> tensor<2x3xf32>
  return
}
// -----
func.func @slice_step(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: a step is 0}}
  %0 = graph.slice %x affine_map<() -> (0)> [0] : tensor<4xf32> -> tensor<2xf32>
  return
}
// -----
func.func @slice_range(%x: tensor<4xf32>) {
  // expected-error @+1 {{C2: dimension 0 is read outside its 4 elements}}
  %0 = graph.slice %x affine_map<() -> (2)> [1] : tensor<4xf32> -> tensor<3xf32>
  return
}
// -----
func.func @concat(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @+1 {{operands differ in rank or element type}}
  %0 = graph.concat %x, %y axis 0 : tensor<4xf32>, tensor<4xf64> -> tensor<8xf32>
  return
}
// -----
func.func @pad(%x: tensor<4xf32>, %v: tensor<f64>) {
  // expected-error @+1 {{the fill value must be a scalar of the operand's element type}}
  %0 = graph.pad <constant> %x, %v affine_map<() -> (1)> : tensor<4xf32>, tensor<f64> -> tensor<6xf32>
  return
}
// -----
func.func @gather(%x: tensor<4xf32>, %i: tensor<2xui8>) {
  // expected-error @+1 {{indices must be si32 or si64}}
  %0 = graph.gather %x, %i axis 0 : tensor<4xf32>, tensor<2xui8> -> tensor<2xf32>
  return
}
// -----
func.func @gather_axis(%x: tensor<4xf32>, %i: tensor<2xsi64>) {
  // expected-error @+1 {{axis 1 is outside a rank of 1}}
  %0 = graph.gather %x, %i axis 1 : tensor<4xf32>, tensor<2xsi64> -> tensor<2xf32>
  return
}
// -----
func.func @gather_elements(%x: tensor<4xf32>, %i: tensor<2xsi64>) {
  // expected-error @+1 {{operands and result need one shape}}
  %0 = graph.gather_elements %x, %i axis 0 : tensor<4xf32>, tensor<2xsi64> -> tensor<3xf32>
  return
}
// -----
func.func @gather_nd(%x: tensor<4xf32>, %i: tensor<si64>) {
  // expected-error @+1 {{of rank 1 at least}}
  %0 = graph.gather_nd %x, %i batch 0 : tensor<4xf32>, tensor<si64> -> tensor<f32>
  return
}
// -----
func.func @compact(%m: tensor<4xui8>) {
  // expected-error @+1 {{C1: mask must be i1 and the result [count, rank] of si64}}
  %0 = graph.compact %m : tensor<4xui8> -> tensor<2x1xsi64>
  return
}
// -----
func.func @reduce(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{element type changes}}
  %0 = graph.reduce <sum> %x [1] : tensor<2x3xf32> -> tensor<2xf64>
  return
}
// -----
func.func @arg_reduce(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{result must be si64}}
  %0 = graph.arg_reduce %x axis 1 {isMax = true, lastIndex = false} : tensor<2x3xf32> -> tensor<2xsi32>
  return
}
// -----
func.func @scan(%x: tensor<4xf32>) {
  // expected-error @+1 {{only sums and products run}}
  %0 = graph.scan <rmax> %x axis 0 {exclusive = false, reverse = false} : tensor<4xf32> -> tensor<4xf32>
  return
}
// -----
func.func @window(%x: tensor<1x2x8xf32>) {
  // expected-error @+1 {{C1: strides has 2 entries instead of 1}}
  %0 = graph.window <wmax> %x {kernel = array<i64: 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1>, low = affine_map<() -> (0)>} : tensor<1x2x8xf32> -> tensor<1x2x4xf32>
  return
}
// -----
func.func @contract(%x: tensor<2x3xf32>, %y: tensor<4x5xf32>) {
  // expected-error @+1 {{C1: paired dimensions differ: 'tensor<2x3xf32>' and 'tensor<4x5xf32>'}}
  %0 = graph.contract %x, %y batch [] [] contract [1] [0] : tensor<2x3xf32>, tensor<4x5xf32> -> tensor<2x5xf32>
  return
}
// -----
func.func @conv(%x: tensor<1x3x8xf32>, %w: tensor<4x2x1xf32>) {
  // expected-error @+1 {{C1: channels do not fit the groups}}
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x3x8xf32>, tensor<4x2x1xf32> -> tensor<1x4x8xf32>
  return
}

// -----

func.func @kept(%x: tensor<4xf32>) {
  // expected-error @+1 {{the number of elements to keep: 5 where at most 4 fits}}
  %values, %indices = graph.sort %x axis 0 {descending = false} : tensor<4xf32> -> tensor<5xf32>, tensor<5xsi64>
  return
}
