#include "Error.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace tilewright::runtime {

void clearError(tw_error *error) {
  if (!error)
    return;
  error->status = TW_OK;
  error->code[0] = error->message[0] = error->node[0] = error->op[0] = error->tensor[0] = '\0';
}

tw_status reportError(tw_error *error, tw_status status, int code, const char *format, ...) {
  if (!error)
    return status;
  clearError(error);
  error->status = status;
  snprintf(error->code, sizeof error->code, "TW%04d", code);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  return status;
}

void copyText(char *destination, size_t capacity, const char *source) {
  snprintf(destination, capacity, "%s", source ? source : "");
}

void Text::append(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int written = vsnprintf(characters + length, sizeof characters - length, format, arguments);
  va_end(arguments);
  if (written > 0)
    length += static_cast<size_t>(written);
  if (length >= sizeof characters)
    length = sizeof characters - 1;
}

} // namespace tilewright::runtime
