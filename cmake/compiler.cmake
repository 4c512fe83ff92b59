# Flags that every target of the project gets; users of the installed library get none of them.
add_library(sallyport_flags INTERFACE)
target_compile_options(sallyport_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wimplicit-fallthrough
  -Woverloaded-virtual -fno-strict-aliasing -fstack-protector-strong)
if(SALLYPORT_WERROR)
  target_compile_options(sallyport_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports false positives of these three in optimised code (the standard library's own, and coroutines'), and
  # -Wmissing-field-initializers contradicts designated initialisers with defaults.
  target_compile_options(sallyport_flags INTERFACE
    -Wno-restrict -Wno-mismatched-new-delete -Wno-maybe-uninitialized -Wno-missing-field-initializers)
else()
  target_compile_options(sallyport_flags INTERFACE -Wno-missing-field-initializers
    -Wno-missing-designated-field-initializers)
endif()
target_compile_definitions(sallyport_flags INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ALLOW_DEPRECATED_HEADERS)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SALLYPORT_SANITIZE)
  target_compile_definitions(sallyport_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(SALLYPORT_SANITIZE)
  # On directories, not on targets: every object in a sanitized program must be instrumented.
  add_compile_options(-fsanitize=${SALLYPORT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SALLYPORT_SANITIZE})
endif()
if(SALLYPORT_FUZZ)
  # The libraries too, or the fuzzer would not see which of their branches an input reaches.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
