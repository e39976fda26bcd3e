//===- Descriptor.cpp - tw_descriptor as constant data --------------------===//
//
// The structures of runtime/include/tilewright/artifact.h, written as LLVM constants. Their layout follows
// from the field types, as in C, because every padding field is spelt out there; the assertions below hold
// both sides together.
//===----------------------------------------------------------------------===//
#include "codegen/artifact/Artifact.h"
#include "codegen/lower/MiddleEnd.h"
#include "codegen/machine/Backend.h"

#include "tilewright/artifact.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <cstddef>

using llvm::Constant;
using llvm::StringRef;

namespace tilewright::codegen {
namespace {

static_assert(sizeof(tw_io_dim) == 24 && sizeof(tw_io_info) == 32 && sizeof(tw_symbol_info) == 32);
static_assert(sizeof(tw_buffer_info) == 28 && sizeof(tw_site_info) == 32 && sizeof(tw_launch_info) == 8);
static_assert(offsetof(tw_descriptor, input_count) == 32 && offsetof(tw_descriptor, inputs) == 56 &&
              offsetof(tw_descriptor, program) == 112 && offsetof(tw_descriptor, weights_id) == 152 &&
              sizeof(tw_descriptor) == 168);

/// Builds the constants in `module`. Strings and tables are internal; equal strings are stored once.
class DescriptorBuilder {
public:
  explicit DescriptorBuilder(llvm::Module &module) : module(module), context(module.getContext()) {}
  void build(const ArtifactDescription &description);

private:
  Constant *number32(uint64_t value) {
    return llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), value);
  }
  Constant *number64(uint64_t value) {
    return llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), value);
  }
  Constant *null() { return llvm::ConstantPointerNull::get(llvm::PointerType::getUnqual(context)); }
  Constant *record(llvm::ArrayRef<Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context, fields);
  }
  Constant *string(StringRef text);
  Constant *textOrNull(StringRef text) { return text.empty() ? null() : string(text); }
  /// The address of an internal array of equally typed records; null when there are none.
  Constant *table(llvm::ArrayRef<Constant *> records, StringRef name);
  Constant *function(StringRef name);
  Constant *tensor(const TensorDescription &tensor);

  template <typename Range, typename Make> Constant *tableOf(const Range &range, StringRef name, Make make) {
    llvm::SmallVector<Constant *> records;
    for (const auto &element : range)
      records.push_back(make(element));
    return table(records, name);
  }

  Constant *symbolTable(const ArtifactDescription &description);
  Constant *bufferTable(const ArtifactDescription &description);
  Constant *siteTable(const ArtifactDescription &description);

  llvm::Module &module;
  llvm::LLVMContext &context;
  llvm::StringMap<Constant *> strings;
};

Constant *DescriptorBuilder::string(StringRef text) {
  Constant *&slot = strings[text];
  if (!slot) {
    Constant *bytes = llvm::ConstantDataArray::getString(context, text, /*AddNull=*/true);
    auto *global = new llvm::GlobalVariable(module, bytes->getType(), /*isConstant=*/true,
                                            llvm::GlobalValue::PrivateLinkage, bytes, "text");
    global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    global->setAlignment(llvm::Align(1));
    slot = global;
  }
  return slot;
}

Constant *DescriptorBuilder::table(llvm::ArrayRef<Constant *> records, StringRef name) {
  if (records.empty())
    return null();
  auto *type = llvm::ArrayType::get(records.front()->getType(), records.size());
  return new llvm::GlobalVariable(module, type, /*isConstant=*/true, llvm::GlobalValue::InternalLinkage,
                                  llvm::ConstantArray::get(type, records), name);
}

Constant *DescriptorBuilder::function(StringRef name) {
  auto *type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), /*isVarArg=*/false);
  auto *function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
  function->setVisibility(llvm::GlobalValue::HiddenVisibility);
  function->setDSOLocal(true);
  return function;
}

Constant *DescriptorBuilder::tensor(const TensorDescription &tensor) {
  Constant *dims = tableOf(tensor.dims, "dims", [&](const DimensionDescription &dim) {
    return record({number64(dim.value), number32(dim.symbol), number32(0), textOrNull(dim.text)});
  });
  return record({string(tensor.name), number32(static_cast<uint32_t>(tensor.dtype)),
                 number32(tensor.dims.size()), dims, number32(tensor.buffer), number32(tensor.squeezedDims)});
}

Constant *DescriptorBuilder::symbolTable(const ArtifactDescription &description) {
  return tableOf(description.symbols, "symbols", [&](const SymbolDescription &symbol) {
    return record({string(symbol.name), number64(symbol.min), number64(symbol.max),
                   number32(symbol.definedByProgram), number32(0)});
  });
}

Constant *DescriptorBuilder::bufferTable(const ArtifactDescription &description) {
  return tableOf(description.buffers, "buffers", [&](const BufferDescription &buffer) {
    return record({number32(buffer.kind), number32(buffer.io), number32(buffer.birth), number32(buffer.death),
                   number32(buffer.alias), number32(buffer.align), number32(buffer.site)});
  });
}

Constant *DescriptorBuilder::siteTable(const ArtifactDescription &description) {
  return tableOf(description.sites, "sites", [&](const SiteDescription &site) {
    return record({string(site.node), string(site.op), string(site.tensor), string(site.sizes)});
  });
}

void DescriptorBuilder::build(const ArtifactDescription &description) {
  auto tensors = [&](const std::vector<TensorDescription> &list, StringRef name) {
    return tableOf(list, name, [&](const TensorDescription &each) { return tensor(each); });
  };
  auto launch = [&](const std::string &kernel) { return record({string(kernel)}); };
  Constant *noId = llvm::ConstantAggregateZero::get(llvm::ArrayType::get(llvm::Type::getInt8Ty(context), 16));
  Constant *descriptor = record({number32(TW_DESCRIPTOR_MAGIC),
                                 number32(sizeof(tw_descriptor)),
                                 number32(TW_ABI_VERSION),
                                 number32(description.flags),
                                 number64(description.cpuFeatures),
                                 number64(description.weightBytes),
                                 number32(description.inputs.size()),
                                 number32(description.outputs.size()),
                                 number32(description.symbols.size()),
                                 number32(description.buffers.size()),
                                 number32(description.sites.size()),
                                 number32(description.launches.size()),
                                 tensors(description.inputs, "inputs"),
                                 tensors(description.outputs, "outputs"),
                                 symbolTable(description),
                                 bufferTable(description),
                                 siteTable(description),
                                 tableOf(description.launches, "launches", launch),
                                 string(description.report),
                                 function("tilewright_program"),
                                 function("tilewright_derive"),
                                 function("tilewright_sizes"),
                                 function("tilewright_output_dims"),
                                 textOrNull(description.weightsFile),
                                 noId});
  auto *global =
      new llvm::GlobalVariable(module, descriptor->getType(), /*isConstant=*/true,
                               llvm::GlobalValue::ExternalLinkage, descriptor, TW_DESCRIPTOR_SYMBOL);
  global->setAlignment(llvm::Align(8));
}

} // namespace

llvm::Expected<std::string> emitDescriptor(const ArtifactDescription &description, const TargetInfo &target) {
  llvm::LLVMContext context;
  llvm::Module module("descriptor", context);
  auto machine = createTargetMachine(target);
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  DescriptorBuilder(module).build(description);
  return emitMachineCode(module, *machine);
}

} // namespace tilewright::codegen
