# cmake -DFOLDER=... -DFILES=a,b,c -DOUTPUT=x.cc -DHEADER=y.h -DNAMESPACE=n -DTYPE=T -DFUNCTION=f -P embed.cmake
# Writes the files' bytes as a C++ source that defines `std::span<const T> n::f()`, as the header declares it. T has
# two members that a std::string_view can initialise: the name and the bytes.
string(REPLACE "," ";" names "${FILES}")
set(arrays "")
set(entries "")
set(index 0)
foreach(name IN LISTS names)
  file(READ "${FOLDER}/${name}" hex HEX)
  file(SIZE "${FOLDER}/${name}" size)
  # Four bytes a line; the last is a zero, so that an empty file is an array too.
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," literals "${hex}")
  string(REGEX REPLACE "(('.x[0-9a-f][0-9a-f]',)('.x[0-9a-f][0-9a-f]',)('.x[0-9a-f][0-9a-f]',)('.x[0-9a-f][0-9a-f]',))"
         "\\1\n" literals "${literals}")
  string(APPEND arrays "constexpr char kFile${index}[] = {\n${literals}0};\n")
  string(APPEND entries "    {\"${name}\", {kFile${index}, ${size}}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUTPUT}.new" "// Made by cmake/embed.cmake.
#include \"${HEADER}\"

#include <array>

namespace ${NAMESPACE} {
namespace {

${arrays}
constexpr std::array<${TYPE}, ${index}> kFiles{{
${entries}}};

}  // namespace

std::span<const ${TYPE}> ${FUNCTION}() { return kFiles; }

}  // namespace ${NAMESPACE}
")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
