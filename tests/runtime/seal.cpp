/// seal FILE: end a shared object as an artifact without weights ends.
#include "Seal.h"

#include <fstream>
#include <sstream>

int main(int count, char **arguments) {
  if (count != 2)
    return 2;
  std::ostringstream content;
  content << std::ifstream(arguments[1], std::ios::binary).rdbuf();
  std::ofstream file(arguments[1], std::ios::binary | std::ios::trunc);
  file << sealed(content.str(), "", {});
  return file.flush() ? 0 : 1;
}
