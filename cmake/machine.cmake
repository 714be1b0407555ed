# Flags that the sources cannot ask for themselves. meson.build gives the reasons.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "86|AMD64" AND CMAKE_SIZEOF_VOID_P EQUAL 4)
  target_compile_options(bitdrop PRIVATE -msse2 -mfpmath=sse)
endif()

if(WIN32 AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  check_c_compiler_flag(-Wa,-muse-unaligned-vector-move BITDROP_HAS_UNALIGNED_VECTOR_MOVE)
  if(NOT BITDROP_HAS_UNALIGNED_VECTOR_MOVE)
    message(FATAL_ERROR "bitdrop: the assembler is too old: GNU binutils 2.38 or later")
  endif()
  target_compile_options(bitdrop PRIVATE -Wa,-muse-unaligned-vector-move)
  target_compile_definitions(bitdrop PRIVATE BITDROP_UNALIGNED_VECTOR_MOVE)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(arm|ARM)" AND CMAKE_SIZEOF_VOID_P EQUAL 4 AND CMAKE_C_COMPILER_ID MATCHES "Clang")
  set(flags -march=armv7-a -mfpu=neon)
  set(CMAKE_REQUIRED_FLAGS "-march=armv7-a -mfpu=neon")
  check_c_source_compiles("#include <arm_neon.h>
    int main(void) { return 0; }" BITDROP_HAS_NEON)
  unset(CMAKE_REQUIRED_FLAGS)
  if(BITDROP_HAS_NEON)
    target_compile_definitions(bitdrop PRIVATE BITDROP_NEON_FLAGS)
    set_source_files_properties(src/neon/attention_neon.c src/neon/kernels_neon.c PROPERTIES COMPILE_OPTIONS "${flags}")
  endif()
endif()

# A DLL exports what the header declares.
if(WIN32 AND BUILD_SHARED_LIBS)
  file(READ include/bitdrop/bitdrop.h header)
  string(REGEX MATCHALL "BITDROP_API[^;(]*[ *\n]bitdrop_[a-z0-9_]+\\(" exports "${header}")
  list(TRANSFORM exports REPLACE ".*[ *\n](bitdrop_[a-z0-9_]+)\\($" "\\1")
  list(JOIN exports "\n" exports)
  file(WRITE "${PROJECT_BINARY_DIR}/bitdrop.def" "EXPORTS\n${exports}\n")
  target_sources(bitdrop PRIVATE "${PROJECT_BINARY_DIR}/bitdrop.def")
  set_target_properties(bitdrop PROPERTIES RUNTIME_OUTPUT_NAME bitdrop-${soversion})
endif()
