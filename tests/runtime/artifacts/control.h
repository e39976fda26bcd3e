/// control.h - what the control artifact does, chosen by element 0 of its input; the other elements are
/// arguments.
#ifndef TILEWRIGHT_TESTS_CONTROL_H
#define TILEWRIGHT_TESTS_CONTROL_H

enum {
  CONTROL_BARRIERS,  ///< meet [1] times; out[thread] = rounds in which this thread saw another one lagging
  CONTROL_FAIL,      ///< thread [1] fails with code [2], site [3], numbers [4], [5] before barrier [6];
                     ///< out[thread] = barrier left at
  CONTROL_FAIL_LATE, ///< the same after the last barrier
  CONTROL_RACE,      ///< thread t fails in round (t * 7 + [1]) % 50 or so; out[thread] = barrier left at
  CONTROL_UNTIL_CANCELLED, ///< out[thread] = barrier left at
  CONTROL_MARKS,           ///< launches 0, then 1 three times, then 3; never 2
  CONTROL_SUBNORMAL, ///< out[thread] = 1 if neither a subnormal product nor a subnormal operand is flushed
  CONTROL_MATH,      ///< out[i] = bits of function [1] at the double with bits [2] (and [3])
  CONTROL_GROW_BAD,  ///< thread 0 grows buffer [1] by [2] bytes
};

#define CONTROL_LENGTH 64
#endif
