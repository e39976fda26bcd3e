// Every kernel gets a schedule of its root family, its constants and a hash; scheduling again changes nothing.
// RUN: tilewright-opt %s --fuse --schedule | FileCheck %s
// RUN: tilewright-opt %s --fuse --schedule --schedule | FileCheck %s

// CHECK-DAG: constants = array<i64: 1>, hash = "{{[0-9a-f]+}}", schedule = #kernel.schedule<product tiles, columns = {{[0-9]+}}, {{.*}}packed = 1, {{.*}}rows = {{[0-9]+}},
// CHECK-DAG: hash = "{{[0-9a-f]+}}", schedule = #kernel.schedule<rows loops, accumulators = 4, kept_rows = 0, {{.*}}vectors = 1>
// CHECK-DAG: schedule = #kernel.schedule<loops loops, lanes_reduce = 0, row_block = 0, rows_together = 0, vectors = 1>
// CHECK-DAG: schedule = #kernel.schedule<loops transpose, row_block = 2048>
// CHECK-DAG: schedule = #kernel.schedule<serial sequence>
func.func @product(%x: tensor<64x96xf32>) -> tensor<64x100xf32> {
  %w = graph.weight "weights" at 0 for 38400 : tensor<96x100xf32>
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<64x96xf32>, tensor<96x100xf32> -> tensor<64x100xf32>
  return %0 : tensor<64x100xf32>
}
func.func @rows(%x: tensor<8x96xf32>) -> tensor<8xf32> {
  %0 = graph.reduce <sum> %x [1] : tensor<8x96xf32> -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
func.func @elements(%x: tensor<96xf32>) -> tensor<96xf32> {
  %0 = graph.unary <exp> %x : tensor<96xf32> -> tensor<96xf32>
  return %0 : tensor<96xf32>
}
func.func @transposed(%x: tensor<64x96xf32>) -> tensor<96x64xf32> {
  %0 = graph.transpose %x [1, 0] : tensor<64x96xf32> -> tensor<96x64xf32>
  return %0 : tensor<96x64xf32>
}
func.func @serial(%x: tensor<96xf32>) -> tensor<96xf32> {
  %0 = graph.scan <sum> %x axis 0 {exclusive = false, reverse = false} : tensor<96xf32> -> tensor<96xf32>
  return %0 : tensor<96xf32>
}
