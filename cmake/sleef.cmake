# Uses SLEEF for vector math, if BITDROP_SLEEF is not OFF and SLEEF is installed, on CPUs for which bitdrop calls it.
set(sleef_libraries)
if(BITDROP_SLEEF)
  find_path(BITDROP_SLEEF_INCLUDE sleef.h)
  find_library(BITDROP_SLEEF_LIBRARY sleef)
  mark_as_advanced(BITDROP_SLEEF_INCLUDE BITDROP_SLEEF_LIBRARY)
  if(BITDROP_SLEEF_INCLUDE AND BITDROP_SLEEF_LIBRARY)
    include(CheckCSourceCompiles)
    set(CMAKE_REQUIRED_LIBRARIES "${BITDROP_SLEEF_LIBRARY}" m)
    check_c_source_compiles("
      #if defined _WIN32 || !defined __x86_64__ && !defined __aarch64__
      #error
      #endif
      double Sleef_finz_erfcd1_u15purecfma(double x);
      int main(void) { return (int)Sleef_finz_erfcd1_u15purecfma(1); }" BITDROP_HAS_SLEEF)
    unset(CMAKE_REQUIRED_LIBRARIES)
  endif()
  if(BITDROP_HAS_SLEEF)
    file(STRINGS "${BITDROP_SLEEF_INCLUDE}/sleef.h" sleef REGEX "^#define SLEEF_VERSION_(MAJOR|MINOR|PATCHLEVEL) ")
    list(TRANSFORM sleef REPLACE "[^0-9]" "")
    list(JOIN sleef "." sleef)
    target_compile_definitions(bitdrop PRIVATE "BITDROP_SLEEF=\"${sleef}\"")
    target_link_libraries(bitdrop PRIVATE "${BITDROP_SLEEF_LIBRARY}")
    set(sleef_libraries sleef)
    message(STATUS "bitdrop: vector math by SLEEF ${sleef}")
  elseif(NOT BITDROP_SLEEF STREQUAL "AUTO")
    message(FATAL_ERROR "bitdrop: found no SLEEF for this machine. "
      "Debian: apt-get install libsleef-dev. To build without it: -DBITDROP_SLEEF=AUTO")
  endif()
endif()

# Without these flags clang passes vectors in memory, and SLEEF reads them from registers.
if(sleef_libraries AND CMAKE_C_COMPILER_ID MATCHES "Clang" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(avx2 -mavx2 -mfma -mf16c -mbmi2)
  file(GLOB sources src/avx2/*.c)
  set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "${avx2}")
  file(GLOB sources src/avx512/*.c)
  set_source_files_properties(${sources} PROPERTIES
    COMPILE_OPTIONS "${avx2};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl")
endif()
