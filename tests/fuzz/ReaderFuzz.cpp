//===- ReaderFuzz.cpp - libFuzzer entry for the ONNX reader ---------------===//
//
//   cmake -DTILEWRIGHT_FUZZ=ON ... && ninja reader_fuzz && bin/reader_fuzz -max_len=65536 CORPUS
//
// Any .onnx files make a corpus. Everything a model gives is used, as an importer would.
//===----------------------------------------------------------------------===//

#include "tests/frontend/reader/UseEverything.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace tilewright::onnx;
  ReadLimits limits;
  limits.maxStructureBytes = 64 << 20;
  limits.maxCalledNodes = 1 << 16;
  if (auto model = readModel(std::as_bytes(std::span(data, size)), limits))
    Everything().use(**model);
  return 0;
}
