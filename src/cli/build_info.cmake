# Writes OUTPUT, a C++ file that holds the commit of SOURCE_DIR. Run at each build; the file changes only with the commit.
execute_process(COMMAND git -C "${SOURCE_DIR}" describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE result)
if(NOT result EQUAL 0 OR NOT commit MATCHES "^[0-9a-f]+(-dirty)?$")
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT [[#include "cli/build_info.h"

namespace mlxs {

const char* build_commit() { return "@commit@"; }

}  // namespace mlxs
]] @ONLY)
