/// Models.h - small models to do damage to, and what does the damage.
#pragma once
#include "tests/support/OnnxWriter.h"

#include <random>

namespace tilewright::hostile {

/// Whatever a model is built from passes through one of these. It leaves most values as they are and
/// exchanges few: numbers for troublesome ones, names and operators for others of the same model, element
/// types for any. Rate 0 changes nothing. The same seed gives the same model.
class Damage {
public:
  Damage(uint32_t seed, double rate) : random(seed), rate(rate) {}
  int64_t number(int64_t value);
  std::string name(const std::string &value);
  std::string op(const std::string &value);
  onnx::ElementType type(onnx::ElementType value);
  std::vector<int64_t> numbers(std::vector<int64_t> values);

private:
  bool strikes() { return std::bernoulli_distribution(rate)(random); }
  std::mt19937 random;
  double rate;
  std::vector<std::string> names, ops; ///< those seen so far
};

/// The models' names: each stands for one family of importers and kernels.
const std::vector<std::string> &modelNames();
/// The serialised model of this name, built through `damage`.
std::string buildModel(const std::string &name, Damage &damage);

/// One to eight random edits of bytes: flip, set, insert, remove, copy, cut.
std::string editBytes(std::string bytes, std::mt19937 &random);

} // namespace tilewright::hostile
