// Two contractions share a kernel when what lies between them takes rows to rows, as in attention: scores are never stored.
// RUN: tilewright-opt %s --fuse | FileCheck %s

// CHECK: func.func @attention
// CHECK-COUNT-1: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @attention(%q: tensor<2x40x16xf32>, %k: tensor<2x50x16xf32>, %v: tensor<2x50x24xf32>, %mask: tensor<2x1x50xf32>) -> tensor<2x40x24xf32> {
  %0 = graph.contract %q, %k batch [0] [0] contract [2] [2] : tensor<2x40x16xf32>, tensor<2x50x16xf32> -> tensor<2x40x50xf32>
  %1 = graph.broadcast %mask [0, 1, 2] : tensor<2x1x50xf32> -> tensor<2x40x50xf32>
  %2 = graph.binary <add> %0, %1 : tensor<2x40x50xf32>
  %3 = graph.reduce <rmax> %2 [2] : tensor<2x40x50xf32> -> tensor<2x40xf32>
  %4 = graph.broadcast %3 [0, 1] : tensor<2x40xf32> -> tensor<2x40x50xf32>
  %5 = graph.binary <sub> %2, %4 : tensor<2x40x50xf32>
  %6 = graph.unary <exp> %5 : tensor<2x40x50xf32> -> tensor<2x40x50xf32>
  %7 = graph.reduce <sum> %6 [2] : tensor<2x40x50xf32> -> tensor<2x40xf32>
  %8 = graph.broadcast %7 [0, 1] : tensor<2x40xf32> -> tensor<2x40x50xf32>
  %9 = graph.binary <div> %6, %8 : tensor<2x40x50xf32>
  %10 = graph.contract %9, %v batch [0] [0] contract [2] [1] : tensor<2x40x50xf32>, tensor<2x50x24xf32> -> tensor<2x40x24xf32>
  return %10 : tensor<2x40x24xf32>
}

// One row a head, as when text is generated: packing would cost more than it saves.
// CHECK: func.func @one_row
// CHECK-COUNT-3: kernel.launch
// CHECK: return
func.func @one_row(%q: tensor<2x1x16xf32>, %k: tensor<2x50x16xf32>, %v: tensor<2x50x24xf32>) -> tensor<2x1x24xf32> {
  %0 = graph.contract %q, %k batch [0] [0] contract [2] [2] : tensor<2x1x16xf32>, tensor<2x50x16xf32> -> tensor<2x1x50xf32>
  %1 = graph.unary <exp> %0 : tensor<2x1x50xf32> -> tensor<2x1x50xf32>
  %2 = graph.reduce <sum> %1 [2] : tensor<2x1x50xf32> -> tensor<2x1xf32>
  %3 = graph.broadcast %2 [0, 1] : tensor<2x1xf32> -> tensor<2x1x50xf32>
  %4 = graph.binary <div> %1, %3 : tensor<2x1x50xf32>
  %5 = graph.contract %4, %v batch [0] [0] contract [2] [1] : tensor<2x1x50xf32>, tensor<2x50x24xf32> -> tensor<2x1x24xf32>
  return %5 : tensor<2x1x24xf32>
}

// The weights of the mixture are an output as well: they are stored.
// CHECK: func.func @weights_wanted
// CHECK: kernel.launch
// CHECK: kernel.launch
// CHECK: return
func.func @weights_wanted(%q: tensor<2x40x16xf32>, %k: tensor<2x50x16xf32>, %v: tensor<2x50x24xf32>) -> (tensor<2x40x50xf32>, tensor<2x40x24xf32>) {
  %0 = graph.contract %q, %k batch [0] [0] contract [2] [2] : tensor<2x40x16xf32>, tensor<2x50x16xf32> -> tensor<2x40x50xf32>
  %1 = graph.unary <exp> %0 : tensor<2x40x50xf32> -> tensor<2x40x50xf32>
  %2 = graph.reduce <sum> %1 [2] : tensor<2x40x50xf32> -> tensor<2x40xf32>
  %3 = graph.broadcast %2 [0, 1] : tensor<2x40xf32> -> tensor<2x40x50xf32>
  %4 = graph.binary <div> %1, %3 : tensor<2x40x50xf32>
  %5 = graph.contract %4, %v batch [0] [0] contract [2] [1] : tensor<2x40x50xf32>, tensor<2x50x24xf32> -> tensor<2x40x24xf32>
  return %4, %5 : tensor<2x40x50xf32>, tensor<2x40x24xf32>
}

// Nothing reduces rows between them: two products.
// CHECK: func.func @products
// CHECK-COUNT-2: kernel.launch
// CHECK: return
func.func @products(%q: tensor<2x40x16xf32>, %k: tensor<2x50x16xf32>, %v: tensor<2x50x24xf32>) -> tensor<2x40x24xf32> {
  %0 = graph.contract %q, %k batch [0] [0] contract [2] [2] : tensor<2x40x16xf32>, tensor<2x50x16xf32> -> tensor<2x40x50xf32>
  %1 = graph.contract %0, %v batch [0] [0] contract [2] [1] : tensor<2x40x50xf32>, tensor<2x50x24xf32> -> tensor<2x40x24xf32>
  return %1 : tensor<2x40x24xf32>
}
