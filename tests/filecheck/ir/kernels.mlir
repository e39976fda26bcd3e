// The numbered constraints of KernelOps.td, each broken once.
// RUN: tilewright-opt %s --split-input-file --verify-diagnostics --allow-unregistered-dialect

// expected-error @+1 {{K1: must end in kernel.yield}}
"kernel.func"() <{sym_name = "k"}> ({
^bb0(%x: tensor<4xf32>):
  %0 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  func.return
}) : () -> ()
// -----
// expected-error @+1 {{K2: has 2 roots, at most one, or two contractions, may be}}
"kernel.func"() <{sym_name = "k"}> ({
^bb0(%x: tensor<4xf32>):
  %0 = graph.scan <sum> %x axis 0 {exclusive = false, reverse = false} : tensor<4xf32> -> tensor<4xf32>
  %1 = graph.scan <sum> %0 axis 0 {exclusive = false, reverse = false} : tensor<4xf32> -> tensor<4xf32>
  kernel.yield %1 : tensor<4xf32>
}) : () -> ()
// -----
// expected-error @+1 {{K3: is a kernel of the family 'loops', its schedule of 'product'}}
"kernel.func"() <{sym_name = "k", schedule = #kernel.schedule<product tiles, rows = 4>}> ({
^bb0(%x: tensor<4xf32>):
  %0 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  kernel.yield %0 : tensor<4xf32>
}) : () -> ()
// -----
// expected-error @+1 {{K4: constants must be ascending positions of its 1 arguments}}
"kernel.func"() <{sym_name = "k", constants = array<i64: 1>}> ({
^bb0(%x: tensor<4xf32>):
  %0 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  kernel.yield %0 : tensor<4xf32>
}) : () -> ()
// -----
// expected-error @+1 {{K5: layouts must be one layout or unit for each of its 1 arguments}}
"kernel.func"() <{sym_name = "k", layouts = [unit, unit]}> ({
^bb0(%x: tensor<4xf32>):
  %0 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  kernel.yield %0 : tensor<4xf32>
}) : () -> ()
// -----
// expected-error @+1 {{K6: argument 0 has a layout, and must be a constant that is read once}}
"kernel.func"() <{sym_name = "k", layouts = [#kernel.layout<pad [4]>]}> ({
^bb0(%x: tensor<4xf32>):
  %0 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  kernel.yield %0 : tensor<4xf32>
}) : () -> ()
// -----
// expected-error @+1 {{K6: the layout of argument 0 does not fit 'tensor<4xf32>'}}
"kernel.func"() <{sym_name = "k", constants = array<i64: 0>, layouts = [#kernel.layout<pad [4], reshape [3]>]}> ({
^bb0(%x: tensor<4xf32>):
  %0 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  kernel.yield %0 : tensor<4xf32>
}) : () -> ()
// -----
// expected-error @+1 {{schedule parameter 'rows' is given twice}}
"test"() {s = #kernel.schedule<product tiles, rows = 1, rows = 2>} : () -> ()
// -----
// expected-error @+1 {{L1: a transpose must name every dimension once}}
"test"() {s = #kernel.layout<transpose [0, 0]>} : () -> ()
// -----
// expected-error @+1 {{L1: there is no layout step 'rotate'}}
"test"() {s = #kernel.layout<rotate [0, 0]>} : () -> ()
// -----
// expected-error @+1 {{L1: the numbers of a pad must not be negative}}
"test"() {s = #kernel.layout<pad [-1]>} : () -> ()
// -----
func.func @main(%x: tensor<4xf32>) {
  // expected-error @+1 {{N1: there is no kernel @missing}}
  %0 = kernel.launch @missing(%x) affine_map<() -> ()> : (tensor<4xf32>) -> tensor<4xf32>
  return
}
// -----
"kernel.func"() <{sym_name = "k"}> ({
^bb0(%x: tensor<4xf32>):
  %0 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  kernel.yield %0 : tensor<4xf32>
}) : () -> ()
func.func @main(%x: tensor<5xf32>) {
  // expected-error @+1 {{N2: operand 0 is 'tensor<5xf32>', @k reads 'tensor<4xf32>'}}
  %0 = kernel.launch @k(%x) affine_map<() -> ()> : (tensor<5xf32>) -> tensor<4xf32>
  return
}
