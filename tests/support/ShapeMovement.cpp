// Cases of operators that move, choose, count and repeat.
#include "tests/support/ShapeCases.h"

using namespace tilewright::onnxwriter;

namespace tilewright::tests {
namespace {

constexpr ElementType F32 = ElementType::Float32, I64 = ElementType::Int64, I32 = ElementType::Int32,
                      Bool = ElementType::Bool;

void gather(ShapeCase &c) {
  const int64_t axis = c.between(0, 1);
  c.floats("x", {"N", "M"});
  c.indices("i", {"P", "Q"}, 0, c.size(axis ? "M" : "N") - 1);
  c.node("Gather", {"x", "i"}, {attributeInt("axis", axis)});
}
void gatherElements(ShapeCase &c) {
  const int64_t axis = c.between(0, 1);
  c.floats("x", {"N", "M"});
  c.indices("i", axis ? Shape{"N", "P"} : Shape{"P", "M"}, 0, c.size(axis ? "M" : "N") - 1);
  c.node("GatherElements", {"x", "i"}, {attributeInt("axis", axis)});
}
void gatherND(ShapeCase &c) {
  c.setSize("N", 4);
  c.setSize("M", 4);
  c.floats("x", {"B", "N", "M"});
  c.indices("i", {"B", "P", c.between(1, 2)}, 0, 3);
  c.node("GatherND", {"x", "i"}, {attributeInt("batch_dims", 1)});
}
void scatterElements(ShapeCase &c) {
  const int64_t axis = c.between(0, 1);
  const char *kinds[] = {"none", "add", "mul", "max", "min"};
  c.floats("x", {"N", "M"});
  c.setSize("P", 1);
  c.indices("i", axis ? Shape{"N", "P"} : Shape{"P", "M"}, 0, c.size(axis ? "M" : "N") - 1);
  c.floats("u", axis ? Shape{"N", "P"} : Shape{"P", "M"});
  c.node("ScatterElements", {"x", "i", "u"},
         {attributeInt("axis", axis), attributeString("reduction", kinds[c.between(0, 4)])});
}
void scatterND(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.indices("i", {"P", 1}, 0, c.size("N") - 1);
  c.floats("u", {"P", "M"});
  c.node("ScatterND", {"x", "i", "u"}, {attributeString("reduction", c.chance(50) ? "add" : "none")});
}
void tensorScatter(ShapeCase &c) {
  c.opset = 24;
  c.setSize("S", 3);
  c.floats("x", {"B", 10, "D"});
  c.floats("u", {"B", "S", "D"});
  c.indices("w", {"B"}, 0, 7);
  c.node("TensorScatter", {"x", "u", "w"},
         {attributeInt("axis", 1), attributeString("mode", c.chance(50) ? "linear" : "circular")});
}
void compress(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.input("c", Bool, {"N"}, 0, 1);
  c.node("Compress", {"x", "c"}, {attributeInt("axis", 0)});
}
void nonZero(ShapeCase &c) {
  c.input("x", I32, {"N", "M"}, 0, 1);
  c.node("NonZero", {"x"});
}
void oneHot(ShapeCase &c) {
  c.indices("i", {"N"}, 0, 5);
  c.numbers("d", {}, {6});
  c.floats("v", {2});
  c.node("OneHot", {"i", "d", "v"});
}

void slice(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.numbers("s", {2}, {c.pick({0, 1, -2}), 0});
  c.numbers("e", {2}, {c.pick({3, -1, INT64_MAX}), 5});
  c.numbers("a", {2}, {0, 1});
  c.numbers("t", {2}, {1, c.pick({1, 2})});
  c.node("Slice", {"x", "s", "e", "a", "t"});
}
void sliceBackward(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.numbers("s", {1}, {-1});
  c.numbers("e", {1}, {INT64_MIN});
  c.graph.initializer(tensor<int64_t>("a", {1}, {c.between(0, 1)}));
  c.graph.initializer(tensor<int64_t>("t", {1}, {-c.between(1, 2)}));
  c.node("Slice", {"x", "s", "e", "a", "t"});
}
void split(ShapeCase &c) {
  c.setSize("N", 9);
  c.floats("x", {"N", "M"});
  c.numbers("s", {3}, {2, 3, 4});
  c.node("Split", {"x", "s"}, {attributeInt("axis", 0)}, {"y", "z", "v"});
}
void splitEqually(ShapeCase &c) {
  c.setSize("N", 9);
  c.floats("x", {"N", "M"});
  c.node("Split", {"x"}, {attributeInt("num_outputs", 3)}, {"y", "z", "v"});
}
void splitToSequence(ShapeCase &c) {
  c.setSize("N", 9);
  c.floats("x", {"N", "M"});
  c.numbers("s", {3}, {2, 3, 4});
  c.graph.initializer(tensor<int64_t>("p", {}, {1}));
  c.graph.node("SplitToSequence", {"x", "s"}, {"q"});
  c.node("SequenceAt", {"q", "p"});
}
void concat(ShapeCase &c) {
  c.floats("a", {"N", "M"});
  c.floats("b", {"P", "M"});
  c.node("Concat", {"a", "b"}, {attributeInt("axis", 0)});
}
void stack(ShapeCase &c) {
  c.floats("a", {"N", "M"});
  c.floats("b", {"N", "M"});
  c.graph.node("SequenceConstruct", {"a", "b"}, {"s"});
  c.node("ConcatFromSequence", {"s"}, {attributeInt("axis", c.between(0, 1)), attributeInt("new_axis", 1)});
}
void pad(ShapeCase &c) {
  const char *modes[] = {"constant", "reflect", "edge", "wrap"};
  c.setSize("N", 4);
  c.setSize("M", 7);
  c.floats("x", {"N", "M"});
  c.numbers("p", {4}, {c.between(-1, 2), 1, c.between(0, 3), 2});
  c.node("Pad", {"x", "p"}, {attributeString("mode", modes[c.between(0, 3)])});
}
void padSomeAxes(ShapeCase &c) {
  c.setSize("M", 7);
  c.floats("x", {"N", "M"});
  c.numbers("p", {2}, {1, 2});
  c.floats("v", {});
  c.numbers("a", {1}, {c.pick({1, -1})});
  c.node("Pad", {"x", "p", "v", "a"});
}
void reshape(ShapeCase &c) {
  c.setSize("N", 6);
  c.floats("x", {"N", "M"});
  c.numbers("s", {3}, {2, 3, c.chance(50) ? -1 : c.size("M")});
  c.node("Reshape", {"x", "s"});
}
void reshapeBy(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.floats("o", {"M", "N"});
  c.graph.node("Shape", {"o"}, {"s"});
  c.node("Reshape", {"x", "s"});
}
void expand(ShapeCase &c) {
  c.floats("x", {"N", 1});
  c.numbers("s", {2}, {c.size("N"), 3});
  c.node("Expand", {"x", "s"});
}
void tile(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.numbers("r", {2}, {2, 3});
  c.node("Tile", {"x", "r"});
}
void constantOfShape(ShapeCase &c) {
  c.numbers("s", {2}, {2, 3});
  c.node("ConstantOfShape", {"s"});
}
void range(ShapeCase &c) {
  c.numbers("a", {}, {0});
  c.numbers("b", {}, {10});
  c.numbers("d", {}, {3});
  c.node("Range", {"a", "b", "d"});
}
void squeeze(ShapeCase &c) {
  c.setSize("N", 1);
  c.floats("x", {"N", "M"});
  c.graph.initializer(tensor<int64_t>("a", {1}, {0}));
  c.node("Squeeze", {"x", "a"});
}
void depthToSpace(ShapeCase &c) {
  c.setSize("C", 8);
  c.floats("x", {"N", "C", "H", "W"});
  c.node("DepthToSpace", {"x"}, {attributeInt("blocksize", 2)});
}
void spaceToDepth(ShapeCase &c) {
  c.setSize("H", 4);
  c.floats("x", {"N", "C", "H", "H"});
  c.node("SpaceToDepth", {"x"}, {attributeInt("blocksize", 2)});
}
void trilu(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.numbers("k", {}, {1});
  c.node("Trilu", {"x", "k"}, {attributeInt("upper", c.between(0, 1))});
}
void reverseSequence(ShapeCase &c) {
  c.floats("x", {"T", "B", "D"});
  c.indices("l", {"B"}, 1, c.size("T"));
  c.node("ReverseSequence", {"x", "l"}, {attributeInt("time_axis", 0), attributeInt("batch_axis", 1)});
}
void centerCropPad(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.numbers("s", {2}, {3, 4});
  c.node("CenterCropPad", {"x", "s"});
}
void col2im(ShapeCase &c) {
  c.floats("x", {"N", 9, 4});
  c.numbers("i", {2}, {4, 4});
  c.graph.initializer(tensor<int64_t>("b", {2}, {3, 3}));
  c.node("Col2Im", {"x", "i", "b"});
}

void topK(ShapeCase &c) {
  c.setSize("M", 9);
  c.floats("x", {"N", "M"});
  c.numbers("k", {1}, {3});
  c.node("TopK", {"x", "k"}, {}, {"y", "i"});
}
void argMax(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.node(c.chance(50) ? "ArgMax" : "ArgMin", {"x"}, {attributeInt("axis", c.between(0, 1))});
}
void reduceAxes(ShapeCase &c) {
  c.opset = 18;
  c.floats("x", {"N", "M"});
  c.numbers("a", {1}, {c.between(-2, 1)});
  c.node(c.chance(50) ? "ReduceSum" : "ReduceMax", {"x", "a"}, {attributeInt("keepdims", 1)});
}
void cumSum(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.numbers("a", {}, {c.between(-2, 1)});
  c.node("CumSum", {"x", "a"}, {attributeInt("reverse", c.between(0, 1))});
}
void scan(ShapeCase &c) {
  GraphWriter body("body");
  c.floats("s", {"D"});
  c.floats("a", {"T", "D"});
  c.floats("b", {"T", "D"});
  body.input("state", F32, {"d"}).input("p", F32, {"d"}).input("q", F32, {"d"});
  body.node("Mul", {"p", "q"}, {"m"})
      .node("Add", {"state", "m"}, {"next"})
      .node("Identity", {"next"}, {"out"});
  body.output("next", F32, {"d"}).output("out", F32, {"d"});
  c.node("Scan", {"s", "a", "b"}, {attributeGraph("body", body), attributeInt("num_scan_inputs", 2)},
         {"y", "z"});
}
void loop(ShapeCase &c) {
  GraphWriter body("body");
  c.numbers("n", {}, {4});
  c.floats("s", {"D"});
  c.floats("a", {5, "D"});
  body.input("i", I64, {}).input("more", Bool, {}).input("state", F32, {"d"});
  body.node("Gather", {"a", "i"}, {"row"}).node("Add", {"state", "row"}, {"next"});
  body.node("Identity", {"more"}, {"again"}).node("Identity", {"row"}, {"out"});
  body.output("again", Bool, {}).output("next", F32, {"d"}).output("out", F32, {"d"});
  c.node("Loop", {"n", "", "s"}, {attributeGraph("body", body)}, {"y", "z"});
}
void appending(ShapeCase &c) {
  GraphWriter body("body");
  c.numbers("n", {}, {4});
  c.floats("s", {"D"});
  c.floats("a", {5, "D"});
  body.input("i", I64, {}).input("more", Bool, {}).input("state", F32, {"d"}).input("list", F32, {});
  body.node("Gather", {"a", "i"}, {"row"}).node("Add", {"state", "row"}, {"next"});
  body.node("Identity", {"more"}, {"again"}).node("SequenceInsert", {"list", "row"}, {"longer"});
  body.output("again", Bool, {}).output("next", F32, {"d"}).output("longer", F32, {});
  c.graph.node("SequenceConstruct", {"s"}, {"first"});
  c.graph.node("Loop", {"n", "", "s", "first"}, {"last", "all"}, {attributeGraph("body", body)});
  c.node("ConcatFromSequence", {"all"}, {attributeInt("axis", 0)});
}
void branch(ShapeCase &c) {
  GraphWriter yes("yes"), no("no");
  c.setSize("C", 1);
  c.input("c", Bool, {"C"}, 0, 1);
  c.floats("a", {"N", "M"});
  c.floats("b", {"N", "M"});
  yes.node("Add", {"a", "b"}, {"p"}).output("p", F32, {"n", "m"});
  no.node("Sub", {"a", "b"}, {"q"}).output("q", F32, {"n", "m"});
  c.node("If", {"c"}, {attributeGraph("then_branch", yes), attributeGraph("else_branch", no)});
}

void unique(ShapeCase &c) {
  c.input("x", I64, {"N"}, 0, 5);
  c.node("Unique", {"x"});
}
/// Sizes that follow from values go on through fused ops.
void chain(ShapeCase &c) {
  c.setSize("N", 12);
  c.floats("x", {"N", "M"});
  c.floats("b", {"M"});
  c.numbers("e", {1}, {7});
  c.graph.initializer(tensor<int64_t>("zero", {1}, {0}));
  c.graph.node("Slice", {"x", "zero", "e"}, {"h"})
      .node("Add", {"h", "b"}, {"s"})
      .node("Softmax", {"s"}, {"t"});
  c.graph.node("Transpose", {"t"}, {"u"});
  c.node("Concat", {"u", "u"}, {attributeInt("axis", 1)});
}

constexpr ShapeTemplate templates[] = {
    {"Gather", gather},
    {"GatherElements", gatherElements},
    {"GatherND", gatherND},
    {"ScatterElements", scatterElements},
    {"ScatterND", scatterND},
    {"TensorScatter", tensorScatter},
    {"Compress", compress},
    {"NonZero", nonZero},
    {"OneHot", oneHot},
    {"Slice", slice},
    {"SliceBackward", sliceBackward},
    {"Split", split},
    {"SplitEqually", splitEqually},
    {"SplitToSequence", splitToSequence},
    {"Concat", concat},
    {"Stack", stack},
    {"Pad", pad},
    {"PadSomeAxes", padSomeAxes},
    {"Reshape", reshape},
    {"ReshapeBy", reshapeBy},
    {"Expand", expand},
    {"Tile", tile},
    {"ConstantOfShape", constantOfShape},
    {"Range", range},
    {"Squeeze", squeeze},
    {"DepthToSpace", depthToSpace},
    {"SpaceToDepth", spaceToDepth},
    {"Trilu", trilu},
    {"ReverseSequence", reverseSequence},
    {"CenterCropPad", centerCropPad},
    {"Col2Im", col2im},
    {"TopK", topK},
    {"ArgMax", argMax},
    {"ReduceAxes", reduceAxes},
    {"CumSum", cumSum},
    {"Scan", scan},
    {"Loop", loop},
    {"SequenceInsert", appending},
    {"If", branch},
    {"Unique", unique},
    {"Chain", chain},
};

} // namespace

llvm::ArrayRef<ShapeTemplate> movementTemplates() { return templates; }

} // namespace tilewright::tests
