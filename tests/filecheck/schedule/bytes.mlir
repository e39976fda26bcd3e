// Bytes are read where they lie only if the target's instruction takes their sign: u8 times s8 on x86, s8 times s8 on AArch64.
// What has another sign is copied, and changed on the way.
// RUN: tilewright-opt %s --fuse --schedule --target=cpu:cascadelake | FileCheck %s --check-prefix=X86
// RUN: tilewright-opt %s --fuse --schedule --target=aarch64-linux-gnu:cortex-a76 | FileCheck %s --check-prefix=ARM

// Kernels are printed last first.
// X86: group = 4, {{.*}}staged = 0
// X86: group = 4, {{.*}}staged = 1
// X86: func.func @signed
// ARM: group = 4, {{.*}}staged = 1
// ARM: group = 4, {{.*}}staged = 0
// ARM: func.func @signed
func.func @signed(%x: tensor<7x64xsi8>) -> tensor<7x48xsi32> {
  %w = graph.weight "weights" at 0 for 3072 : tensor<64x48xsi8>
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<7x64xsi8>, tensor<64x48xsi8> -> tensor<7x48xsi32>
  return %0 : tensor<7x48xsi32>
}
func.func @unsigned(%x: tensor<7x64xui8>) -> tensor<7x48xsi32> {
  %w = graph.weight "weights" at 0 for 3072 : tensor<64x48xsi8>
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<7x64xui8>, tensor<64x48xsi8> -> tensor<7x48xsi32>
  return %0 : tensor<7x48xsi32>
}
