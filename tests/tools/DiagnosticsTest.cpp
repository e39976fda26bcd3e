#include "support/Diagnostics.h"

#include <gtest/gtest.h>

using namespace tilewright::tools;

TEST(Diagnostics, PrintsWhatIsKnown) {
  Diagnostic problem{ExitCode::Invalid, "TW1203", "it is wrong", "mend it", "conv1", "Conv", ""};
  EXPECT_EQ(formatDiagnostic(problem, false),
            "error TW1203: it is wrong\n  node:   conv1\n  op:     Conv\n  hint:   mend it\n");
}

TEST(Diagnostics, ColoursOnlyWhenAsked) {
  Diagnostic problem = usageProblem("TW5001", "no");
  EXPECT_EQ(formatDiagnostic(problem, false).find('\033'), std::string::npos);
  EXPECT_NE(formatDiagnostic(problem, true).find('\033'), std::string::npos);
}

TEST(Diagnostics, KeepsControlCharactersFromTheTerminal) {
  Diagnostic problem = usageProblem("TW5001", "a\033[2Jb\nc");
  EXPECT_EQ(formatDiagnostic(problem, false), "error TW5001: a?[2Jb c\n");
}

TEST(Diagnostics, MapsStatusToExitCode) {
  EXPECT_EQ(exitCodeOf(TW_OK), ExitCode::Ok);
  EXPECT_EQ(exitCodeOf(TW_UNSUPPORTED), ExitCode::Unsupported);
  EXPECT_EQ(exitCodeOf(TW_INVALID), ExitCode::Invalid);
  EXPECT_EQ(exitCodeOf(TW_IO), ExitCode::Io);
  EXPECT_EQ(exitCodeOf(TW_CANCELLED), ExitCode::Internal);
  EXPECT_EQ(exitCodeOf(TW_INTERNAL), ExitCode::Internal);
}
